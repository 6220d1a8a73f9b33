/**
 * Sizes: the raw bytes that the rows of a request stand for. They are kept as sums, so that many rows are settled by one
 * subtraction. Numbers outside of the heap, in room that is used again for the next request: as arrays of numbers, a
 * million of them a second, they were a fifth of all garbage.
 */
import { type Batch, DROPPED } from "../agent/batch.ts";

const SMALLEST = 1024;

/** Of an open request. */
export class OpenSizes {
  /** ends[i] is the sum of the first i rows. */
  #ends = new Float64Array(SMALLEST);
  #rows = 0;

  /** Adds those of rows [from, to) of a batch, but for those that a rule dropped. @returns their sum. */
  add({ size, flags }: Batch, from: number, to: number): number {
    const need = this.#rows + 1 + to - from;
    if (need > this.#ends.length) {
      const larger = new Float64Array(Math.max(need, this.#ends.length * 2));
      larger.set(this.#ends);
      this.#ends = larger;
    }
    const ends = this.#ends;
    let at = this.#rows;
    const before = ends[at] as number;
    let sum = before;
    for (let row = from; row < to; row++) {
      if (((flags[row] as number) & DROPPED) !== 0) continue;
      sum += size[row] as number;
      ends[++at] = sum;
    }
    this.#rows = at;
    return sum - before;
  }

  /** All of them; there are none afterwards. */
  take(): Sizes {
    const taken = new Sizes(this.#ends.slice(0, this.#rows + 1));
    this.#rows = 0;
    return taken;
  }
}

/** Of a request that is closed. */
export class Sizes {
  #ends: Float64Array;
  /** Which rows of `#ends` they are; undefined: all of them. */
  #runs: ArrayLike<number> | undefined;

  /** @param ends sums of the first 0, 1, 2, ... rows. @param runs beginnings and ends of runs of them. Both are kept. */
  constructor(ends: Float64Array, runs?: ArrayLike<number>) {
    this.#ends = ends;
    this.#runs = runs;
  }

  /** Of rows [from, to). */
  sum(from: number, to: number): number {
    const ends = this.#all();
    return (ends[to] as number) - (ends[from] as number);
  }

  /** Of some rows, in this order. @param runs borrowed. */
  pick(runs: ArrayLike<number>): Sizes {
    return new Sizes(this.#all(), Uint32Array.from(runs));
  }

  /** Made when asked for, as most requests are settled as a whole. */
  #all(): Float64Array {
    const runs = this.#runs;
    if (runs !== undefined) {
      this.#ends = chosen(this.#ends, runs);
      this.#runs = undefined;
    }
    return this.#ends;
  }
}

function chosen(all: Float64Array, runs: ArrayLike<number>): Float64Array {
  let rows = 0;
  for (let i = 0; i < runs.length; i += 2) rows += (runs[i + 1] as number) - (runs[i] as number);
  const ends = new Float64Array(rows + 1);
  let at = 0;
  for (let i = 0; i < runs.length; i += 2) {
    const end = runs[i + 1] as number;
    for (let row = runs[i] as number; row < end; row++, at++)
      ends[at + 1] = (ends[at] as number) + (all[row + 1] as number) - (all[row] as number);
  }
  return ends;
}
