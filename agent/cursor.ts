/**
 * Cursor: where one output stands in one container's chain. It reads the next chunk of complete lines into the
 * consumer's columns, moves on to the next generation when a file can get no more bytes, and ships an unfinished message
 * when nobody will finish it. What it can't read any more it counts as lost, and goes on behind it.
 */
import { Acks, type Ledger, type LineTime, type Position } from "./acks.ts";
import type { Rows } from "./batch.ts";
import { LineReader } from "./lines.ts";
import type { Pace } from "./pace.ts";
import { Scanner, type ScannerOptions } from "./parse/scanner.ts";
import type { Origin } from "./pods/origin.ts";
import { seekAfter } from "./seek.ts";
import type { Chain } from "./tail/chain.ts";
import type { LogFile, Loss } from "./tail/file.ts";

/** Bytes of a file that nobody will read. */
export interface LostRange {
  readonly file: LogFile;
  readonly from: number;
  /** Infinity where it is not known. */
  readonly to: number;
  readonly reason: Loss | "backlog";
}

/** What a cursor tells its consumer. */
export interface CursorEvents {
  /** Raw bytes to give back to the budget. */
  settled(bytes: number): void;
  committed(position: Position): void;
  lost(range: LostRange): void;
}

export class Cursor {
  readonly chain: Chain;
  readonly acks: Acks;
  readonly scanner: Scanner;
  readonly #options: ScannerOptions;
  readonly #events: CursorEvents;
  #lines: LineReader | undefined;
  /** Bytes before the ones that come next are lost. */
  #gap = false;
  /** Files of which nothing more is wanted; their rest is counted as lost already. */
  readonly #abandoned = new Set<LogFile>();
  /** Where reading begins in files that are still to come; 0 where nothing is said. */
  readonly #starts = new Map<LogFile, number>();
  /** In the consumer's queue. */
  queued = false;
  /** A read is under way. */
  #reading = false;
  /** Every file was read to its end and no more will come. */
  done = false;
  /** Says how far it may be read, where that depends on others. */
  pace: Pace | undefined;

  /** @param start where reading begins; undefined: at the chain's first file. */
  constructor(chain: Chain, options: ScannerOptions, start: Position | undefined, events: CursorEvents) {
    this.chain = chain;
    this.scanner = new Scanner(options);
    this.#options = options;
    this.#events = events;
    if (start !== undefined) {
      this.#lines = this.#linesOf(start.file, start.offset);
      [this.scanner.lastSeconds, this.scanner.lastNanos, this.scanner.lastDigits] = start.time;
    }
    this.acks = new Acks(start, events.settled, events.committed);
  }

  get ledger(): Ledger {
    return this.acks.ledger;
  }

  /** The file being read. */
  get file(): LogFile | undefined {
    return this.#lines?.file;
  }

  /** Where the next read of it begins. */
  get offset(): number {
    return this.#lines?.offset ?? 0;
  }

