/**
 * Consumer: one per output. Gives each container with unread bytes a turn of one chunk, as far as the output's byte
 * budget goes: read, scan, process, hand to the lane. And the way back: what the lane settles moves the container's
 * checkpoint. More than 300 lines, since turns, ticks and accounts work on one state that nobody else may touch.
 */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Position, Receipt } from "./acks.ts";
import { type Backlog, limitBacklog } from "./backlog.ts";
import { type Batch, Rows } from "./batch.ts";
import { Budget } from "./budget.ts";
import { type Clock, untilBeat } from "./clock.ts";
import { Convoys } from "./convoy.ts";
import { Cursor, type CursorOptions } from "./cursor.ts";
import { errorCode, errorText } from "./errors.ts";
import { chunkBytesOf } from "./lines.ts";
import { type Log, Throttle } from "./log.ts";
import { Losses } from "./losses.ts";
import { Pace } from "./pace.ts";
import type { Scanner } from "./parse/scanner.ts";
import type { ContainerLog, Origin } from "./pods/origin.ts";
import { ProcessorChain, type Steps } from "./process/chain.ts";
import { restore, save } from "./resume.ts";
import type { Chain } from "./tail/chain.ts";
import type { Checkpoints, SavedPosition } from "./tail/checkpoints.ts";
import type { LogFile } from "./tail/file.ts";
import type { Holder } from "./tail/hold.ts";
import { Turns } from "./turns.ts";

/** Pod facts, as consumers need them. */
export interface Origins {
  origin(log: ContainerLog): Origin;
  /** Whether reading may begin: the pod is known, or was waited for long enough. */
  settled(log: ContainerLog): boolean;
}

/** What becomes of records on their way to the lane. */
export interface Routing extends Steps {
  /** The rule by which no record of this origin gets through, so that nothing need be read; undefined when some may. */
  refusal(origin: Origin): string | undefined;
}

/** The lane, as consumers need it. */
export interface Sink {
  append(batch: Batch, receipt: Receipt): void;
}

export interface ConsumerOptions extends CursorOptions {
  readonly name: string;
  readonly startAt: "beginning" | "end";
  /** Milliseconds after which an unfinished message of a silent container is shipped. */
  readonly partialTimeout: number;
  /** How far it may be behind; what is older is left out. */
  readonly maxBacklog: Backlog;
  /** Containers for which it gives the same text are read at one pace, see convoy.ts. */
  readonly convoy?: ((origin: Origin) => string) | undefined;
}

/** Counted per turn, never per row. */
export interface ConsumerEvents {
  read(bytes: number, rows: number): void;
  /** By a rule: a processor, or what else keeps a record from the output. Rows that were not read are not known: 0. */
  dropped(processor: string, bytes: number, rows: number): void;
  /** Bytes that were never read; 0 where nobody knows how many. */
  lost(bytes: number, reason: string): void;
}

// Timers and sockets get theirs after the turn that goes beyond this; one takes some three milliseconds.
const SLICE_MS = 5;
const TICK_MS = 250;
// What comes with time alone is asked for at each tick; else a tick is a safety net, and to wake up for it four times a
// second is a fifth of what an idle agent costs.
const REST_MS = 2000;
// Timers may come early by a few milliseconds.
const WAKE_MS = REST_MS - 50;
/** Compressed files that are unpacked at once: each takes some 50 KB. */
const MAX_UNPACKING = 16;

