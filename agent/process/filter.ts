/** drop, keep, sample, and what else keeps records from an output by a rule that looks at each by itself. */
import type { Batch, Rows } from "../batch.ts";
import { wanted } from "./match.ts";
import { type Match, OUT, type Processor } from "./processor.ts";

/** Drops the rows that match, or (`keep`) those that don't; none of which it is not known. */
export class Filter implements Processor {
  readonly name: string;
  readonly counts = { undecided: 0 };
  readonly #match: Match | undefined;
  /** What a match must say for the row to be dropped. */
  readonly #drops: boolean;

  /** @param name by which drops are counted. */
  constructor(name: string, match: Match | undefined, drops: boolean) {
    this.name = name;
    this.#match = match;
    this.#drops = drops;
  }

  process(rows: Rows): void {
    const want = wanted(this.#match, rows);
    if (want === !this.#drops) return;
    for (let row = 0; row < rows.rows; row++) {
      if (((rows.flags[row] as number) & OUT) !== 0) continue;
      const matches = typeof want === "boolean" ? want : want(row);
      if (matches === this.#drops) rows.drop(row, this.name);
      else if (matches === undefined) this.counts.undecided++;
    }
  }
}

/** Keeps a part of the rows that match. The record's id decides, so that a repeat is decided alike. */
export class Sample implements Processor {
  readonly name = "sample";
  readonly #limit: number;
  readonly #match: Match | undefined;

  /** @param rate from 0 (none) to 1 (all). */
  constructor(rate: number, match: Match | undefined) {
    this.#limit = rate * 2 ** 32;
    this.#match = match;
  }

  process(rows: Rows): void {
    const want = wanted(this.#match, rows);
    if (want === false) return;
    for (let row = 0; row < rows.rows; row++) {
      if (((rows.flags[row] as number) & OUT) !== 0 || (want !== true && !want(row))) continue;
      if (idHash(rows, row) >= this.#limit) rows.drop(row, this.name);
    }
  }
}

let hashedKey = "";
let keyHash = 0;

/** A number from 0 to 2^32 - 1 that all parts of a record's id go into, spread evenly (murmur3's mixing). */
function idHash(batch: Batch, row: number): number {
  const { key } = batch.extra?.get(row)?.generation ?? batch.generation;
  if (key !== hashedKey) {
    hashedKey = key;
    keyHash = 0;
    for (let i = 0; i < key.length; i++) keyHash = mix(keyHash, key.charCodeAt(i));
  }
  const offset = batch.offset[row] as number;
  const seconds = batch.seconds[row] as number;
  let hash = mix(keyHash, offset | 0);
  hash = mix(hash, Math.floor(offset / 2 ** 32));
  hash = mix(hash, seconds | 0);
  hash = mix(hash, batch.nanos[row] as number);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mix(hash: number, value: number): number {
  let k = Math.imul(value, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  let h = hash ^ Math.imul(k, 0x1b873593);
  h = (h << 13) | (h >>> 19);
  return (Math.imul(h, 5) + 0xe6546b64) | 0;
}
