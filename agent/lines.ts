/**
 * LineReader: reads one file, plain or compressed, forward from an offset, and gives a scanner complete lines. Holes of NULs
 * and lines longer than any record may be take constant memory. It notices when the bytes before its offset are no
 * longer those that it has read.
 */
import type { Rows } from "./batch.ts";
import { errorCode } from "./errors.ts";
import type { Pace } from "./pace.ts";
import type { Scanner } from "./parse/scanner.ts";
import type { LogFile } from "./tail/file.ts";
import type { GunzipReader } from "./tail/gunzip.ts";
import { MARKER_BYTES } from "./tail/identity.ts";

const MAX_CHUNK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;
/** Of one call of `continues`. */
const SEEN = Buffer.allocUnsafeSlow(MARKER_BYTES);
/** The place of a chunk in the rows that were read into last: as a view made for each read it is garbage. */
let room: Buffer = Buffer.alloc(0);

/**
 * One read: at most this much in flight for a turn, so that no file keeps the others waiting: some three milliseconds.
 * With 64 KiB the whole way took 15 % more CPU. @param memory of the output: where it is small, half of that.
 */
export function chunkBytesOf(memory: number): number {
  return Math.min(MAX_CHUNK_BYTES, Math.floor(memory / 2));
}

export class LineReader {
  readonly file: LogFile;
  readonly #chunkBytes: number;
  readonly #scanner: Scanner;
  readonly #maxLineBytes: number;
  #offset: number;
  #gunzip: GunzipReader | undefined;
  /** NULs at #offset: a hole that was read past. */
  #nuls = 0;
  /** So many bytes behind them hold no line end. */
  #searched = 0;
  /**
   * The last bytes before #offset, as they were read; empty where they are not known. Not from Node's pool: each would
   * keep 64 KB of it from being freed.
   */
  readonly #marker = Buffer.allocUnsafeSlow(MARKER_BYTES);
  #markerLength = 0;
  /** Bytes of the next chunk that are in the rows already; -1: none were read. */
  #fetched = -1;
  /** The file ended before #offset when the reader began there: it has been cut. */
  #isAstray = false;
  /** A compressed file was read to its end. */
  atEnd = false;
  /** Why a compressed file ended before its end; "" when it did not. */
  damage = "";

  /**
   * @param offset of the uncompressed file, at the head of a line. @param maxRecordBytes how much of a line is wanted.
   * @param chunkBytes of one read, at most.
   */
  constructor(file: LogFile, offset: number, scanner: Scanner, maxRecordBytes: number, chunkBytes: number) {
    this.file = file;
    this.#offset = offset;
    this.#scanner = scanner;
    this.#chunkBytes = chunkBytes;
    this.#maxLineBytes = maxRecordBytes + chunkBytes;
    file.entered = true;
    this.#remember();
  }

  /** Up to here all bytes are in rows or in the scanner's unfinished messages. */
  get offset(): number {
    return this.#offset;
  }

