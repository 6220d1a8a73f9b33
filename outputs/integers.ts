/**
 * Integers: whole numbers below 2^32, one behind the other, outside of the heap and in room that can be used again. As
 * arrays of numbers that live as long as their requests, ends of entries and runs of rows were a quarter of all garbage.
 */
const SMALLEST = 64;

export class Integers {
  #all = new Uint32Array(SMALLEST);
  /** May be set back to take some away. */
  length = 0;

  push(value: number): void {
    if (this.length === this.#all.length) this.#reserve(1);
    this.#all[this.length++] = value;
  }

  append(values: ArrayLike<number>): void {
    this.#reserve(values.length);
    this.#all.set(values, this.length);
    this.length += values.length;
  }

  /** Adds [from, to) as two numbers, or makes the run before it longer where that ends there. */
  addRun(from: number, to: number): void {
    if (this.length > 0 && this.#all[this.length - 1] === from) this.#all[this.length - 1] = to;
    else {
      this.push(from);
      this.push(to);
    }
  }

  /** Borrowed: valid until the next call. */
  view(): Uint32Array {
    return this.#all.subarray(0, this.length);
  }

  /** A copy, owned by the caller. */
  copy(): Uint32Array {
    return this.#all.slice(0, this.length);
  }

  #reserve(more: number): void {
    const need = this.length + more;
    if (need <= this.#all.length) return;
    const larger = new Uint32Array(Math.max(need, this.#all.length * 2));
    larger.set(this.#all);
    this.#all = larger;
  }
}
