/**
 * From raw chunks of one container's log to rows. One scanner per container log and output.
 *
 * Promises: every byte given is in the `size` of exactly one row, in `pendingBytes`, or passed over as it was told to; no line is ever dropped or
 * changes another one; every message is valid UTF-8; a line that lies whole in its chunk is not copied and costs no
 * object. What a line means is in cri.ts and docker.ts, joining in partial.ts. The caller reads files, finds the ends
 * of lines at the ends of chunks, and knows when a container has ended.
 *
 * Lines are told apart one by one: `{` can't begin a CRI line. NULs at a line's head are holes that a crash or a
 * truncation left; they are skipped and counted to the line behind them. What then fits no format, be it empty, becomes
 * a row of its own, flagged UNPARSED, with the time of the last good line before it, so that it is the same on every
 * reading. Unlike good ones it has no stream, and never ends or joins a split message. Over 300 lines with this text.
 */
import { isUtf8 } from "node:buffer";
import { type Generation, type Rows, STDERR, TRUNCATED, UNPARSED } from "../batch.ts";
import { SCAN_CRI, SCAN_DOCKER, scanKernel } from "../kernel/scan.ts";
import type { Place } from "../place.ts";
import { CR, LF, NUL, OPEN_BRACE, ZERO } from "./ascii.ts";
import { parseCri } from "./cri.ts";
import { parseDocker } from "./docker.ts";
import { Line } from "./line.ts";
import { PartialMessage } from "./partial.ts";
import { TimeParser } from "./time.ts";
import { unescapeJson } from "./unescape.ts";
import { cutBetweenCharacters, repairRows } from "./utf8.ts";

export interface ScannerOptions {
  format: "auto" | "cri" | "docker";
  /** Of one message, before invalid UTF-8 is replaced: the rest is cut off, marked and counted. */
  maxRecordBytes: number;
}

const FORMATS = { auto: SCAN_CRI | SCAN_DOCKER, cri: SCAN_CRI, docker: SCAN_DOCKER };
/** Where the kernel makes fewer rows than this at a time, it is asked less and less often, at least every so many lines. */
const WORTH_ROWS = 8;
const MOST_ODD = 64;

export class Scanner {
  /** Time of the last good line. To be set by a caller that starts in the middle of a file. */
  lastSeconds = 0;
  lastNanos = 0;
  lastDigits = 0;
  /** Counters since construction. */
  readonly counts = { criErrors: 0, dockerErrors: 0, unknownErrors: 0, truncated: 0 };
  readonly #format: ScannerOptions["format"];
  readonly #maxBytes: number;
  readonly #stdout: PartialMessage;
  readonly #stderr: PartialMessage;
  /** The one of the two that is open; when both are, the one that was opened first. */
  #oldest: PartialMessage;
  /** Where the first of the messages began that have overlapped without a break up to those that are open. */
  #mark: { generation: Generation; offset: number } | undefined;
  readonly #time = new TimeParser();
  readonly #line = new Line();
  #passedStream: 0 | typeof STDERR = 0;
  #passedBefore = -1;
  #passed = 0;

  constructor(options: ScannerOptions) {
    this.#format = options.format;
    this.#maxBytes = options.maxRecordBytes;
    this.#stdout = new PartialMessage(0, options.maxRecordBytes);
    this.#stderr = new PartialMessage(STDERR, options.maxRecordBytes);
    this.#oldest = this.#stdout;
  }

  /** Raw bytes of the file, with headers, that stand for messages not yet emitted. */
  get pendingBytes(): number {
    return this.#stdout.size + this.#stderr.size;
  }

  /** Memory in pending messages: at most 2 * maxRecordBytes, whatever `pendingBytes` is. */
  get heldBytes(): number {
    return this.#stdout.heldBytes + this.#stderr.heldBytes;
  }

  /**
   * Where a reader has to begin to find all pending messages whole, and no other one in pieces: the last place at which
   * no message was pending, always the first byte of a good line. A checkpoint must not pass it.
   */
  get pendingFrom(): { generation: Generation; offset: number } | undefined {
    return this.#oldest.generation && this.#mark;
  }

