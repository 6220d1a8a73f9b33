/**
 * Columns: as much of a batch as fits into a kernel's memory at once, copied there: its rows' numbers, the members of
 * their fields, and all bytes that these point to.
 */
import type { Batch } from "../batch.ts";
import { WIDTH } from "../fields.ts";

/** Where the kernel has what, and how much of it. */
export interface Regions {
  readonly columns: number;
  readonly rows: number;
  readonly members: number;
  readonly maxMembers: number;
  readonly input: number;
  readonly inputBytes: number;
}

export class Columns {
  readonly #regions: Regions;
  readonly #bytes: Buffer;
  readonly #offset: Float64Array;
  readonly #seconds: Float64Array;
  readonly #from: Uint32Array;
  readonly #to: Uint32Array;
  readonly #nanos: Uint32Array;
  readonly #first: Uint32Array;
  readonly #count: Uint32Array;
  readonly #ends: Uint32Array;
  readonly #digits: Uint8Array;
  readonly #flags: Uint8Array;
  readonly #severity: Uint8Array;
  readonly #members: Uint32Array;
  /** Of the rows at hand: their bytes and members. */
  #low = 0;
  #high = 0;
  #firstMember = 0;
  #endMember = 0;

  constructor(memory: ArrayBuffer, regions: Regions) {
    const { columns: at, rows } = regions;
    this.#regions = regions;
    this.#bytes = Buffer.from(memory);
    this.#offset = new Float64Array(memory, at, rows);
    this.#seconds = new Float64Array(memory, at + rows * 8, rows);
    this.#from = new Uint32Array(memory, at + rows * 16, rows);
    this.#to = new Uint32Array(memory, at + rows * 20, rows);
    this.#nanos = new Uint32Array(memory, at + rows * 24, rows);
    this.#first = new Uint32Array(memory, at + rows * 28, rows);
    this.#count = new Uint32Array(memory, at + rows * 32, rows);
    this.#ends = new Uint32Array(memory, at + rows * 36, rows);
    this.#digits = new Uint8Array(memory, at + rows * 40, rows);
    this.#flags = new Uint8Array(memory, at + rows * 41, rows);
    this.#severity = new Uint8Array(memory, at + rows * 42, rows);
    this.#members = new Uint32Array(memory, regions.members, regions.maxMembers * WIDTH);
  }

  /** What offsets into the batch's bytes, and numbers of members, are added to. They may wrap around. */
  get input(): number {
    return this.#regions.input - this.#low;
  }

  get members(): number {
    return this.#regions.members - this.#firstMember * WIDTH * 4;
  }

  /** Copies rows [from, to) of the batch as far as they fit. @returns where that ends; `from` when not even one does. */
  load(batch: Batch, from: number, to: number): number {
    const end = this.loadLines(batch, from, to);
    if (end === from) return end;
    const { fields, severity } = batch;
    this.#digits.set(batch.digits.subarray(from, end));
    if (severity === undefined) this.#severity.fill(0, 0, end - from);
    else this.#severity.set(severity.subarray(from, end));
    if (fields === undefined) this.#count.fill(0, 0, end - from);
    else {
      this.#first.set(fields.first.subarray(from, end));
      this.#count.set(fields.count.subarray(from, end));
      this.#members.set(fields.table.subarray(this.#firstMember * WIDTH, this.#endMember * WIDTH));
    }
    return end;
  }

  /** The same without what was found in the messages, and without how many digits their times have. */
  loadLines(batch: Batch, from: number, to: number): number {
    const end = this.#measure(batch, from, Math.min(to, from + this.#regions.rows));
    if (end === from) return end;
    batch.bytes.copy(this.#bytes, this.#regions.input, this.#low, this.#high);
    this.#offset.set(batch.offset.subarray(from, end));
    this.#seconds.set(batch.seconds.subarray(from, end));
    this.#from.set(batch.from.subarray(from, end));
    this.#to.set(batch.to.subarray(from, end));
    this.#nanos.set(batch.nanos.subarray(from, end));
    this.#flags.set(batch.flags.subarray(from, end));
    return end;
  }

  /** Appends to `into` where the first `rows` of the rows that were loaded last ended, relative to `base`. */
  ends(rows: number, base: number, into: number[]): void {
    for (let row = 0; row < rows; row++) into.push((this.#ends[row] as number) - base);
  }

  /** Which of the rows fit: sets the ranges of their bytes and members. */
  #measure({ from, to, fields }: Batch, start: number, last: number): number {
    const { inputBytes, maxMembers } = this.#regions;
    let low = from[start] as number;
    let high = to[start] as number;
    let first = -1;
    let end = 0;
    let row = start;
    for (; row < last; row++) {
      let rowLow = Math.min(low, from[row] as number);
      let rowHigh = Math.max(high, to[row] as number);
      const count = fields === undefined ? 0 : (fields.count[row] as number);
      if (count > 0) {
        const { table } = fields as NonNullable<typeof fields>;
        const rowFirst = (fields as NonNullable<typeof fields>).first[row] as number;
        const rowEnd = rowFirst + count;
        const nextFirst = first < 0 ? rowFirst : Math.min(first, rowFirst);
        if (Math.max(end, rowEnd) - nextFirst > maxMembers) break;
        for (let at = rowFirst * WIDTH; at < rowEnd * WIDTH; at += WIDTH) {
          rowLow = Math.min(rowLow, table[at] as number, table[at + 2] as number);
          rowHigh = Math.max(rowHigh, table[at + 1] as number, table[at + 3] as number);
        }
        if (rowHigh - rowLow > inputBytes) break;
        first = nextFirst;
        end = Math.max(end, rowEnd);
      } else if (rowHigh - rowLow > inputBytes) break;
      low = rowLow;
      high = rowHigh;
    }
    this.#low = low;
    this.#high = high;
    this.#firstMember = Math.max(0, first);
    this.#endMember = end;
    return row;
  }
}
