/**
 * JsonObjects: which messages of a batch are JSON objects, and where the members at their top are, found by the kernel
 * (assembly/json.ts). What it leaves to its twin, agent/process/members.ts, is told as ASK.
 *
 * Lines of test/bench/data.ts, 230 bytes each, at 860 MB/s; with their members as fields at 670, where the twin makes 325
 * (all in one run on a busy machine: `npm run bench:micro`).
 *
 * One for the whole process, for work that is done before anybody else can ask: a name has the same number in all logs.
 */
import type { Batch } from "../batch.ts";
import { CLOSE_BRACE, OPEN_BRACE, SPACE } from "../parse/ascii.ts";
import { instantiate, kernelsEnabled } from "./kernel.ts";

/** What a message is: no object; one that can be used as it is; for the twin to say. */
export const OTHER = 0;
export const OBJECT = 1;
export const ASK = 2;
/** Beside OBJECT: it has numbers that a double may not hold. */
const UNSAFE = 4;

/** Of a name's number: the value is a string with escapes. */
export const ESCAPED = 0x8000;

const WIDTH = 4;
const ROW_WORDS = 7;

interface Exports {
  readonly FOUND: WebAssembly.Global;
  readonly FOUND_NAMES: WebAssembly.Global;
  readonly MAX_FOUND: WebAssembly.Global;
  readonly MAX_NAMES: WebAssembly.Global;
  readonly MAX_OBJECTS: WebAssembly.Global;
  readonly ROWS: WebAssembly.Global;
  readonly TEXT: WebAssembly.Global;
  readonly TEXT_BYTES: WebAssembly.Global;
  readonly names: WebAssembly.Global;
  forgetNames(): void;
  scanObjects(rows: number, text: number): void;
}

let shared: JsonObjects | undefined;

/** undefined where there are no kernels. */
export function jsonObjects(): JsonObjects | undefined {
  const instance = shared === undefined ? instantiate() : undefined;
  if (instance !== undefined) shared = new JsonObjects(instance.exports as Exports, instance.memory);
  return kernelsEnabled() ? shared : undefined;
}

export class JsonObjects {
  /** Numbers of names are below it. */
  readonly maxNames: number;
  /** Members as in Fields.table: offsets in the batch. Borrowed, as `names`: valid until the next `read`. */
  readonly table: Uint32Array;
  /** Of members: the number of the name, and ESCAPED. */
  readonly names: Uint16Array;
  /** While it stays the same, so do the numbers of names. */
  generation = 1;
  readonly #exports: Exports;
  readonly #bytes: Buffer;
  readonly #rows: Uint32Array;
  readonly #maxRows: number;
  readonly #text: number;
  readonly #textBytes: number;
  #start = 0;

  constructor(exports: Exports, memory: ArrayBuffer) {
    const { FOUND, FOUND_NAMES, MAX_FOUND, MAX_NAMES, MAX_OBJECTS, ROWS, TEXT, TEXT_BYTES } = exports;
    this.#exports = exports;
    this.#bytes = Buffer.from(memory);
    this.#rows = new Uint32Array(memory, ROWS.value, MAX_OBJECTS.value * ROW_WORDS);
    this.table = new Uint32Array(memory, FOUND.value, MAX_FOUND.value * WIDTH);
    this.names = new Uint16Array(memory, FOUND_NAMES.value, MAX_FOUND.value);
    this.maxNames = MAX_NAMES.value;
    this.#maxRows = MAX_OBJECTS.value;
    this.#text = TEXT.value;
    this.#textBytes = TEXT_BYTES.value;
  }

  /**
   * Reads the messages of rows [start, rows) as far as there is room.
   * @returns the first row that was not read, at least start + 1. What is below is for the rows read last.
   */
  read(batch: Batch, start: number): number {
    const { bytes, from, to } = batch;
    const rows = this.#rows;
    this.#start = start;
    // Names that are given up are learnt again in no time; but then all must be, since their numbers are.
    if (this.#exports.names.value > this.maxNames * 0.75) {
      this.#exports.forgetNames();
      this.generation++;
    }
    let low = Number.POSITIVE_INFINITY;
    let high = 0;
    let row = start;
    let at = 0;
    for (const last = Math.min(batch.rows, start + this.#maxRows); row < last; row++, at += ROW_WORDS) {
      const rowFrom = from[row] as number;
      const rowTo = to[row] as number;
      // A message that is an object mostly begins and ends with it: the others are told by two bytes.
      if (!mayBeObject(bytes, rowFrom, rowTo)) {
        rows[at] = rows[at + 1] = 0;
        continue;
      }
      const rowLow = Math.min(low, rowFrom);
      const rowHigh = Math.max(high, rowTo);
      if (rowHigh - rowLow > this.#textBytes) {
        if (high > 0) break;
        this.#exports.scanObjects(row - start, 0);
        rows[at + 6] = ASK;
        return row + 1;
      }
      low = rowLow;
      high = rowHigh;
      rows[at] = rowFrom;
      rows[at + 1] = rowTo;
    }
    if (high > 0) bytes.copy(this.#bytes, this.#text, low, high);
    this.#exports.scanObjects(row - start, this.#text - (high > 0 ? low : 0));
    return row;
  }

  /** OTHER, OBJECT or ASK. */
  what(row: number): number {
    return (this.#rows[(row - this.#start) * ROW_WORDS + 6] as number) & (OBJECT | ASK);
  }

  hasUnsafeNumbers(row: number): boolean {
    return ((this.#rows[(row - this.#start) * ROW_WORDS + 6] as number) & UNSAFE) !== 0;
  }

  /** Levels of nesting, the object itself included. */
  depth(row: number): number {
    return (this.#rows[(row - this.#start) * ROW_WORDS + 6] as number) >> 8;
  }

  /** The object is bytes[from, to) of the batch, without blanks around it. */
  objectFrom(row: number): number {
    return this.#rows[(row - this.#start) * ROW_WORDS + 2] as number;
  }

  objectTo(row: number): number {
    return this.#rows[(row - this.#start) * ROW_WORDS + 3] as number;
  }

  /** Its members are [first, first + count). */
  first(row: number): number {
    return this.#rows[(row - this.#start) * ROW_WORDS + 4] as number;
  }

  count(row: number): number {
    return this.#rows[(row - this.#start) * ROW_WORDS + 5] as number;
  }
}

/** Whether bytes[from, to) begins and ends like an object. */
export function mayBeObject(bytes: Uint8Array, from: number, to: number): boolean {
  if (from >= to) return false;
  const first = bytes[from]!;
  const last = bytes[to - 1]!;
  return (first === OPEN_BRACE || first <= SPACE) && (last === CLOSE_BRACE || last <= SPACE);
}
