/**
 * Batch: the rows that one read of one container's log gave, as columns of numbers over one buffer of bytes.
 *
 * A line costs no object: scanners fill `Rows`, processors flag or rewrite rows, outputs encode from columns to bytes.
 * A batch lives for one synchronous pass (read, scan, process, append): whoever needs something of it later copies it.
 */
import { Fields } from "./fields.ts";
import type { Origin } from "./pods/origin.ts";

/** Bits of `Batch.flags`. */
export const STDERR = 1;
/** The message was cut at `source.maxRecordBytes`; `RowExtra.originalBytes` holds its full length. */
export const TRUNCATED = 2;
/** The line fits no known format; the message is the whole line and `RowExtra.error` says why. */
export const UNPARSED = 4;
/** A rule dropped the row and counted it; outputs skip it. */
export const DROPPED = 8;
/** The agent's own words, as a throttle's summary: the row stands for no bytes of the file. */
export const SUMMARY = 16;

/** The message was joined from several lines: what else than its first line it holds depends on when it was ended. */
export const JOINED = 32;

/** The scale of `Batch.severity`; 0 is unknown. */
export const SEVERITIES = [
  "",
  "trace",
  "debug",
  "info",
  "notice",
  "warn",
  "error",
  "critical",
  "alert",
  "emergency",
] as const;

/** One file of a container's chain, as far as records need it. */
export interface Generation {
  /**
   * The stable part of every record id: base64url of a hash over pod uid, container, restart count and the
   * fingerprint of the file's first line. The same for every reading, whatever the file is called by then.
   */
  readonly key: string;
}

/** What few rows have; kept apart so that the others pay nothing. */
export interface RowExtra {
  /** The generation in which the row's first line stands, where that is an earlier one than the batch's. */
  generation?: Generation;
  /** Length in bytes of the whole message before it was cut. */
  originalBytes?: number;
  /** Why the line could not be parsed. */
  error?: string;
}

/** Consecutive rows of one container's log. All columns have at least `rows` elements; the rest is garbage. */
export interface Batch {
  /** Shared by all batches of the container until the pod changes; outputs memoise on its identity. */
  readonly origin: Origin;
  readonly generation: Generation;
  /** The chunk as read, followed by joined or rewritten messages. Borrowed: valid until the call returns. */
  readonly bytes: Buffer;
  readonly rows: number;
  /** Byte offset of the row's first line in the uncompressed file of its generation. */
  readonly offset: Float64Array;
  /** The message is bytes[from, to): valid UTF-8, without line end and without one trailing CR. */
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  /** The row's time: seconds since 1970 (UTC, may be negative) and nanoseconds 0..999_999_999. */
  readonly seconds: Float64Array;
  readonly nanos: Uint32Array;
  /** How many fractional digits the log gave the time, 0..9. */
  readonly digits: Uint8Array;
  readonly flags: Uint8Array;
  /** Raw bytes of the file that the row stands for: all its physical lines with their headers and line ends. */
  readonly size: Float64Array;
  /** By row; undefined when no row of the batch has any. */
  readonly extra: ReadonlyMap<number, RowExtra> | undefined;
  /** Index into SEVERITIES by row; undefined when no processor found any. */
  readonly severity: Uint8Array | undefined;
  /** Undefined when no processor found any; see fields.ts. */
  readonly fields: Fields | undefined;
}

/** The mutable columns that a scanner fills. One per consumer, used again for every chunk. */
export class Rows implements Batch {
  origin!: Origin;
  generation!: Generation;
  bytes: Buffer;
  /** End of the used part of `bytes`. */
  used = 0;
  rows = 0;
  offset: Float64Array;
  from: Uint32Array;
  to: Uint32Array;
  seconds: Float64Array;
  nanos: Uint32Array;
  digits: Uint8Array;
  flags: Uint8Array;
  size: Float64Array;
  extra: Map<number, RowExtra> | undefined;
  severity: Uint8Array | undefined;
  fields: Fields | undefined;
  /** What processors dropped: rows and the bytes of the file that they stand for, by the processor's name. */
  readonly drops = new Map<string, { rows: number; bytes: number }>();
  #capacity: number;
  /** Kept between batches, so that a processor makes neither anew for each. */
  #severity: Uint8Array | undefined;
  #fields: Fields | undefined;

  /** @param bytes room for one chunk and some joined messages; grows. @param capacity rows; grows. */
  constructor(bytes = 128 * 1024, capacity = 2048) {
    this.bytes = Buffer.allocUnsafeSlow(bytes);
    this.#capacity = capacity;
    this.offset = new Float64Array(capacity);
    this.from = new Uint32Array(capacity);
    this.to = new Uint32Array(capacity);
    this.seconds = new Float64Array(capacity);
    this.nanos = new Uint32Array(capacity);
    this.digits = new Uint8Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.size = new Float64Array(capacity);
  }

