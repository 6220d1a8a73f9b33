/**
 * Cursor: where one output stands in one container's chain. It reads the next chunk of complete lines into the
 * consumer's columns, moves on to the next generation when a file can get no more bytes, and ships an unfinished message
 * when nobody will finish it. What it can't read any more it counts as lost, and goes on behind it.
 *
 * More than 300 lines, since reading, passing over, giving up and the checkpoint's place all turn on one position.
 */
import { Acks, type Ahead, type Ledger, type LineTime, type Position } from "./acks.ts";
import { type Rows, STDERR } from "./batch.ts";
import { chunkBytesOf, LineReader } from "./lines.ts";
import type { Pace } from "./pace.ts";
import { Scanner, type ScannerOptions } from "./parse/scanner.ts";
import type { Place } from "./place.ts";
import type { Origin } from "./pods/origin.ts";
import type { ProcessorChain } from "./process/chain.ts";
import { seekAfter } from "./seek.ts";
import type { Chain } from "./tail/chain.ts";
import type { LogFile, Loss } from "./tail/file.ts";
import { endOfLines } from "./tail/line-ends.ts";

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

type Spot = Omit<Place, "stderr">;

export interface CursorOptions extends ScannerOptions {
  /** Raw bytes in flight, at most. */
  readonly memory: number;
}

