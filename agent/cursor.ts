/**
 * Cursor: where one output stands in one container's chain. It reads the next chunk of complete lines into the
 * consumer's columns, moves on to the next generation when a file can get no more bytes, and ships an unfinished message
 * when nobody will finish it.
 */
import { Acks, type Ahead, type Ledger, type LineTime, type Position } from "./acks.ts";
import { type Rows, STDERR } from "./batch.ts";
import { Scanner, type ScannerOptions } from "./parse/scanner.ts";
import type { Place } from "./place.ts";
import type { Origin } from "./pods/origin.ts";
import type { ProcessorChain } from "./process/chain.ts";
import type { Chain } from "./tail/chain.ts";
import { endOfLines, type LogFile } from "./tail/file.ts";
import type { GunzipReader } from "./tail/gunzip.ts";

/** One read: at most this much in flight for a turn, so that no file keeps the others waiting. */
export const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

type Spot = Omit<Place, "stderr">;

export class Cursor {
  readonly chain: Chain;
  readonly acks: Acks;
  readonly scanner: Scanner;
  readonly processors: ProcessorChain;
  readonly #maxLineBytes: number;
  #ahead: Ahead | undefined;
  #file: LogFile | undefined;
  #offset: number;
  #gunzip: GunzipReader | undefined;
  /** NULs at #offset: a hole that was read past. */
  #nuls = 0;
  /** So many bytes behind them hold no line end. */
  #searched = 0;
  /** A compressed file was read to its end. */
  #atEnd = false;
  /** Why a compressed file ended before its end; "" when it did not. */
  damage = "";
  /** In the consumer's queue. */
  queued = false;
  /** Every file was read to its end and no more will come. */
  done = false;

  /** @param start where reading begins; undefined: at the chain's first file. */
  constructor(
    chain: Chain,
    options: ScannerOptions,
    processors: ProcessorChain,
    start: Position | undefined,
    onSettled: (bytes: number) => void,
    onCommit: (position: Position) => void,
  ) {
    this.chain = chain;
    this.scanner = new Scanner(options);
    this.processors = processors;
    this.#maxLineBytes = options.maxRecordBytes + CHUNK_BYTES;
    this.#file = start?.file;
    this.#offset = start?.offset ?? 0;
    this.#ahead = start?.ahead;
    if (start !== undefined) [this.scanner.lastSeconds, this.scanner.lastNanos, this.scanner.lastDigits] = start.time;
    this.acks = new Acks(start, onSettled, onCommit);
  }

  get ledger(): Ledger {
    return this.acks.ledger;
  }

  /** The file being read. */
  get file(): LogFile | undefined {
    return this.#file;
  }

  /** Bytes that the plain files hold beyond the committed position. */
  get lagBytes(): number {
    const committed = this.acks.committed;
    const { files } = this.chain;
    const from = committed === undefined ? 0 : Math.max(0, files.indexOf(committed.file));
    let lag = 0;
    for (let at = from; at < files.length; at++) {
      const file = files[at] as LogFile;
      if (!Number.isFinite(file.size)) continue;
      lag += Math.max(0, file.size - (file === committed?.file ? committed.offset : 0));
    }
    return lag;
  }

