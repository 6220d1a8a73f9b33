/**
 * Multiline: joins lines that belong together, as those of a stack trace, into one row, by stream.
 *
 * Promises: no line is lost, doubled or moved past another one of its stream; the joined row has the place and time of
 * its first line, the sum of all sizes, and the lines' texts with line ends between them. How lines are joined depends
 * on what they say and on their own times alone, so it is the same on every reading: a line that comes `timeout` after
 * the one before it begins anew, and only a group that nobody has added to for as long is given back by the clock.
 * A group that reaches `maxLines` or `maxBytes` goes on as a further row. Held are at most two groups, so
 * 2 * maxBytes, and of a closed group nothing.
 *
 * What cannot be part of a group passes untouched: rows that are no line of a log, that a rule dropped, that `match`
 * leaves out; and rows with fields, which end one.
 */
import { DROPPED, type Rows, STDERR, SUMMARY, UNPARSED } from "../batch.ts";
import type { Place } from "../place.ts";
import { Group } from "./group.ts";
import type { Holder, Match, Processor } from "./processor.ts";
import type { Joiner } from "./trace.ts";

/**
 * Milliseconds beyond `timeout` before the clock ends a group: a line that the runtime stamped in time, but wrote or we
 * saw a little later, must not find it gone.
 */
const GRACE = 250;

export interface MultilineOptions {
  /** Milliseconds. */
  readonly timeout: number;
  readonly maxLines: number;
  /** Of a joined message. */
  readonly maxBytes: number;
}

export class Multiline implements Processor, Holder {
  readonly name = "multiline";
  readonly #joiner: Joiner;
  readonly #options: MultilineOptions;
  readonly #match: Match | undefined;
  readonly #stdout: Group;
  readonly #stderr: Group;
  #opened = 0;
  /** Where the next row of the batch goes: never behind the one that is looked at. */
  #put = 0;

  constructor(joiner: Joiner, options: MultilineOptions, match: Match | undefined) {
    this.#joiner = joiner;
    this.#options = options;
    this.#match = match;
    this.#stdout = new Group(options.maxBytes);
    this.#stderr = new Group(options.maxBytes);
  }

  get holder(): Holder {
    return this;
  }

  get pendingBytes(): number {
    return this.#stdout.size + this.#stderr.size;
  }

  get heldBytes(): number {
    return this.#stdout.heldBytes + this.#stderr.heldBytes;
  }

  places(): readonly Place[] {
    const open = [this.#stdout, this.#stderr].filter(({ state }) => state !== 0);
    return open.map((group) => ({
      generation: group.generation,
      offset: group.offset,
      stderr: group === this.#stderr,
    }));
  }

  get dueAt(): number {
    return Math.min(this.#dueAt(this.#stdout), this.#dueAt(this.#stderr));
  }

  process(rows: Rows, now: number): void {
    const all = this.#match === undefined ? true : this.#match.ofOrigin(rows.origin);
    const held = this.#stdout.rows + this.#stderr.rows;
    if (all === false && held === 0) return;
    // Room in front for the rows that are given back: each stands before the later ones of its stream.
    const end = rows.rows + held;
    for (let i = 0; i < held; i++) rows.add();
    if (held > 0) for (let row = end - held - 1; row >= 0; row--) rows.move(row, row + held);
    this.#put = 0;
    if (all === false) {
      this.#close(rows, this.#stdout);
      this.#close(rows, this.#stderr);
    }
    for (let row = held; row < end; row++) {
      const flags = rows.flags[row]!;
      const passes =
        all === false ||
        (flags & (UNPARSED | SUMMARY | DROPPED)) !== 0 ||
        (all === undefined && !this.#match!.ofRow(rows, row));
      if (passes) rows.move(row, this.#put++);
      else this.#look(rows, row, (flags & STDERR) !== 0 ? this.#stderr : this.#stdout, now);
    }
    rows.rows = this.#put;
    this.#settle(rows, this.#stdout);
    this.#settle(rows, this.#stderr);
  }

  release(rows: Rows, now: number): void {
    for (;;) {
      const oldest = this.#oldest;
      const newer = oldest === this.#stdout ? this.#stderr : this.#stdout;
      const due = [oldest ?? newer, newer].find((group) => group.state !== 0 && this.#dueAt(group) <= now);
      if (due === undefined) break;
      this.#put = rows.rows;
      for (let i = due.rows; i > 0; i--) rows.add();
      this.#close(rows, due);
      due.release();
    }
  }

  #dueAt(group: Group): number {
    return group.state === 0 ? Number.POSITIVE_INFINITY : group.touchedAt + this.#options.timeout + GRACE;
  }

  get #oldest(): Group | undefined {
    const [stdout, stderr] = [this.#stdout, this.#stderr];
    if (stdout.state === 0) return stderr.state === 0 ? undefined : stderr;
    return stderr.state === 0 || stdout.sequence < stderr.sequence ? stdout : stderr;
  }

  #look(rows: Rows, row: number, group: Group, now: number): void {
    const from = rows.from[row]!;
    const to = rows.to[row]!;
    const structured = rows.fields !== undefined && rows.fields.count[row]! > 0;
    let state = 0;
    if (group.state !== 0) {
      if (!structured && !this.#isLate(rows, row, group)) {
        state = this.#joiner.step(group.state, rows.bytes, from, to);
      }
      if (state !== 0 && this.#hasRoom(rows, row, group)) {
        group.touchedAt = now;
        if (state > 0) group.add(rows, row, state);
        else group.addMaybe(rows, row, -state);
        return;
      }
      this.#close(rows, group);
    }
    // What a bound has cut off goes on in the state that it has reached.
    if (state === 0 && !structured) state = this.#joiner.step(0, rows.bytes, from, to);
    if (state <= 0) {
      rows.move(row, this.#put++);
      return;
    }
    group.sequence = this.#opened++;
    group.touchedAt = now;
    group.open(rows, row, state);
  }

  /** Whether the row's line came so long after the group's last one that it is none of it. */
  #isLate(rows: Rows, row: number, group: Group): boolean {
    const seconds = rows.seconds[row]! - group.seconds;
    return seconds * 1000 + (rows.nanos[row]! - group.nanos) / 1e6 > this.#options.timeout;
  }

  #hasRoom(rows: Rows, row: number, group: Group): boolean {
    const lines = group.lines + (group.hasMaybe ? 1 : 0);
    return lines < this.#options.maxLines && group.fits(rows, row);
  }

  #close(rows: Rows, group: Group): void {
    if (group.state !== 0) this.#put += group.close(rows, this.#put);
  }

  /** The batch ends. */
  #settle(rows: Rows, group: Group): void {
    if (group.state === 0) group.release();
    else group.store(rows);
  }
}
