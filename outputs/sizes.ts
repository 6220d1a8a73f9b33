/**
 * Sizes: the raw bytes that each row of an open request stands for. Numbers outside of the heap, in room that is used
 * again for the next request: as arrays of numbers, a million of them a second, they were a fifth of all garbage.
 */
import { type Batch, DROPPED } from "../agent/batch.ts";

const SMALLEST = 1024;

export class Sizes {
  #bytes = new Float64Array(SMALLEST);
  #rows = 0;

  /** Adds those of rows [from, to) of a batch, but for those that a rule dropped. */
  add({ size, flags }: Batch, from: number, to: number): void {
    const need = this.#rows + to - from;
    if (need > this.#bytes.length) {
      const larger = new Float64Array(Math.max(need, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    const bytes = this.#bytes;
    let at = this.#rows;
    for (let row = from; row < to; row++)
      if (((flags[row] as number) & DROPPED) === 0) bytes[at++] = size[row] as number;
    this.#rows = at;
  }

  /** All of them, owned by the caller; there are none afterwards. */
  take(): Float64Array {
    const taken = this.#bytes.slice(0, this.#rows);
    this.#rows = 0;
    return taken;
  }
}