export class Consumer implements Holder {
  readonly name: string;
  readonly budget: Budget;
  readonly #chunkBytes: number;
  readonly cursors = new Map<Chain, Cursor>();
  readonly #options: ConsumerOptions;
  readonly #origins: Origins;
  readonly #routing: Routing;
  readonly #sink: Sink;
  readonly #checkpoints: Checkpoints;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #events: ConsumerEvents;
  readonly #onLeft: (chain: Chain) => void;
  readonly #onDone: (chain: Chain) => void;
  readonly #rows = new Rows();
  /** Of messages that are given up: `#rows` may be in the middle of a read then. */
  readonly #unfinished = new Rows(4096, 16);
  readonly #convoys: Convoys<Pace> | undefined;
  readonly #ready = new Turns<Cursor>();
  /** Cursors whose pod is still being looked up. */
  readonly #unsettled = new Set<Cursor>();
  /** Cursors with an unfinished message, or rows that a processor holds: time may bring them on. */
  readonly #open = new Set<Cursor>();
  /** What the processors of cursors that are gone counted. */
  readonly #processed = new Map<string, number>();
  readonly #counted = { criErrors: 0, dockerErrors: 0, unknownErrors: 0, truncated: 0 };
  readonly #firstRun: boolean;
  /** Ends listening to the checkpoints. */
  readonly #deafen: () => void;
  readonly #originOf = ({ log }: LogFile): Origin => this.#origins.origin(log);
  readonly #throttle: Throttle;
  readonly #losses: Losses;
  #wake: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Milliseconds after which the timer comes at the latest. */
  #restMs = Number.POSITIVE_INFINITY;
  #wokenAt = Number.NEGATIVE_INFINITY;
  #stopping = false;
  #stopped: Promise<void> = Promise.resolve();
  /** Monotonic milliseconds when a byte last moved in or out. */
  movedAt = 0;

  /** @param onLeft called when all of a file is settled. @param onDone called once the last byte of a vanished container is settled. */
  constructor(
    options: ConsumerOptions,
    origins: Origins,
    routing: Routing,
    sink: Sink,
    checkpoints: Checkpoints,
    clock: Clock,
    log: Log,
    events: ConsumerEvents,
    onLeft: (chain: Chain) => void,
    onDone: (chain: Chain) => void,
  ) {
    this.name = options.name;
    this.budget = new Budget(options.memory);
    this.#chunkBytes = chunkBytesOf(options.memory);
    this.#options = options;
    this.#origins = origins;
    this.#routing = routing;
    this.#sink = sink;
    this.#checkpoints = checkpoints;
    this.#clock = clock;
    this.#log = log;
    this.#events = events;
    this.#onLeft = onLeft;
    this.#onDone = onDone;
    this.#losses = new Losses(options.name, log, (bytes, reason) => events.lost(bytes, reason));
    this.#throttle = new Throttle(60_000, () => clock.monotonic());
    this.#convoys = options.convoy === undefined ? undefined : new Convoys(options.convoy);
    this.#firstRun = !checkpoints.has(options.name);
    checkpoints.add(options.name);
    this.#deafen = checkpoints.onSaved(() => this.#free(this.#convoys?.freed()));
  }

  start(): void {
    this.#schedule();
    this.#stopped = this.#run();
  }

  /** Stops reading. What was read is still settled while the lane lives. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    this.#deafen();
    this.#signal();
    await this.#stopped;
    for (const cursor of this.cursors.values()) cursor.close();
  }

  /** @param early the chain was there when the agent started. */
  attach(chain: Chain, early: boolean): void {
    const saved = this.#checkpoints.get(this.name, chain.key);
    const start = restore(chain, saved, this.#options, early && this.#firstRun);
    let file = start.position?.file;
    const cursor = new Cursor(chain, this.#options, new ProcessorChain(this.#routing), start.position, {
      settled: (bytes) => {
        this.budget.give(bytes);
        this.movedAt = this.#clock.monotonic();
      },
      committed: (position) => {
        this.#commit(cursor, position);
        if (position.file !== file) this.#onLeft(chain);
        file = position.file;
      },
      lost: (range) => this.#losses.report(chain.key, range),
    });
    const convoys = this.#convoys;
    if (convoys !== undefined) {
      const durable = (): SavedPosition | undefined | "unknown" => this.#checkpoints.durable(this.name, chain.key);
      cursor.pace = new Pace(cursor, convoys, durable);
    }
    this.cursors.set(chain, cursor);
    if (saved !== undefined && start.lost > 0) {
      cursor.ledger.lost.set("deleted", Number.isFinite(start.lost) ? start.lost : 0);
      this.#losses.reportGone(chain.key, saved, start.lost);
    }
    if (start.position !== undefined) this.#save(cursor, start.position);
    this.#join(cursor);
    this.wake(chain);
  }

