/**
 * Turns: which container is read next. Those with little to read go first, in the order in which they came, so that a
 * single line does not wait for a chunk of each of a thousand backlogs; every second turn belongs to the backlogs.
 */
export class Turns<T> {
  readonly #short: T[] = [];
  readonly #long: T[] = [];
  #wasShort = false;

  /** @param isShort one turn is all that it needs. */
  push(item: T, isShort: boolean): void {
    (isShort ? this.#short : this.#long).push(item);
  }

  take(): T | undefined {
    const isShort = this.#short.length > 0 && (!this.#wasShort || this.#long.length === 0);
    this.#wasShort = isShort;
    return (isShort ? this.#short : this.#long).shift();
  }
}