  /** First bytes of the pending messages, one of each stream at most. */
  places(): Place[] {
    const open = [this.#stdout, this.#stderr].filter(({ generation }) => generation !== undefined);
    return open.map((message) => ({
      generation: message.generation!,
      offset: message.offset,
      stderr: message === this.#stderr,
    }));
  }

  /** Passes over good lines of one stream that begin before `offset`, in whatever is read from now on. */
  passOver(stream: 0 | typeof STDERR, offset: number): void {
    this.#passedStream = stream;
    this.#passedBefore = offset;
  }

  /** Raw bytes of lines passed over since this was last asked. */
  takePassed(): number {
    const passed = this.#passed;
    this.#passed = 0;
    return passed;
  }

  /**
   * Reads complete lines, rows.bytes[from, to), whose first byte stands at `offset` in `rows.generation`, and appends
   * their rows. The last byte is LF, except when `final`: the end of a file that gets no more bytes, where the rest is
   * a line of its own.
   * @param skippedNuls so many NULs stood before `offset` at the head of the first line, and are not in bytes.
   */
  scan(rows: Rows, from: number, to: number, offset: number, final: boolean, skippedNuls = 0): void {
    if (to > from && !final && rows.bytes[to - 1] !== LF) throw new Error("A chunk ended within a line.");
    const first = rows.rows;
    const base = offset - from;
    let at = from;
    let skipped = skippedNuls;
    const kernel = scanKernel();
    // What the kernel has of the chunk, and how many lines are not worth asking it again.
    let loadedFrom = from;
    let loadedTo = from;
    let patience = 0;
    let odd = 0;
    let ascii = true;
    while (at < to || (skipped > 0 && final)) {
      if (odd > 0) odd--;
      else if (
        kernel !== undefined &&
        skipped === 0 &&
        this.#oldest.generation === undefined &&
        base + at >= this.#passedBefore
      ) {
        if (at >= loadedTo || (loadedTo < to && at > loadedFrom)) {
          loadedFrom = at;
          loadedTo = kernel.load(rows.bytes, at, to);
        }
        at = kernel.scan(rows, at, FORMATS[this.#format], base, this.#maxBytes);
        patience = kernel.scanned >= WORTH_ROWS ? 0 : Math.min(MOST_ODD, patience * 2 + 1);
        odd = patience;
        ascii &&= kernel.ascii;
        if (kernel.scanned > 0) this.#remember(rows);
        if (at === to) break;
      }
      ascii = false;
      let end = at < to ? rows.bytes.indexOf(LF, at) : -1;
      let next = end + 1;
      if (end < 0 || end >= to) end = next = to;
      this.#scanLine(rows, at, end, base + at - skipped, next - at + skipped, 0);
      skipped = 0;
      at = next;
    }
    this.#finish(rows, first, from, to, ascii);
  }

  /**
   * Reads a line that is longer than the caller can hold: bytes[from, to) is its head, and `rawSize` its whole length
   * in the file with LF and NULs. Its message is cut; a part of a split message goes on in the next line as usual. Docker writes time and stream at the end of a line, so that a
   * huge docker line can only become an UNPARSED row; docker itself never writes one of more than some 100 KiB.
   */
  scanHuge(rows: Rows, from: number, to: number, offset: number, rawSize: number, skippedNuls = 0): void {
    const first = rows.rows;
    const missing = rawSize - skippedNuls - (to - from) - 1;
    this.#scanLine(rows, from, to, offset - skippedNuls, rawSize, missing);
    this.#finish(rows, first, from, to, false);
  }

  /** The time of a line, bytes[from, to), in seconds since 1970; NaN when it has none. Changes nothing. */
  secondsOf(bytes: Buffer, from: number, to: number): number {
    const docker = this.#format === "docker" || (this.#format === "auto" && bytes[from] === OPEN_BRACE);
    const good = docker
      ? parseDocker(bytes, from, to, this.#time, this.#line)
      : parseCri(bytes, from, to, this.#time, this.#line);
    return good ? this.#time.seconds : Number.NaN;
  }

  /** Ends what is pending, oldest first: the container has ended, or was silent for too long. */
  flush(rows: Rows): void {
    while (this.#oldest.generation !== undefined) this.#close(rows, this.#oldest);
    this.#stdout.release();
    this.#stderr.release();
  }

  /** The time of the row that was added last. */
  #remember(rows: Rows): void {
    const last = rows.rows - 1;
    this.lastSeconds = rows.seconds[last]!;
    this.lastNanos = rows.nanos[last]!;
    this.lastDigits = rows.digits[last]!;
  }

  /** @param missing bytes of the line, without its LF, that follow `to` and are not there. */
  #scanLine(rows: Rows, from: number, to: number, offset: number, size: number, missing: number): void {
    const bytes = rows.bytes;
    while (from < to && bytes[from] === NUL) from++;
    const line = this.#line;
    const time = this.#time;
    const docker = this.#format === "docker" || (this.#format === "auto" && from < to && bytes[from] === OPEN_BRACE);
    const good = docker
      ? missing === 0 && parseDocker(bytes, from, to, time, line) && (!line.escaped || unescapeLine(rows, line))
      : parseCri(bytes, from, to, time, line);
    if (!good) {
      if (docker && missing > 0) line.error = "not a docker line: longer than a record may be";
      this.#addUnparsed(rows, from, to, offset, size, missing, docker);
      return;
    }
    this.lastSeconds = time.seconds;
    this.lastNanos = time.nanos;
    this.lastDigits = time.digits;
    if (offset < this.#passedBefore && line.flags === this.#passedStream) {
      this.#passed += size;
      return;
    }
    const message = line.flags === STDERR ? this.#stderr : this.#stdout;
    if (line.partial || message.generation !== undefined) {
      if (message.generation === undefined) {
        if (this.#oldest.generation === undefined) {
          this.#oldest = message;
          this.#mark = { generation: rows.generation, offset };
        }
        message.open(rows.generation, offset, time);
      }
      message.append(rows.bytes, line.from, line.to, missing, size);
      if (!line.partial) this.#close(rows, message);
      return;
    }
    if (line.escaped) rows.used = line.to;
    this.#add(rows, line.from, line.to, offset, size, line.flags, missing);
  }

  #add(rows: Rows, from: number, to: number, offset: number, size: number, flags: number, missing: number): number {
    let length = to - from + missing;
    if (missing === 0 && to > from && rows.bytes[to - 1] === CR) {
      to--;
      length--;
    }
    const truncated = missing > 0 || length > this.#maxBytes;
    if (truncated) to = cutBetweenCharacters(rows.bytes, from, Math.min(to, from + this.#maxBytes));
    const row = rows.add();
    rows.offset[row] = offset;
    rows.from[row] = from;
    rows.to[row] = to;
    rows.seconds[row] = this.lastSeconds;
    rows.nanos[row] = this.lastNanos;
    rows.digits[row] = this.lastDigits;
    rows.flags[row] = truncated ? flags | TRUNCATED : flags;
    rows.size[row] = size;
    if (truncated) {
      rows.extraOf(row).originalBytes = length;
      this.counts.truncated++;
    }
    return row;
  }

  #addUnparsed(
    rows: Rows,
    from: number,
    to: number,
    offset: number,
    size: number,
    missing: number,
    docker: boolean,
  ): void {
    let error = this.#line.error;
    const first = from < to ? rows.bytes[from]! : 0;
    if (docker) {
      this.counts.dockerErrors++;
    } else if (this.#format === "cri" || (first >= ZERO && first <= ZERO + 9)) {
      this.counts.criErrors++;
    } else {
      this.counts.unknownErrors++;
      error = "neither a CRI nor a docker line";
    }
    const row = this.#add(rows, from, to, offset, size, UNPARSED, missing);
    rows.extraOf(row).error = error;
  }

  #close(rows: Rows, message: PartialMessage): void {
    if (message.close(rows)) this.counts.truncated++;
    this.#oldest = message === this.#stdout ? this.#stderr : this.#stdout;
  }

  /**
   * Validity is checked for the whole chunk at once (36-60 GB/s); only where that fails, and for joins, by message.
   * @param ascii the kernel has seen as it scanned that nothing can be invalid: 0.9 % of what a push to Loki costs.
   */
  #finish(rows: Rows, first: number, from: number, to: number, ascii: boolean): void {
    this.#stdout.release();
    this.#stderr.release();
    if (!ascii && rows.rows > first && !isUtf8(rows.bytes.subarray(from, to))) repairRows(rows, first);
  }
}

/** Unescapes a docker line's content behind `rows.used`, without moving that, and finds whether the message ends. */
function unescapeLine(rows: Rows, line: Line): boolean {
  rows.reserve(line.to - line.from);
  const length = unescapeJson(rows.bytes, line.from, line.to, rows.used);
  if (length < 0) {
    line.error = "not a docker line: log has a broken escape";
    return false;
  }
  line.from = rows.used;
  line.to = rows.used + length;
  line.partial = length === 0 || rows.bytes[line.to - 1] !== LF;
  if (!line.partial) line.to--;
  return true;
}