  /** Forgets all rows and bytes. */
  reset(origin: Origin, generation: Generation): void {
    this.origin = origin;
    this.generation = generation;
    this.rows = 0;
    this.used = 0;
    this.extra = undefined;
    this.severity = undefined;
    this.fields = undefined;
    if (this.drops.size > 0) this.drops.clear();
  }

  /** Makes room for one more row and returns its index; the caller fills every column. */
  add(): number {
    if (this.rows === this.#capacity) this.#grow();
    if (this.severity !== undefined) this.severity[this.rows] = 0;
    if (this.fields !== undefined) this.fields.count[this.rows] = 0;
    return this.rows++;
  }

  /** Makes room for more rows and returns the first one's index; the caller fills every column. */
  addMany(count: number): number {
    while (this.rows + count > this.#capacity) this.#grow();
    const first = this.rows;
    this.rows += count;
    this.severity?.fill(0, first, this.rows);
    this.fields?.count.fill(0, first, this.rows);
    return first;
  }

  /** The column of severities, made on first use with 0 for each row. */
  severities(): Uint8Array {
    if (this.severity !== undefined) return this.severity;
    if (this.#severity === undefined || this.#severity.length < this.#capacity)
      this.#severity = new Uint8Array(this.#capacity);
    else this.#severity.fill(0, 0, this.rows);
    this.severity = this.#severity;
    return this.severity;
  }

  /** The fields, made on first use with none for each row. */
  members(): Fields {
    if (this.fields !== undefined) return this.fields;
    this.#fields ??= new Fields(this.#capacity);
    if (this.#fields.count.length < this.#capacity) this.#fields.grow(this.#capacity);
    this.#fields.reset(this.rows);
    this.fields = this.#fields;
    return this.fields;
  }

  /** Drops a row by a rule: it stays in its place, flagged, and is counted. A row is dropped once. */
  drop(row: number, processor: string): void {
    this.flags[row] = (this.flags[row] as number) | DROPPED;
    let drop = this.drops.get(processor);
    if (drop === undefined) {
      drop = { rows: 0, bytes: 0 };
      this.drops.set(processor, drop);
    }
    drop.rows++;
    drop.bytes += this.size[row] as number;
  }

  /**
   * Writes all columns of row `from` over those of row `to`. For who takes rows out or puts some in between: `from` is
   * garbage afterwards, and `rows` is the caller's to set.
   */
  move(from: number, to: number): void {
    if (from === to) return;
    this.offset[to] = this.offset[from]!;
    this.from[to] = this.from[from]!;
    this.to[to] = this.to[from]!;
    this.seconds[to] = this.seconds[from]!;
    this.nanos[to] = this.nanos[from]!;
    this.digits[to] = this.digits[from]!;
    this.flags[to] = this.flags[from]!;
    this.size[to] = this.size[from]!;
    if (this.severity !== undefined) this.severity[to] = this.severity[from]!;
    if (this.fields !== undefined) {
      this.fields.first[to] = this.fields.first[from]!;
      this.fields.count[to] = this.fields.count[from]!;
    }
    if (this.extra === undefined) return;
    const extra = this.extra.get(from);
    this.extra.delete(from);
    if (extra === undefined) this.extra.delete(to);
    else this.extra.set(to, extra);
  }

  /** Makes room for `length` more bytes after `used`. `bytes` may be another Buffer afterwards. */
  reserve(length: number): void {
    const need = this.used + length;
    if (need <= this.bytes.length) return;
    const bytes = Buffer.allocUnsafeSlow(Math.max(need, this.bytes.length * 2));
    this.bytes.copy(bytes, 0, 0, this.used);
    this.bytes = bytes;
  }

  /** The sparse part of a row, made on first use. */
  extraOf(row: number): RowExtra {
    this.extra ??= new Map();
    let extra = this.extra.get(row);
    if (extra === undefined) {
      extra = {};
      this.extra.set(row, extra);
    }
    return extra;
  }

  #grow(): void {
    this.#capacity *= 2;
    const grow = <T extends Float64Array | Uint32Array | Uint8Array>(column: T, larger: T): T => {
      larger.set(column);
      return larger;
    };
    this.offset = grow(this.offset, new Float64Array(this.#capacity));
    this.from = grow(this.from, new Uint32Array(this.#capacity));
    this.to = grow(this.to, new Uint32Array(this.#capacity));
    this.seconds = grow(this.seconds, new Float64Array(this.#capacity));
    this.nanos = grow(this.nanos, new Uint32Array(this.#capacity));
    this.digits = grow(this.digits, new Uint8Array(this.#capacity));
    this.flags = grow(this.flags, new Uint8Array(this.#capacity));
    this.size = grow(this.size, new Float64Array(this.#capacity));
    if (this.severity !== undefined)
      this.severity = this.#severity = grow(this.severity, new Uint8Array(this.#capacity));
    this.fields?.grow(this.#capacity);
  }
}
