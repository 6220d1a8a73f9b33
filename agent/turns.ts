/**
 * Turns: which container is read next. Those with little to read go first, in the order in which they came, so that a
 * single line does not wait for a chunk of each of a thousand backlogs; every second turn belongs to the backlogs. One
 * with a backlog keeps its place for a few turns, so that requests hold much of few containers rather than the reverse.
 */

/** Turns of a backlog in a row: a megabyte, some ten milliseconds. */
const ROW_OF_TURNS = 4;

export class Turns<T> {
  readonly #short: T[] = [];
  readonly #long: T[] = [];
  #wasShort = false;
  /** Who had the last turn of a backlog, and how many in a row. */
  #last: T | undefined;
  #inRow = 0;

  /** @param isShort one turn is all that it needs. */
  push(item: T, isShort: boolean): void {
    if (isShort) this.#short.push(item);
    else if (item === this.#last && this.#inRow < ROW_OF_TURNS) this.#long.unshift(item);
    else this.#long.push(item);
  }

  take(): T | undefined {
    const isShort = this.#short.length > 0 && (!this.#wasShort || this.#long.length === 0);
    this.#wasShort = isShort;
    if (isShort) return this.#short.shift();
    const item = this.#long.shift();
    this.#inRow = item === this.#last ? this.#inRow + 1 : 1;
    this.#last = item;
    return item;
  }
}