  /** Forgets the places in containers that are gone since the last run. To be called once all are attached. */
  forgetGone(): void {
    const known = new Set([...this.cursors.keys()].map(({ key }) => key));
    for (const [key, saved] of this.#checkpoints.entries(this.name)) {
      // A folder that is there may yet get its link back.
      if (known.has(key) || existsSync(dirname(saved.path))) continue;
      if (saved.size > saved.offset) this.#losses.reportGone(key, saved, saved.size - saved.offset);
      this.#checkpoints.delete(this.name, key);
    }
  }

  /** Stops reading a chain. Its checkpoint stays, in case it is followed again. */
  detach(chain: Chain): void {
    const cursor = this.cursors.get(chain);
    if (cursor === undefined) return;
    this.cursors.delete(chain);
    this.#open.delete(cursor);
    cursor.close();
    this.#free(this.#convoys?.left(cursor.pace));
    add(this.#counted, cursor.scanner.counts);
  }

  /** Something about the chain changed: it grew, or has another file. */
  wake(chain: Chain): void {
    const cursor = this.cursors.get(chain);
    if (cursor === undefined || cursor.queued || !cursor.ready || this.#convoys?.isParked(cursor.pace) === true) return;
    cursor.queued = true;
    this.#ready.push(cursor, cursor.unreadBytes <= this.#chunkBytes);
    this.#signal();
  }

  /** What the scanners of all containers, also of those that are gone, could not make sense of or had to cut. */
  get counts(): Scanner["counts"] {
    const sum = { ...this.#counted };
    for (const { scanner } of this.cursors.values()) add(sum, scanner.counts);
    return sum;
  }

  /** What processors counted, by "PROCESSOR COUNTER". */
  get processed(): ReadonlyMap<string, number> {
    const sum = new Map(this.#processed);
    for (const { processors } of this.cursors.values()) addAll(sum, processors.counts);
    return sum;
  }

  get unreadBytes(): number {
    let sum = 0;
    for (const cursor of this.cursors.values()) sum += cursor.unreadBytes;
    return sum;
  }

  needs(chain: Chain, file: LogFile): boolean {
    return this.cursors.get(chain)?.needs(file) === true;
  }

  abandon(chain: Chain, file: LogFile): boolean {
    const done = this.cursors.get(chain)?.abandon(file, "hold") === true;
    this.wake(chain);
    return done;
  }

  /** Whether bytes could be read that are not. */
  get waiting(): boolean {
    if (this.#stopping) return false;
    for (const cursor of this.cursors.values()) if (cursor.ready) return true;
    return false;
  }

  async #run(): Promise<void> {
    let sliceEnd = 0;
    while (!this.#stopping) {
      const cursor = this.#ready.take();
      if (cursor === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (this.cursors.get(cursor.chain) !== cursor) continue;
      const log = cursor.file?.log ?? cursor.chain.files[0]?.log;
      if (log !== undefined && !this.#origins.settled(log)) {
        this.#putOff(cursor);
        continue;
      }
      if (cursor.chain.isPacked(cursor.file) && !cursor.unpacking && this.#unpacking() >= MAX_UNPACKING) {
        this.#putOff(cursor);
        continue;
      }
      while (!this.budget.fits(this.#chunkBytes)) {
        await Promise.race([
          this.budget.changed(),
          new Promise<void>((resolve) => {
            this.#wake = resolve;
          }),
        ]);
        if (this.#stopping) return;
      }
      await this.#turn(cursor);
      const now = this.#clock.monotonic();
      if (now >= sliceEnd) {
        await new Promise((resolve) => setImmediate(resolve));
        sliceEnd = this.#clock.monotonic() + SLICE_MS;
      }
    }
  }

  async #turn(cursor: Cursor): Promise<void> {
    const rows = this.#rows;
    const { file } = cursor;
    try {
      this.#join(cursor);
      const log = file?.log ?? cursor.chain.files[0]?.log;
      const refusal = log === undefined ? undefined : this.#routing.refusal(this.#origins.origin(log));
      if (refusal === undefined) {
        const before = pendingOf(cursor);
        const consumed = await cursor.read(rows, this.#originOf, this.#clock.monotonic());
        this.#account(cursor, before, consumed);
        this.#deliver(cursor, rows, consumed);
      } else await this.#skip(cursor, refusal);
    } catch (error) {
      const code = errorCode(error);
      if (code === "") throw error;
      // Detached meanwhile, and its files are closed.
      if (this.cursors.get(cursor.chain) !== cursor) return;
      // Renamed between two looks: the next one finds it.
      if (code !== "ENOENT" && code !== "ESTALE" && this.#throttle.pass(`${cursor.chain.key} ${code}`) >= 0)
        this.#log.warn(
          { output: this.name, path: cursor.file?.path, error: errorText(error) },
          "reading a log file failed; it is tried again",
        );
      this.#putOff(cursor);
      this.#free(this.#convoys?.left(cursor.pace));
      return;
    }
    cursor.queued = false;
    if (cursor.done) this.#finish(cursor);
    else {
      if (cursor.file !== file) {
        this.#onLeft(cursor.chain);
        // The place behind a file that is lost is worth a checkpoint even before something is read there.
        if (cursor.acks.idle && cursor.position !== undefined) this.#save(cursor, cursor.position);
      }
      if (this.#convoys?.park(cursor.pace) !== true) this.wake(cursor.chain);
      this.#free(this.#convoys?.moved(cursor.pace));
    }
  }

  /** It is taken up again at the next tick. */
  #putOff(cursor: Cursor): void {
    this.#unsettled.add(cursor);
    this.#schedule();
  }

  /** Puts it into the convoy of what its pod is by now. */
  #join(cursor: Cursor): void {
    const log = cursor.file?.log ?? cursor.chain.files[0]?.log;
    if (log !== undefined) this.#convoys?.join(cursor.pace, this.#origins.origin(log));
  }

  #free(members: readonly Pace[] = []): void {
    for (const { cursor } of members) this.wake(cursor.chain);
  }

  /** Passes over what a rule keeps from the output anyway. What was begun before is finished first. */
  async #skip(cursor: Cursor, refusal: string): Promise<void> {
    if (cursor.pendingBytes > 0) this.#giveUp(cursor, true);
    const before = pendingOf(cursor);
    const skipped = await cursor.skip(this.#rows, this.#originOf, this.#clock.monotonic());
    this.#account(cursor, before, skipped);
    const { position } = cursor;
    if (position === undefined || skipped === 0) return;
    this.movedAt = this.#clock.monotonic();
    this.#events.dropped(refusal, skipped, 0);
    const span = cursor.acks.open(position, 0);
    span.dropped(0, skipped, refusal);
    span.seal();
  }

  /** Makes rows of what is unfinished, and hands them on. */
  #giveUp(cursor: Cursor, all: boolean): void {
    const before = pendingOf(cursor);
    cursor.flush(this.#unfinished, this.#originOf, this.#clock.monotonic(), all);
    this.#account(cursor, before, 0);
    this.#deliver(cursor, this.#unfinished, 0);
  }

  /**
   * Takes what was read from the budget. Of a message that is cut the rest is not held, so it takes none until it is
   * settled with its row.
   */
  #account(cursor: Cursor, before: Pending, consumed: number): void {
    const { held, excess } = pendingOf(cursor);
    this.budget.take(consumed + before.excess - excess);
    this.budget.hold(held - before.held);
    if (!cursor.isOpen) this.#open.delete(cursor);
    else if (this.cursors.get(cursor.chain) === cursor) {
      this.#open.add(cursor);
      this.#schedule();
    }
  }

  /** Hands what was read to the lane, under a span that holds the checkpoint back until it is settled. */
  #deliver(cursor: Cursor, rows: Rows, consumed: number): void {
    const position = cursor.position;
    if (position === undefined || (consumed === 0 && rows.rows === 0)) return;
    this.movedAt = this.#clock.monotonic();
    this.#events.read(consumed, rows.rows);
    const span = cursor.acks.open(position, rows.rows);
    let dropped = 0;
    for (const [processor, drop] of rows.drops) {
      dropped += drop.rows;
      this.#events.dropped(processor, drop.bytes, drop.rows);
      span.dropped(drop.rows, drop.bytes, processor);
    }
    if (rows.rows > dropped) this.#sink.append(rows, span);
    span.seal();
  }

  /** Looks again at the containers that wait for their pod. */
  retryUnsettled(): void {
    // All of them first, as none may run ahead of another that belongs to the same convoy by now.
    for (const cursor of this.#unsettled) this.#join(cursor);
    for (const cursor of this.#unsettled) {
      this.#unsettled.delete(cursor);
      cursor.queued = false;
      this.wake(cursor.chain);
    }
  }

  /** Sees to it that a tick comes, and soon where time brings something on. */
  #schedule(): void {
    const { maxBacklog } = this.#options;
    const isTimed = this.#open.size > 0 || this.#unsettled.size > 0 || !("bytes" in maxBacklog) || maxBacklog.bytes > 0;
    const restMs = isTimed ? TICK_MS : REST_MS;
    if (restMs >= this.#restMs || this.#stopping) return;
    clearTimeout(this.#timer);
    this.#restMs = restMs;
    this.#timer = setTimeout(
      () => {
        this.#restMs = Number.POSITIVE_INFINITY;
        this.#tick();
        this.#schedule();
      },
      isTimed ? TICK_MS : untilBeat(this.#clock.monotonic(), REST_MS),
    );
  }

  #tick(): void {
    this.retryUnsettled();
    try {
      limitBacklog(this.cursors.values(), this.#options.maxBacklog, this.#options, this.#clock.wall());
    } catch (error) {
      // A file was renamed or deleted this moment; the next tick looks again.
      if (errorCode(error) === "") throw error;
    }
    const now = this.#clock.monotonic();
    for (const cursor of this.#open) {
      if (cursor.queued) continue;
      if (cursor.overdue(now, this.#options.partialTimeout)) this.#giveUp(cursor, false);
      // The last look may have found more.
      else this.wake(cursor.chain);
    }
    if (now - this.#wokenAt < WAKE_MS) return;
    this.#wokenAt = now;
    for (const chain of this.cursors.keys()) this.wake(chain);
  }

  #commit(cursor: Cursor, position: Position): void {
    this.#save(cursor, position);
    if (cursor.done) this.#finish(cursor);
  }

  #save(cursor: Cursor, position: Position): void {
    const saved = save(cursor.chain, position);
    if (saved !== undefined) this.#checkpoints.set(this.name, cursor.chain.key, saved);
  }

  #unpacking(): number {
    let count = 0;
    for (const cursor of this.cursors.values()) if (cursor.unpacking) count++;
    return count;
  }

  #finish(cursor: Cursor): void {
    if (!cursor.acks.idle || !this.cursors.delete(cursor.chain)) return;
    this.#open.delete(cursor);
    cursor.close();
    this.#free(this.#convoys?.left(cursor.pace));
    add(this.#counted, cursor.scanner.counts);
    addAll(this.#processed, cursor.processors.counts);
    this.#checkpoints.delete(this.name, cursor.chain.key);
    this.#onDone(cursor.chain);
  }

  #signal(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

interface Pending {
  /** Memory in what is no row yet. */
  readonly held: number;
  /** Raw bytes of that beyond the memory. */
  readonly excess: number;
}

function pendingOf({ pendingBytes, heldBytes }: Cursor): Pending {
  return { held: heldBytes, excess: pendingBytes - heldBytes };
}

function addAll(sum: Map<string, number>, more: ReadonlyMap<string, number>): void {
  for (const [name, count] of more) sum.set(name, (sum.get(name) ?? 0) + count);
}

function add(sum: Scanner["counts"], more: Scanner["counts"]): void {
  sum.criErrors += more.criErrors;
  sum.dockerErrors += more.dockerErrors;
  sum.unknownErrors += more.unknownErrors;
  sum.truncated += more.truncated;
}
