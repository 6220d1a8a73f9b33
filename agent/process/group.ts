/**
 * Group: the lines of one stream that are joined so far. While it has one line, and its batch lives, nothing is copied.
 * Holds at most `maxBytes` of text; who adds lines asks `fits` first.
 */
import { type Generation, JOINED, type Rows, TRUNCATED } from "../batch.ts";
import { LF } from "../parse/ascii.ts";

const EMPTY = Buffer.alloc(0);
const SMALLEST = 1024;

/** The columns of a row that has left its batch. */
class HeldRow {
  generation!: Generation;
  offset = 0;
  seconds = 0;
  nanos = 0;
  digits = 0;
  flags = 0;
  severity = 0;
  /** Bytes of the message that were cut off. */
  cut = 0;
  size = 0;

  take(rows: Rows, row: number): void {
    const extra = rows.extra?.get(row);
    this.generation = extra?.generation ?? rows.generation;
    this.offset = rows.offset[row]!;
    this.seconds = rows.seconds[row]!;
    this.nanos = rows.nanos[row]!;
    this.digits = rows.digits[row]!;
    this.flags = rows.flags[row]!;
    this.severity = rows.severity?.[row] ?? 0;
    this.size = rows.size[row]!;
    this.cut = cutOff(rows, row);
    // The row is no longer there; a later one of its number must not find this.
    rows.extra?.delete(row);
  }

  put(rows: Rows, row: number, from: number, to: number): void {
    rows.offset[row] = this.offset;
    rows.seconds[row] = this.seconds;
    rows.nanos[row] = this.nanos;
    rows.digits[row] = this.digits;
    rows.flags[row] = this.flags;
    rows.size[row] = this.size;
    rows.from[row] = from;
    rows.to[row] = to;
    if (this.severity > 0 || rows.severity !== undefined) rows.severities()[row] = this.severity;
    if (rows.fields !== undefined) rows.fields.count[row] = 0;
    rows.extra?.delete(row);
    if ((this.flags & TRUNCATED) !== 0) rows.extraOf(row).originalBytes = to - from + this.cut;
    if (this.generation.key !== rows.generation.key) rows.extraOf(row).generation = this.generation;
  }
}

export class Group {
  /** Of the joiner; 0 while the group is closed. */
  state = 0;
  /** Lines in it, without the one that may be. */
  lines = 0;
  /** A line waits for the next one to say whether it is part of the group. */
  hasMaybe = false;
  /** Time of the last line, the one that may be included. */
  seconds = 0;
  nanos = 0;
  /** Monotonic milliseconds when the last line came. */
  touchedAt = 0;
  /** Groups are numbered as they are opened. */
  sequence = 0;
  readonly #first = new HeldRow();
  readonly #maybe = new HeldRow();
  /** The first line's place in the batch; -1 once it is stored. */
  #from = -1;
  #to = 0;
  #bytes = EMPTY;
  #stored = 0;
  /** Of the line that may be: it stands, behind a line end, behind what is stored. */
  #maybeLength = 0;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Rows that it becomes when it is closed. */
  get rows(): number {
    return this.state === 0 ? 0 : this.hasMaybe ? 2 : 1;
  }

  /** Raw bytes of the file that stand for its lines. */
  get size(): number {
    return this.state === 0 ? 0 : this.#first.size + (this.hasMaybe ? this.#maybe.size : 0);
  }

  get heldBytes(): number {
    return this.#bytes.length;
  }

  get generation(): Generation {
    return this.#first.generation;
  }

  get offset(): number {
    return this.#first.offset;
  }

  open(rows: Rows, row: number, state: number): void {
    this.#from = rows.from[row]!;
    this.#to = rows.to[row]!;
    this.#stored = 0;
    this.lines = 1;
    this.hasMaybe = false;
    this.#touch(rows, row, state);
    this.#first.take(rows, row);
  }