  /** The last bytes before the offset, as they were read, in latin1; undefined where they are not all known. */
  get before(): string | undefined {
    if (this.#markerLength < Math.min(this.#offset, MARKER_BYTES)) return undefined;
    return this.#marker.toString("latin1", 0, this.#markerLength);
  }

  /** Whether a read may find the end of a line. */
  get hasMore(): boolean {
    return !this.atEnd && this.file.size > this.#offset + this.#nuls + this.#searched;
  }

  /** Whether a compressed file is being unpacked, which takes memory. */
  get unpacking(): boolean {
    return this.#gunzip !== undefined;
  }

  /** Goes on behind lines that nobody wants. @param last nothing comes behind them. */
  passTo(offset: number, last: boolean): void {
    this.moveTo(offset);
    if (last) this.atEnd = true;
    else this.#searched = this.file.size - offset;
  }

  moveTo(offset: number): void {
    this.#offset = offset;
    this.#nuls = 0;
    this.#searched = 0;
    this.#remember();
  }

  /**
   * Whether the bytes before the offset are still those that were read, and at the head the file is who it was. They come
   * with the chunk that `read` takes next: to read them apart took 3 % of what a node that logs 10 MB/s costs.
   */
  async continues(rows: Rows): Promise<boolean> {
    const length = this.#markerLength;
    this.#fetched = -1;
    if (this.#isAstray) return false;
    if (this.#offset === 0) return this.file.compressed || (await this.file.isItself());
    if (length === 0 || this.file.compressed) return true;
    const seen = length === MARKER_BYTES ? SEEN : SEEN.subarray(0, length);
    const got = this.file.readBoth(seen, this.#room(rows), this.#offset - length) - length;
    if (got < 0 || seen.compare(this.#marker, 0, length) !== 0) return false;
    if (this.#nuls === 0) this.#fetched = got;
    return true;
  }

  /**
   * Reads until the end of at least one line is in sight, or all of a file that gets no more bytes, and scans it into
   * `rows`. @param now monotonic milliseconds. @param pace says how far lines may be read.
   * @returns raw bytes that became rows or parts of unfinished messages; 0 when there was no whole line.
   */
  async read(rows: Rows, now: number, pace: Pace | undefined): Promise<number> {
    const { file } = this;
    const taken = await this.#chunk(rows, pace);
    this.#offset += taken;
    if (taken > 0 && this.#markerLength === 0) this.#remember();
    // It has grown since the last look.
    if (this.#offset > file.size) file.resize(this.#offset, now);
    return taken;
  }

  close(): void {
    this.#gunzip?.close();
    this.#gunzip = undefined;
  }

  /** Notes the bytes before an offset to which nothing was read: the file may be cut and grow past it before the next read. */
  #remember(): void {
    this.#markerLength = 0;
    this.#isAstray = false;
    if (this.file.compressed || this.file.gone !== "" || this.#offset === 0) return;
    const length = Math.min(this.#offset, MARKER_BYTES);
    try {
      this.#isAstray = this.file.read(this.#marker, 0, length, this.#offset - length) < length;
      if (!this.#isAstray) this.#markerLength = length;
    } catch (error) {
      // Renamed or deleted this moment.
      if (errorCode(error) === "") throw error;
    }
  }

  /** Where a chunk goes. Borrowed: valid until the next call. */
  #room(rows: Rows): Buffer {
    const length = this.#chunkBytes;
    rows.used = 0;
    rows.reserve(length * 2);
    if (room.buffer !== rows.bytes.buffer || room.length !== length) room = rows.bytes.subarray(0, length);
    return room;
  }

  async #fill(rows: Rows, length: number, offset: number): Promise<number> {
    const { file } = this;
    rows.used = 0;
    rows.reserve(length + this.#chunkBytes);
    if (!file.compressed) return file.read(rows.bytes, 0, length, offset);
    this.#gunzip ??= file.gunzip();
    return this.#gunzip.read(rows.bytes, 0, length, offset);
  }

  /** Reads until the end of at least one line is in sight. @returns raw bytes that became rows or pending parts. */
  async #chunk(rows: Rows, pace: Pace | undefined): Promise<number> {
    const { file } = this;
    for (let length = this.#chunkBytes; ; ) {
      const from = this.#offset + this.#nuls;
      if (this.#searched >= this.#maxLineBytes) return this.#huge(rows, from, pace);
      const got = this.#fetched >= 0 ? this.#fetched : await this.#fill(rows, length, from);
      this.#fetched = -1;
      const end = rows.bytes.subarray(0, got).lastIndexOf(NEWLINE) + 1;
      if (end > 0) return this.#scan(rows, end, from, false, pace);
      if (got > 0 && isHole(rows.bytes, got)) {
        // A crash or a truncation left it; it may be gigabytes long.
        this.#nuls += got;
        this.#searched = 0;
        length = this.#chunkBytes;
        await breathe();
        continue;
      }
      this.#searched = got;
      if (got === length) {
        length = Math.min(length * 4, this.#maxLineBytes);
        continue;
      }
      // The file ends within a line: it is read when the rest is there, or nothing more will come.
      if (file.compressed) {
        file.size = from + got;
        this.atEnd = got === 0;
        this.damage = this.#gunzip?.damage ?? "";
      }
      if (!file.final || got + this.#nuls === 0) return 0;
      // What stands behind the last line end of a file that gets no more bytes is a line of its own.
      return this.#scan(rows, got, from, true, pace);
    }
  }

  #scan(rows: Rows, available: number, from: number, final: boolean, pace: Pace | undefined): number {
    const length = pace === undefined ? available : pace.endOf(rows.bytes, available);
    if (length === 0) return this.#wait();
    rows.used = length;
    this.#markerLength = Math.min(length, MARKER_BYTES);
    rows.bytes.copy(this.#marker, 0, length - this.#markerLength, length);
    this.#scanner.scan(rows, 0, length, from, final && length === available, this.#nuls);
    return this.#taken(length);
  }

  /** The next line must not be read yet. */
  #wait(): number {
    this.#searched = 0;
    return 0;
  }

  /** @returns the bytes that a line of this length stands for: those of the hole before it too. */
  #taken(length: number): number {
    const all = this.#nuls + length;
    this.#nuls = 0;
    this.#searched = 0;
    return all;
  }

  /** A line longer than any record may be: only its head is kept, and its end looked for. */
  async #huge(rows: Rows, from: number, pace: Pace | undefined): Promise<number> {
    for (;;) {
      const got = await this.#fill(rows, this.#chunkBytes, from + this.#searched);
      const end = rows.bytes.subarray(0, got).indexOf(NEWLINE);
      this.#searched += end < 0 ? got : end + 1;
      if (end < 0 && got === this.#chunkBytes) {
        await breathe();
        continue;
      }
      if (end < 0 && !this.file.final) return 0;
      const rawSize = this.#searched;
      const head = await this.#fill(rows, Math.min(this.#maxLineBytes, rawSize), from);
      if (pace?.endOf(rows.bytes, head) === 0) return this.#wait();
      rows.used = head;
      this.#markerLength = 0;
      this.#scanner.scanHuge(rows, 0, head, from, rawSize + this.#nuls, this.#nuls);
      return this.#taken(rawSize);
    }
  }
}

function isHole(bytes: Buffer, length: number): boolean {
  for (let at = 0; at < length; at++) if (bytes[at] !== 0) return false;
  return true;
}

/** Lets timers and sockets have their turn in the middle of something long. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