export class Cursor {
  readonly chain: Chain;
  readonly acks: Acks;
  readonly scanner: Scanner;
  readonly processors: ProcessorChain;
  readonly #options: CursorOptions;
  readonly #events: CursorEvents;
  #ahead: Ahead | undefined;
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
  constructor(
    chain: Chain,
    options: CursorOptions,
    processors: ProcessorChain,
    start: Position | undefined,
    events: CursorEvents,
  ) {
    this.chain = chain;
    this.processors = processors;
    this.#ahead = start?.ahead;
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

  /** The first file that it reads, or may have to read again: what is read but not settled is, by an output rebuilt. */
  get needed(): LogFile | undefined {
    return (this.acks.idle ? this.position : this.acks.committed)?.file ?? this.chain.files[0];
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

  /** Raw bytes that stand for what was read and is no row yet. */
  get pendingBytes(): number {
    return this.scanner.pendingBytes + this.processors.pendingBytes;
  }

  /** Whether something waits for its end, or for its time. */
  get isOpen(): boolean {
    return this.scanner.pendingBytes > 0 || this.processors.dueAt < Number.POSITIVE_INFINITY;
  }

  /** Memory in that: bounded, whatever `pendingBytes` is. */
  get heldBytes(): number {
    return this.scanner.heldBytes + this.processors.heldBytes;
  }

  /** An unfinished message that nobody has written to for `afterMs`, or rows that a processor held long enough. */
  overdue(now: number, afterMs: number): boolean {
    const lines = this.#lines;
    // All that is there was read, so what is held back has not its next line waiting in the file.
    if (lines === undefined || this.chain.last !== lines.file || lines.file.size > lines.offset) return false;
    const due = this.scanner.pendingBytes > 0 ? now - lines.file.grownAt >= afterMs : this.processors.dueAt <= now;
    // A last look: what was written since the last one may go on with what is held.
    return due && !lines.file.refresh(now);
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

  /** Makes rows of what is unfinished or due. @param all also of what a processor would hold for longer. */
  flush(rows: Rows, origin: (file: LogFile) => Origin, now: number, all = false): void {
    const { file } = this;
    if (file === undefined) return;
    rows.reset(origin(file), file);
    this.scanner.flush(rows);
    this.processors.process(rows, now, all ? Number.POSITIVE_INFINITY : now);
  }

  /**
   * Passes over whole lines that nobody wants, without reading them, and goes on with the next file. Of a compressed file
   * it takes the length that stands at its end.
   * @returns bytes passed over.
   */
  async skip(rows: Rows, origin: (file: LogFile) => Origin, now: number): Promise<number> {
    const file = this.#current;
    if (file === undefined) {
      this.done = this.chain.ended;
      return 0;
    }
    this.#lines ??= this.#linesOf(file);
    rows.reset(origin(file), file);
    const lines = this.#lines;
    const isHere = !this.#isLost(file) && !lines.atEnd && (file.compressed || file.size > lines.offset);
    // Where there is nothing to pass over, reading knows what to do next.
    if (!isHere || !(await file.identify())) return this.#read(rows, lines, now);
    if (file.compressed) file.size = file.uncompressedBytes();
    const end = file.final ? file.size : endOfLines(file);
    const skipped = Math.max(0, end - lines.offset);
    lines.passTo(Math.max(end, lines.offset), file.final);
    this.ledger.read += skipped;
    return skipped;
  }

  /** How far the checkpoint may go once all that was read is settled. */
  get position(): Position | undefined {
    const lines = this.#lines;
    if (lines === undefined) return undefined;
    const time = this.lastTime;
    if (this.#ahead === undefined && this.scanner.pendingBytes === 0 && !this.processors.mayHold)
      return { file: lines.file, offset: lines.offset, time, before: lines.before };
    const end = { generation: lines.file, offset: lines.offset };
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

  /** Of the last good line that was read. */
  get lastTime(): LineTime {
    const { lastSeconds, lastNanos, lastDigits } = this.scanner;
    return [lastSeconds, lastNanos, lastDigits];
  }

  close(): void {
    this.#lines?.close();
  }

  #isBefore(a: Spot, b: Spot): boolean {
    if (a.generation === b.generation) return a.offset < b.offset;
    const { files } = this.chain;
    return files.indexOf(a.generation as LogFile) < files.indexOf(b.generation as LogFile);
  }

  /** Lines of the stream that was ahead must not come again without the beginning of their message. */
  #passOver({ file, offset }: LineReader): void {
    const ahead = this.#ahead;
    if (ahead === undefined) return;
    const { files } = this.chain;
    const left = files.indexOf(ahead.file) - files.indexOf(file);
    const before = left > 0 ? Number.POSITIVE_INFINITY : left === 0 ? ahead.offset : -1;
    const done = offset >= before;
    if (done) this.#ahead = undefined;
    // The offset means nothing in the next file.
    this.scanner.passOver(ahead.stderr ? STDERR : 0, done ? -1 : before);
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
      this.#advance(rows, file, now);
      return 0;
    }
    // Somebody cut the file behind what was read: new lines stand where it ends now.
    if (file.size < lines.offset && !file.compressed) lines.moveTo(file.size);
    if (lines.atEnd || file.size <= lines.offset) {
      // A last look: what came since the file was found quiet must not be left behind.
      if (file.final && !file.refresh(now)) this.#advance(rows, file, now);
      return 0;
    }
    if (!(await file.identify())) {
      if (file.compressed) this.#unreadable(lines);
      return 0;
    }
    if (!(await lines.continues(rows))) {
      // It was cut and has grown again since the last look.
      if (await file.isItself()) lines.moveTo(seekAfter(file, this.#options, 0, this.lastTime));
      else file.doubt(lines.offset);
      return 0;
    }
    const expected = file.expectedBytes;
    this.#passOver(lines);
    const length = await lines.read(rows, now, this.pace);
    // What is passed over was read, and settled, before the restart.
    const taken = length - this.scanner.takePassed();
    this.ledger.read += taken;
    this.processors.process(rows, now, Number.NEGATIVE_INFINITY);
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
  #advance(rows: Rows, file: LogFile, now: number): void {
    const next = this.chain.successor(file);
    if (next === undefined && !this.chain.ended) return;
    if (next?.log !== file.log || this.#gap) {
      this.scanner.flush(rows);
      this.processors.process(rows, now, Number.POSITIVE_INFINITY);
    }
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
    const { maxRecordBytes, memory } = this.#options;
    return new LineReader(file, offset, this.scanner, maxRecordBytes, chunkBytesOf(memory));
  }
}