  /** Whether the row's line can be added. */
  fits(rows: Rows, row: number): boolean {
    const maybe = this.hasMaybe ? 1 + this.#maybeLength : 0;
    return this.#length + maybe + 1 + rows.to[row]! - rows.from[row]! <= this.#maxBytes;
  }

  /** Adds the row's line, behind the one that may be. */
  add(rows: Rows, row: number, state: number): void {
    this.#touch(rows, row, state);
    const first = this.#first;
    this.store(rows);
    if (this.hasMaybe) {
      this.#stored += 1 + this.#maybeLength;
      this.hasMaybe = false;
      this.lines++;
      first.size += this.#maybe.size;
    }
    this.#stored += this.#append(rows.bytes, rows.from[row]!, rows.to[row]!);
    this.lines++;
    first.size += rows.size[row]!;
    first.flags |= JOINED | (rows.flags[row]! & TRUNCATED);
    first.cut += cutOff(rows, row);
    if (first.severity === 0) first.severity = rows.severity?.[row] ?? 0;
    rows.extra?.delete(row);
  }

  /** The row's line joins if the next one does. */
  addMaybe(rows: Rows, row: number, state: number): void {
    this.#touch(rows, row, state);
    this.store(rows);
    this.#maybeLength = this.#append(rows.bytes, rows.from[row]!, rows.to[row]!) - 1;
    this.#maybe.take(rows, row);
    this.hasMaybe = true;
  }

  /** Copies what stands in the batch's bytes, which end with the batch. */
  store(rows: Rows): void {
    if (this.#from < 0) return;
    const length = this.#to - this.#from;
    this.#reserve(length);
    rows.bytes.copy(this.#bytes, 0, this.#from, this.#to);
    this.#stored = length;
    this.#from = -1;
  }

  /** Ends the group. @param row where it goes; the line that is no part of it goes into the row behind. @returns rows. */
  close(rows: Rows, row: number): number {
    const count = this.rows;
    if (this.#from < 0) this.#give(rows, this.#first, row, 0, this.#stored);
    else this.#first.put(rows, row, this.#from, this.#to);
    if (this.hasMaybe) this.#give(rows, this.#maybe, row + 1, this.#stored + 1, this.#maybeLength);
    this.state = 0;
    this.hasMaybe = false;
    return count;
  }

  /** Puts a row whose text is stored at `from`. */
  #give(rows: Rows, held: HeldRow, row: number, from: number, length: number): void {
    rows.reserve(length);
    this.#bytes.copy(rows.bytes, rows.used, from, from + length);
    held.put(rows, row, rows.used, rows.used + length);
    rows.used += length;
  }

  /** Frees the memory of a closed group, so that an idle container holds none. */
  release(): void {
    if (this.state === 0) this.#bytes = EMPTY;
  }

  get #length(): number {
    return this.#from < 0 ? this.#stored : this.#to - this.#from;
  }

  #touch(rows: Rows, row: number, state: number): void {
    this.state = state;
    this.seconds = rows.seconds[row]!;
    this.nanos = rows.nanos[row]!;
  }

  /** Copies a line end and bytes[from, to) behind what is stored. @returns their length. */
  #append(bytes: Buffer, from: number, to: number): number {
    this.#reserve(this.#stored + 1 + to - from);
    this.#bytes[this.#stored] = LF;
    bytes.copy(this.#bytes, this.#stored + 1, from, to);
    return 1 + to - from;
  }

  #reserve(need: number): void {
    if (need <= this.#bytes.length) return;
    const bytes = Buffer.allocUnsafeSlow(
      Math.max(need, Math.min(this.#maxBytes, Math.max(this.#bytes.length * 2, SMALLEST))),
    );
    this.#bytes.copy(bytes, 0, 0, this.#stored);
    this.#bytes = bytes;
  }
}

function cutOff(rows: Rows, row: number): number {
  if ((rows.flags[row]! & TRUNCATED) === 0) return 0;
  return (rows.extra?.get(row)?.originalBytes ?? 0) - (rows.to[row]! - rows.from[row]!);
}