  /** Up to where a file is read, or left out. */
  offsetIn(file: LogFile): number {
    return file === this.file ? this.offset : (this.#starts.get(file) ?? 0);
  }

  /** Whether a compressed file is being unpacked, which takes memory. */
  get unpacking(): boolean {
    return this.#lines?.unpacking === true;
  }

  /** Bytes that the files hold beyond the committed position. */
  get lagBytes(): number {
    return this.#bytesFrom(this.acks.committed);
  }

  /** Bytes that are there to be read. */
  get unreadBytes(): number {
    return this.#bytesFrom(this.#lines);
  }

  /** Whether a turn would get further. */
  get ready(): boolean {
    if (this.done) return false;
    const file = this.#current;
    if (file === undefined) return this.chain.ended;
    const onward = this.chain.successor(file) !== undefined || this.chain.ended;
    if (this.#isLost(file)) return onward || !this.#abandoned.has(file);
    if (file.doubted) return false;
    const { offset } = this;
    if (file.size < offset && !file.compressed) return true;
    if (this.#lines?.hasMore ?? file.size > 0) return file.fingerprint !== "" || file.final;
    return file.final && (file.size > offset || onward);
  }

  /** Whether there are bytes to read, now or once it is certain that the file they follow gets no more. */
  get unread(): boolean {
    return this.ready || (this.file !== undefined && !this.done && this.chain.successor(this.file) !== undefined);
  }

  /** An unfinished message, and nobody has written for `afterMs`. */
  overdue(now: number, afterMs: number): boolean {
    const lines = this.#lines;
    if (lines === undefined || this.scanner.pendingBytes === 0) return false;
    const { file, offset } = lines;
    return this.chain.last === file && file.size <= offset && now - file.grownAt >= afterMs;
  }

  /** Whether something of this file is still to be read. */
  needs(file: LogFile): boolean {
    if (this.done || this.#abandoned.has(file)) return false;
    const { files } = this.chain;
    return this.file === undefined || files.indexOf(file) >= files.indexOf(this.file);
  }

  /** Gives up what is unread of a file. @returns false while a read of it is under way: try again. */
  abandon(file: LogFile, reason: LostRange["reason"]): boolean {
    if (file === this.file && this.#reading) return false;
    const from = this.offsetIn(file);
    this.#abandoned.add(file);
    if (file.size > from) this.#lose(file, from, file.size, reason);
    return true;
  }

  /** Leaves out what stands before a position further on, and counts it as lost. */
  skipTo(file: LogFile, offset: number, reason: LostRange["reason"]): void {
    for (const older of this.chain.files) {
      if (older === file) break;
      if (this.needs(older)) this.abandon(older, reason);
    }
    const from = this.offsetIn(file);
    if (offset <= from || (file === this.file && this.#reading)) return;
    this.#lose(file, from, offset, reason);
    if (file === this.file) this.#lines?.moveTo(offset);
    else this.#starts.set(file, offset);
  }

  /**
   * Reads one chunk. The rows are in `rows` afterwards, `rows.bytes` included; raw bytes consumed are returned, 0 when
   * there was nothing to read (but maybe another file to go on with, or rows of a message given up as unfinished).
   */
  async read(rows: Rows, origin: (file: LogFile) => Origin, now: number): Promise<number> {
    const file = this.#current;
    if (file === undefined) {
      this.done = this.chain.ended;
      return 0;
    }
    this.#lines ??= this.#linesOf(file);
    rows.reset(origin(file), file);
    this.#reading = true;
    try {
      return await this.#read(rows, this.#lines, now);
    } finally {
      this.#reading = false;
    }
  }

  /** Makes rows of what is unfinished. */
  flush(rows: Rows, origin: (file: LogFile) => Origin): void {
    const { file } = this;
    if (file === undefined) return;
    rows.reset(origin(file), file);
    this.scanner.flush(rows);
  }

  /** How far the checkpoint may go once all that was read is settled. */
  get position(): Position | undefined {
    const pending = this.scanner.pendingFrom;
    const time = this.lastTime;
    if (pending !== undefined) return { file: pending.generation as LogFile, offset: pending.offset, time };
    return this.#lines && { file: this.#lines.file, offset: this.#lines.offset, time };
  }

  /** Of the last good line that was read. */
  get lastTime(): LineTime {
    const { lastSeconds, lastNanos, lastDigits } = this.scanner;
    return [lastSeconds, lastNanos, lastDigits];
  }

  close(): void {
    this.#lines?.close();
  }

  get #current(): LogFile | undefined {
    return this.#lines?.file ?? this.chain.files[0];
  }

  #isLost(file: LogFile): boolean {
    return file.gone !== "" || this.#abandoned.has(file);
  }

  #bytesFrom(position: { file: LogFile; offset: number } | undefined): number {
    const { files } = this.chain;
    let bytes = 0;
    for (let at = position === undefined ? 0 : Math.max(0, files.indexOf(position.file)); at < files.length; at++) {
      const file = files[at] as LogFile;
      if (file.left || this.#isLost(file)) continue;
      const from = file === position?.file ? position.offset : (this.#starts.get(file) ?? 0);
      bytes += Math.max(0, file.expectedBytes - from);
    }
    return bytes;
  }

  #lose(file: LogFile, from: number, to: number, reason: LostRange["reason"]): void {
    const bytes = Number.isFinite(to) ? to - from : 0;
    if (file === this.#current) this.#gap = true;
    this.ledger.lost.set(reason, (this.ledger.lost.get(reason) ?? 0) + bytes);
    this.#events.lost({ file, from, to, reason });
  }

  async #read(rows: Rows, lines: LineReader, now: number): Promise<number> {
    const { file } = lines;
    if (this.#isLost(file)) {
      if (!this.#abandoned.has(file)) this.#giveUp(lines);
      this.#advance(rows, file);
      return 0;
    }
    // Somebody cut the file behind what was read: new lines stand where it ends now.
    if (file.size < lines.offset && !file.compressed) lines.moveTo(file.size);
    if (lines.atEnd || file.size <= lines.offset) {
      // A last look: what came since the file was found quiet must not be left behind.
      if (file.final && !file.refresh(now)) this.#advance(rows, file);
      return 0;
    }
    if (!(await file.identify())) {
      if (file.compressed) this.#unreadable(lines);
      return 0;
    }
    if (!lines.continues()) {
      // It was cut and has grown again since the last look.
      if (await file.isItself()) lines.moveTo(seekAfter(file, this.#options, 0, this.lastTime));
      else file.doubt(lines.offset);
      return 0;
    }
    const expected = file.expectedBytes;
    const taken = await lines.read(rows, now, this.pace);
    this.ledger.read += taken;
    if (lines.atEnd && lines.damage !== "") this.#lose(file, file.size, Math.max(file.size, expected), "damaged");
    return taken;
  }

  /** The rest of a file is gone before it was read. */
  #giveUp({ file, offset }: LineReader): void {
    this.#abandoned.add(file);
    // What came between the last look and the cut nobody knows.
    if (file.gone === "truncated")
      this.#lose(file, offset, file.size > offset ? file.size : Number.POSITIVE_INFINITY, file.gone);
    else if (file.gone !== "" && file.size > offset) this.#lose(file, offset, file.size, file.gone);
  }

  /** Nothing can be unpacked of a compressed file: it is empty, or damaged from its first byte. */
  #unreadable(lines: LineReader): void {
    const { file } = lines;
    if (file.damage !== "") file.lose("damaged");
    else {
      file.size = 0;
      lines.atEnd = true;
    }
  }

  /** Goes on with the next file; the end of a container's run ends its messages too, and so does a gap. */
  #advance(rows: Rows, file: LogFile): void {
    const next = this.chain.successor(file);
    if (next === undefined && !this.chain.ended) return;
    if (next?.log !== file.log || this.#gap) this.scanner.flush(rows);
    this.#gap = next !== undefined && (this.#abandoned.has(next) || this.#starts.has(next));
    if (next === undefined) {
      this.done = true;
      return;
    }
    this.close();
    this.#abandoned.delete(file);
    this.#lines = this.#linesOf(next);
  }

  #linesOf(file: LogFile, offset = this.#starts.get(file) ?? 0): LineReader {
    this.#starts.delete(file);
    return new LineReader(file, offset, this.scanner, this.#options.maxRecordBytes);
  }
}