  /** Whether a turn would get further. */
  get ready(): boolean {
    if (this.done) return false;
    const file = this.#file ?? this.chain.files[0];
    if (file === undefined) return this.chain.ended;
    if (!this.#atEnd && file.size > this.#offset + this.#nuls + this.#searched)
      return file.fingerprint !== "" || file.final;
    return file.final && (file.size > this.#offset || this.chain.successor(file) !== undefined || this.chain.ended);
  }

  /** Raw bytes that stand for what was read and is no row yet. */
  get pendingBytes(): number {
    return this.scanner.pendingBytes + this.processors.pendingBytes;
  }

  /** Memory in that: bounded, whatever `pendingBytes` is. */
  get heldBytes(): number {
    return this.scanner.heldBytes + this.processors.heldBytes;
  }

  /** An unfinished message that nobody has written to for `afterMs`, or rows that a processor held long enough. */
  overdue(now: number, afterMs: number): boolean {
    if (!this.#caughtUp) return false;
    const due =
      this.scanner.pendingBytes > 0 ? now - (this.#file?.grownAt ?? now) >= afterMs : this.processors.dueAt <= now;
    // A last look: what was written since the last one may go on with what is held.
    return due && this.#file?.refresh(now) === false;
  }

  /** All that is there was read, so what is held back has not its next line waiting in the file. */
  get #caughtUp(): boolean {
    const file = this.#file;
    return file !== undefined && this.chain.last === file && file.size <= this.#offset;
  }

  /**
   * Reads one chunk. The rows are in `rows` afterwards, `rows.bytes` included; raw bytes consumed are returned, 0 when
   * there was nothing to read (but maybe another file to go on with, or rows of a message given up as unfinished).
   */
  async read(rows: Rows, origin: (file: LogFile) => Origin, now: number): Promise<number> {
    this.#file ??= this.chain.files[0];
    const file = this.#file;
    if (file === undefined) {
      this.done = this.chain.ended;
      return 0;
    }
    rows.reset(origin(file), file);
    if (this.#atEnd || file.size <= this.#offset) {
      // A last look: what came since the file was found quiet must not be left behind.
      if (file.final && !file.refresh(now)) this.#advance(rows, file, now);
      return 0;
    }
    if (!(await file.identify())) return 0;
    this.#passOver(file);
    const length = await this.#chunk(rows, file);
    // What is passed over was read, and settled, before the restart.
    const consumed = length - this.scanner.takePassed();
    this.#offset += length;
    this.ledger.read += consumed;
    this.processors.process(rows, now, Number.NEGATIVE_INFINITY);
    return consumed;
  }

  /** Lines of the stream that was ahead must not come again without the beginning of their message. */
  #passOver(file: LogFile): void {
    const ahead = this.#ahead;
    if (ahead === undefined) return;
    const { files } = this.chain;
    const left = files.indexOf(ahead.file) - files.indexOf(file);
    const before = left > 0 ? Number.POSITIVE_INFINITY : left === 0 ? ahead.offset : 0;
    const reached = this.#offset >= before;
    if (reached) this.#ahead = undefined;
    this.scanner.passOver(ahead.stderr ? STDERR : 0, reached ? -1 : before);
  }

  /** Makes rows of what is unfinished or due. @param all also of what a processor would hold for longer. */
  giveUp(rows: Rows, origin: (file: LogFile) => Origin, now: number, all = false): void {
    if (this.#file === undefined) return;
    rows.reset(origin(this.#file), this.#file);
    this.scanner.flush(rows);
    this.processors.process(rows, now, all ? Number.POSITIVE_INFINITY : now);
  }

  /**
   * Passes over whole lines that nobody wants, without reading them, and goes on with the next file. Of a compressed file
   * it takes the length that stands at its end.
   * @returns bytes passed over.
   */
  async skip(rows: Rows, origin: (file: LogFile) => Origin, now: number): Promise<number> {
    this.#file ??= this.chain.files[0];
    const file = this.#file;
    if (file === undefined) {
      this.done = this.chain.ended;
      return 0;
    }
    rows.reset(origin(file), file);
    if (file.size <= this.#offset) {
      if (file.final && !file.refresh(now)) this.#advance(rows, file, now);
      return 0;
    }
    if (!(await file.identify())) return 0;
    if (file.compressed) file.size = file.uncompressedBytes();
    const skipped = Math.max(0, (file.final ? file.size : endOfLines(file)) - this.#offset);
    if (file.final) this.#atEnd = true;
    this.#offset += skipped;
    this.#nuls = 0;
    this.#searched = skipped > 0 ? 0 : file.size - this.#offset;
    this.ledger.read += skipped;
    return skipped;
  }

  /** How far the checkpoint may go once all that was read is settled. */
  get position(): Position | undefined {
    const file = this.#file;
    if (file === undefined) return undefined;
    const { lastSeconds, lastNanos, lastDigits } = this.scanner;
    const time: LineTime = [lastSeconds, lastNanos, lastDigits];
    const end = { generation: file, offset: this.#offset };
    const stdout = this.#settledTo(false, end);
    const stderr = this.#settledTo(true, end);
    const [behind, ahead] = this.#isBefore(stderr, stdout) ? [stderr, stdout] : [stdout, stderr];
    const position = { file: behind.generation as LogFile, offset: behind.offset, time };
    if (!this.#isBefore(behind, ahead)) return position;
    return {
      ...position,
      ahead: { stderr: ahead === stderr, file: ahead.generation as LogFile, offset: ahead.offset },
    };
  }

  /** Where the stream's first unfinished message begins; else the end of what was read, or of what is passed over. */
  #settledTo(stderr: boolean, end: Spot): Spot {
    let first: Spot | undefined;
    for (const places of [this.scanner.places(), this.processors.places()])
      for (const place of places)
        if (place.stderr === stderr && (first === undefined || this.#isBefore(place, first))) first = place;
    if (first !== undefined) return first;
    const ahead = this.#ahead?.stderr === stderr ? this.#ahead : undefined;
    const passed = ahead && { generation: ahead.file, offset: ahead.offset };
    return passed !== undefined && this.#isBefore(end, passed) ? passed : end;
  }

  close(): void {
    this.#gunzip?.close();
  }

  #isBefore(a: Spot, b: Spot): boolean {
    if (a.generation === b.generation) return a.offset < b.offset;
    const { files } = this.chain;
    return files.indexOf(a.generation as LogFile) < files.indexOf(b.generation as LogFile);
  }

  async #fill(rows: Rows, file: LogFile, length: number, offset: number): Promise<number> {
    rows.used = 0;
    rows.reserve(length + CHUNK_BYTES);
    if (!file.compressed) return file.read(rows.bytes, 0, length, offset);
    this.#gunzip ??= file.gunzip();
    return this.#gunzip.read(rows.bytes, 0, length, offset);
  }

  /** Reads until the end of at least one line is in sight. @returns raw bytes that became rows or pending parts. */
  async #chunk(rows: Rows, file: LogFile): Promise<number> {
    for (let length = CHUNK_BYTES; ; ) {
      const from = this.#offset + this.#nuls;
      if (this.#searched >= this.#maxLineBytes) return this.#huge(rows, file, from);
      const got = await this.#fill(rows, file, length, from);
      const end = rows.bytes.subarray(0, got).lastIndexOf(NEWLINE) + 1;
      if (end > 0) return this.#scan(rows, end, from, false);
      if (got > 0 && isHole(rows.bytes, got)) {
        // A crash or a truncation left it; it may be gigabytes long.
        this.#nuls += got;
        this.#searched = 0;
        length = CHUNK_BYTES;
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
        if (got === 0) this.#atEnd = true;
        this.damage = this.#gunzip?.damage ?? "";
      }
      if (!file.final || got + this.#nuls === 0) return 0;
      // What stands behind the last line end of a file that gets no more bytes is a line of its own.
      return this.#scan(rows, got, from, true);
    }
  }

  #scan(rows: Rows, length: number, from: number, final: boolean): number {
    rows.used = length;
    this.scanner.scan(rows, 0, length, from, final, this.#nuls);
    return this.#taken(length);
  }

  /** @returns the bytes that a line of this length stands for: those of the hole before it too. */
  #taken(length: number): number {
    const all = this.#nuls + length;
    this.#nuls = 0;
    this.#searched = 0;
    return all;
  }

  /** A line longer than any record may be: only its head is kept, and its end looked for. */
  async #huge(rows: Rows, file: LogFile, from: number): Promise<number> {
    for (;;) {
      const got = await this.#fill(rows, file, CHUNK_BYTES, from + this.#searched);
      const end = rows.bytes.subarray(0, got).indexOf(NEWLINE);
      this.#searched += end < 0 ? got : end + 1;
      if (end < 0 && got === CHUNK_BYTES) {
        await breathe();
        continue;
      }
      if (end < 0 && !file.final) return 0;
      const rawSize = this.#searched;
      const head = await this.#fill(rows, file, Math.min(this.#maxLineBytes, rawSize), from);
      rows.used = head;
      this.scanner.scanHuge(rows, 0, head, from, rawSize + this.#nuls, this.#nuls);
      return this.#taken(rawSize);
    }
  }

  /** Goes on with the next file; the end of a container's run ends its messages too. */
  #advance(rows: Rows, file: LogFile, now: number): void {
    const next = this.chain.successor(file);
    if (next === undefined && !this.chain.ended) return;
    if (next?.log !== file.log) {
      this.scanner.flush(rows);
      this.processors.process(rows, now, Number.POSITIVE_INFINITY);
    }
    if (next === undefined) {
      this.done = true;
      return;
    }
    this.close();
    this.#gunzip = undefined;
    this.#file = next;
    this.#offset = 0;
    this.#nuls = 0;
    this.#searched = 0;
    this.#atEnd = false;
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
