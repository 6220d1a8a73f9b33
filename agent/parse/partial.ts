/**
 * A message of one stream that runtimes split into several lines, while its parts come in: bytes first, characters
 * later, since splits heed no characters. Holds at most `maxRecordBytes`; what is over is only counted.
 */
import { isUtf8 } from "node:buffer";
import { type Generation, JOINED, type Rows, type STDERR, TRUNCATED } from "../batch.ts";
import { CR } from "./ascii.ts";
import type { TimeParser } from "./time.ts";
import { appendRepaired, cutBetweenCharacters } from "./utf8.ts";

const EMPTY = Buffer.alloc(0);
const SMALLEST = 4096;

export class PartialMessage {
  readonly #flags: number;
  readonly #maxBytes: number;
  #generation: Generation | undefined;
  #seconds = 0;
  #nanos = 0;
  #digits = 0;
  #bytes = EMPTY;
  #stored = 0;
  /** Of the whole message, stored or not. */
  #length = 0;
  #lastByte = -1;
  /** Where the first part's line begins. */
  offset = 0;
  /** Raw bytes of all lines so far; 0 while no message is open. */
  size = 0;

  constructor(flags: 0 | typeof STDERR, maxBytes: number) {
    this.#flags = flags;
    this.#maxBytes = maxBytes;
  }

  /** The generation of the first part; undefined while no message is open. */
  get generation(): Generation | undefined {
    return this.#generation;
  }

  get heldBytes(): number {
    return this.#bytes.length;
  }

  /** Begins a message: its place and time are those of its first part. */
  open(generation: Generation, offset: number, time: TimeParser): void {
    this.#generation = generation;
    this.offset = offset;
    this.#seconds = time.seconds;
    this.#nanos = time.nanos;
    this.#digits = time.digits;
    this.#stored = 0;
    this.#length = 0;
    this.#lastByte = -1;
    this.size = 0;
  }

  /** Adds a part: bytes[from, to) and `missing` more bytes that nobody has, from a line of `size` raw bytes. */
  append(bytes: Buffer, from: number, to: number, missing: number, size: number): void {
    this.size += size;
    if (this.#stored === this.#length) {
      const take = Math.min(to - from, this.#maxBytes - this.#stored);
      this.#reserve(take);
      bytes.copy(this.#bytes, this.#stored, from, from + take);
      this.#stored += take;
    }
    this.#length += to - from + missing;
    if (missing > 0) this.#lastByte = -1;
    else if (to > from) this.#lastByte = bytes[to - 1]!;
  }

  /** Ends the message: appends its row. @returns whether it was cut. */
  close(rows: Rows): boolean {
    const length = this.#lastByte === CR ? this.#length - 1 : this.#length;
    const truncated = length > this.#stored;
    const end = truncated ? cutBetweenCharacters(this.#bytes, 0, this.#stored) : length;
    const row = rows.add();
    rows.offset[row] = this.offset;
    rows.seconds[row] = this.#seconds;
    rows.nanos[row] = this.#nanos;
    rows.digits[row] = this.#digits;
    rows.flags[row] = this.#flags | JOINED | (truncated ? TRUNCATED : 0);
    rows.size[row] = this.size;
    rows.from[row] = rows.used;
    if (isUtf8(this.#bytes.subarray(0, end))) {
      rows.reserve(end);
      this.#bytes.copy(rows.bytes, rows.used, 0, end);
      rows.used += end;
    } else {
      appendRepaired(rows, this.#bytes, 0, end);
    }
    rows.to[row] = rows.used;
    if (truncated) rows.extraOf(row).originalBytes = length;
    const generation = this.#generation!;
    if (generation.key !== rows.generation.key) rows.extraOf(row).generation = generation;
    this.#generation = undefined;
    this.size = 0;
    return truncated;
  }

  /** Frees the memory of a closed message, so that an idle container holds none. */
  release(): void {
    if (this.#generation === undefined) this.#bytes = EMPTY;
  }

  #reserve(more: number): void {
    const need = this.#stored + more;
    if (need <= this.#bytes.length) return;
    const capacity = Math.min(this.#maxBytes, Math.max(need, this.#bytes.length * 2, SMALLEST));
    const bytes = Buffer.allocUnsafeSlow(capacity);
    this.#bytes.copy(bytes, 0, 0, this.#stored);
    this.#bytes = bytes;
  }
}
