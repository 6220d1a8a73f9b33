/**
 * Lane: one per output. Batches go in, requests go out, and every row is settled exactly once: shipped, or dropped with
 * a reason and a dead letter. Batching, retrying, splitting, settling and counting live here and nowhere else.
 *
 * Retries go on for ever: the log files are the queue, and the byte budget stops the reading meanwhile. One gate holds
 * back all requests of an output while its backend is unwell; when it opens, one request at a time asks whether that is
 * over, and then they become more, one for each round that it takes well. A request that has to wait alone keeps back
 * only what must not overtake it.
 *
 * Over 300 lines: settling, splitting and waiting change the same queue, and apart they would each need all of it.
 */
import type { Receipt } from "../agent/acks.ts";
import type { Batch } from "../agent/batch.ts";
import { type Clock, isoTime } from "../agent/clock.ts";
import { errorText } from "../agent/errors.ts";
import { type Log, Throttle } from "../agent/log.ts";
import { backoffMs } from "./backoff.ts";
import type { Letter } from "./dead-letter.ts";
import type { ClosedRequest, OpenRequest, Outcome, Output, Rejected } from "./output.ts";
import { choose, type Part } from "./parts.ts";
import { Queue } from "./queue.ts";
import { OpenSizes, Sizes } from "./sizes.ts";
import { giveBody } from "./spare.ts";

export interface LaneOptions {
  /** maxBytes as encoded, before compression; maxWait in milliseconds. */
  readonly batch: { readonly maxBytes: number; readonly maxRecords: number; readonly maxWait: number };
  readonly request: { readonly timeout: number; readonly concurrency: number };
  readonly retry: { readonly initialDelay: number; readonly maxDelay: number };
}

/** What a lane tells of its work; all per request, never per row. */
export interface LaneEvents {
  /** @param latencySeconds from the time of the request's newest row to its acceptance, per batch in it. */
  delivered(rows: number, latencySeconds: readonly number[]): void;
  dropped(rows: number, type: string): void;
  /** Of the delivered rows: those that the backend has put aside, as into a failure store. */
  putAside(rows: number): void;
  attempt(code: string, seconds: number, bytes: number): void;
  retried(): void;
  /** Whether a full round of requests is waiting, so that more would only wait longer. Told when it changes. */
  sated(is: boolean): void;
}

/** Where rejected rows go. */
interface Letters {
  /** @throws system errors of writing. */
  write(letter: Letter): void;
}

interface Open {
  readonly request: OpenRequest;
  readonly parts: Part[];
  readonly sizes: OpenSizes;
  readonly since: number;
}

/** A request on its way: its rows belong to the parts in turn. */
interface Pending {
  readonly key: string;
  readonly closed: ClosedRequest;
  readonly parts: readonly Part[];
  /** Raw bytes that its rows stand for. */
  readonly sizes: Sizes;
  /** Monotonic milliseconds. */
  notBefore: number;
  /** Attempts in a row after which it had to wait alone. */
  failures: number;
  /** Attempts that ended without a word of the server. */
  cuts?: number;
}

/** An attempt whose time is over has ended by then, or the output is broken. */
const ABORT_MS = 10_000;

/**
 * A server that finds a body too large while it unpacks it may just close the connection, as Elasticsearch does. So a
 * request that is cut off this often is halved, down to a size that no server should refuse.
 */
const CUTS_BEFORE_SPLIT = 3;
const MIN_CUT_BYTES = 1024 * 1024;
/** As many requests are open at a time in most outputs. */
const SPARE = 4;
/**
 * Open requests together hold at most so much of what one may hold, as far as that ends none that is hardly begun. Where
 * keys are many, as Cloud Logging's are, each would else be half full: 45 MB more at the peak with 30 busy containers.
 */
const OPEN_SHARE = 0.5;
const BEGUN_BYTES = 256 * 1024;

export class Lane {
  readonly #name: string;
  readonly #output: Output;
  readonly #options: LaneOptions;
  readonly #deadLetter: Letters;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #events: LaneEvents;
  readonly #throttle: Throttle;
  readonly #open = new Map<string, Open>();
  /** Of requests that are closed, for the next ones. */
  readonly #spare: OpenSizes[] = [];
  readonly #queue = new Queue<Pending>();
  /** Requests that had to wait alone, queued or in flight. */
  readonly #unwell = new Set<Pending>();
  #closed = false;
  #running = 0;
  /** Attempts of which the outcome is not known yet, each with the monotonic time by which it must be. */
  readonly #inTheAir = new Set<{ readonly until: number; readonly over: AbortController }>();
  /** Requests in flight, at most: halved when the backend pushes back, one more after a round that it took well. */
  #slots: number;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #gateUntil = 0;
  #flushing = false;
  #sated = false;
  #idle: (() => void) | undefined;
  /** Halved by each request that was too large, grown back slowly. */
  #maxBytes: number;
  lastError = "";

  constructor(
    name: string,
    output: Output,
    options: LaneOptions,
    deadLetter: Letters,
    clock: Clock,
    log: Log,
    events: LaneEvents,
  ) {
    this.#name = name;
    this.#output = output;
    this.#options = options;
    this.#deadLetter = deadLetter;
    this.#clock = clock;
    this.#log = log;
    this.#events = events;
    this.#throttle = new Throttle(30_000, () => clock.monotonic());
    this.#maxBytes = options.batch.maxBytes;
    this.#slots = options.request.concurrency;
  }

  /** "retrying" while the backend is at fault. */
  get state(): "ok" | "retrying" | "stopped" {
    if (this.#closed) return "stopped";
    return this.#failures > 0 || this.#unwell.size > 0 ? "retrying" : "ok";
  }

  /** The backend owes an answer and still has time to give it. */
  get isAwaited(): boolean {
    const now = this.#clock.monotonic();
    for (const { until } of this.#inTheAir) if (now < until) return true;
    return false;
  }

  /** Milliseconds until the next attempt, 0 when none is held back. */
  get retryAfterMs(): number {
    let until = this.#failures > 0 ? this.#gateUntil : Number.POSITIVE_INFINITY;
    if (this.#failures === 0) for (const { notBefore } of this.#unwell) until = Math.min(until, notBefore);
    return until === Number.POSITIVE_INFINITY ? 0 : Math.max(0, until - this.#clock.monotonic());
  }

  /** Encodes the batch's rows; each is settled through the receipt later, never within this call. */
  append(batch: Batch, receipt: Receipt): void {
    const key = this.#output.requestKey(batch);
    for (let row = 0; row < batch.rows; ) {
      const open = this.#opened(key);
      const before = open.request.rows;
      const next = open.request.append(batch, row, this.#maxBytes, this.#options.batch.maxRecords);
      const bytes = open.sizes.add(batch, row, next);
      const rows = open.request.rows - before;
      if (rows > 0)
        open.parts.push({
          receipt,
          rows,
          bytes,
          newest: (batch.seconds[next - 1] as number) + (batch.nanos[next - 1] as number) / 1e9,
        });
      row = next;
      if (row < batch.rows || this.#full(open)) this.#shut(key);
    }
    this.#pump();
  }

  /** Sends a request that was made elsewhere; row i is settled through receipts[i]. */
  resend(key: string, closed: ClosedRequest, receipts: readonly Receipt[]): void {
    const newest = this.#clock.wall() / 1000;
    const parts = receipts.map((receipt) => ({ receipt, rows: 1, bytes: 0, newest }));
    const sizes = new Sizes(new Float64Array(receipts.length + 1));
    this.#queue.push({ key, closed, parts, sizes, notBefore: 0, failures: 0 });
    this.#pump();
  }

  /**
   * Sends what is open now instead of waiting for more. Resolves when all is settled, or the lane is closed.
   * @param patient false: also as soon as the backend is at fault and no attempt is in the air.
   */
  async flush(patient = true): Promise<void> {
    this.#flushing = true;
    this.#pump();
    while (!this.#closed && (this.#open.size > 0 || this.#queue.length > 0 || this.#running > 0)) {
      if (!patient && this.state === "retrying" && this.#inTheAir.size === 0) break;
      await this.#progress();
    }
    this.#flushing = false;
  }

  /** Gives up what is not settled: it is read again by whoever comes next. Nothing is settled afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { over } of this.#inTheAir) over.abort();
    clearTimeout(this.#timer);
    this.#idle?.();
    this.#open.clear();
    this.#queue.clear();
    this.#unwell.clear();
    while (this.#running > 0) await this.#progress();
    await this.#output.close();
  }

  /** Resolves when an attempt or a request has ended. */
  #progress(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }

  #opened(key: string): Open {
    let open = this.#open.get(key);
    if (open === undefined) {
      this.#makeRoom();
      const sizes = this.#spare.pop() ?? new OpenSizes();
      open = { request: this.#output.open(key), parts: [], sizes, since: this.#clock.monotonic() };
      this.#open.set(key, open);
    }
    return open;
  }

  /** Before one more is opened: ends the largest while all of them hold more than they may. */
  #makeRoom(): void {
    const bySize = [...this.#open].map(([key, { request }]) => ({ key, bytes: request.bytes }));
    let bytes = bySize.reduce((sum, open) => sum + open.bytes, 0);
    bySize.sort((a, b) => b.bytes - a.bytes);
    for (const largest of bySize) {
      if (bytes <= this.#options.batch.maxBytes * OPEN_SHARE || largest.bytes < BEGUN_BYTES) return;
      bytes -= largest.bytes;
      this.#shut(largest.key);
    }
  }

  #full({ request }: Open): boolean {
    return request.bytes >= this.#maxBytes || request.rows >= this.#options.batch.maxRecords;
  }

  #shut(key: string): void {
    const open = this.#open.get(key);
    if (open === undefined) return;
    this.#open.delete(key);
    const { request, parts } = open;
    const sizes = open.sizes.take();
    if (this.#spare.length < SPARE) this.#spare.push(open.sizes);
    if (request.rows === 0) return;
    if (request.closeApart === undefined) {
      this.#queue.push({ key, closed: request.close(), parts, sizes, notBefore: 0, failures: 0 });
      return;
    }
    for (const { closed, runs } of request.closeApart())
      this.#queue.push({ key, closed, ...choose(parts, sizes, runs), notBefore: 0, failures: 0 });
  }

  /** Starts requests while slots are free: full ones first, then those that have waited long enough. */
  #pump(): void {
    clearTimeout(this.#timer);
    const wake = this.#start();
    this.#appraise();
    if (wake < Number.POSITIVE_INFINITY && !this.#closed)
      this.#timer = setTimeout(() => this.#pump(), Math.max(0, Math.ceil(wake - this.#clock.monotonic())));
  }

  /** @returns when, on the monotonic clock, there will be more to do by itself. */
  #start(): number {
    // A backend that pushes back is asked by one request at a time.
    for (;;) {
      const slots = this.#failures > 0 ? 1 : Math.floor(this.#slots);
      if (this.#running >= slots || this.#closed) return Number.POSITIVE_INFINITY;
      const now = this.#clock.monotonic();
      if (now < this.#gateUntil)
        return this.#queue.length + this.#open.size > 0 ? this.#gateUntil : Number.POSITIVE_INFINITY;
      const taken = this.#queue.take(now);
      if (typeof taken !== "number") {
        this.#send(taken);
        continue;
      }
      const due = this.#shutDue(now);
      if (due !== undefined) return Math.min(due, taken);
    }
  }

  #appraise(): void {
    const sated = this.#queue.holds(Math.ceil(this.#slots), this.#clock.monotonic());
    if (sated === this.#sated) return;
    this.#sated = sated;
    this.#events.sated(sated);
  }

  /** Ends the requests that have waited long enough. @returns when the next one will have; undefined when some had. */
  #shutDue(now: number): number | undefined {
    const { maxWait } = this.#options.batch;
    let earliest = Number.POSITIVE_INFINITY;
    let found = false;
    for (const [key, open] of this.#open) {
      const due = this.#flushing ? now : open.since + maxWait;
      if (due <= now) {
        this.#shut(key);
        found = true;
      } else earliest = Math.min(earliest, due);
    }
    return found ? undefined : earliest;
  }

  #send(pending: Pending): void {
    this.#running++;
    void this.#deliver(pending).then(
      (again) => {
        this.#running--;
        this.#queue.done(pending, this.#closed ? [] : again);
        this.#pump();
        this.#idle?.();
      },
      // A broken invariant: crash loudly; checkpoints make that safe.
      (error: unknown) =>
        queueMicrotask(() => {
          throw error;
        }),
    );
  }

  /** One attempt. @returns what must go again. */
  async #deliver(pending: Pending): Promise<readonly Pending[]> {
    const outcome = await this.#attempt(pending.closed);
    if (this.#closed && outcome.kind === "retry") return [];
    this.#unwell.delete(pending);
    return this.#settle(pending, outcome);
  }

  async #attempt(closed: ClosedRequest): Promise<Outcome> {
    const start = this.#clock.monotonic();
    const { timeout } = this.#options.request;
    // Ended when it is over: signals that time out by themselves live until then, which at a few hundred small requests a
    // second were 15 MB, and with AbortSignal.any a tenth of what a request to Loki costs here.
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(new DOMException("no answer in time", "TimeoutError")), timeout);
    const attempt = { until: start + timeout + ABORT_MS, over };
    this.#inTheAir.add(attempt);
    const outcome = await this.#output.send(closed, over.signal);
    clearTimeout(timer);
    this.#inTheAir.delete(attempt);
    if (outcome.code !== "")
      this.#events.attempt(outcome.code, (this.#clock.monotonic() - start) / 1000, closed.body.length);
    return outcome;
  }

  /** @returns what must go again, in order. */
  #settle(pending: Pending, outcome: Outcome): readonly Pending[] {
    switch (outcome.kind) {
      case "delivered":
        this.#recovered(pending.closed.bytes);
        this.#ship(pending, undefined);
        this.#putAside(outcome.putAside);
        // Who has accepted every row has read all of it.
        giveBody(pending.closed.body);
        return [];
      case "retry":
        if (outcome.alone === true) this.#holdAlone(pending, outcome.reason, outcome.afterMs);
        else pending.notBefore = this.#hold(outcome.reason, outcome.afterMs);
        return outcome.cut === true ? this.#cutOff(pending, outcome) : [pending];
      case "split":
        return this.#split(pending, outcome);
      case "mixed": {
        this.#rejectAll(pending, outcome.rejected);
        const again = new Set(outcome.retry);
        const settled = new Set(outcome.rejected.map(({ row }) => row));
        this.#ship(pending, (row) => !again.has(row) && !settled.has(row));
        this.#putAside(outcome.putAside);
        if (outcome.retry.length === 0) {
          this.#recovered(pending.closed.bytes);
          return [];
        }
        const rest = this.#pick(pending, outcome.retry);
        rest.notBefore = this.#hold(outcome.reason, outcome.afterMs);
        return [rest];
      }
    }
  }

  #cutOff(pending: Pending, { code, reason }: Outcome & { kind: "retry" }): readonly Pending[] {
    const { rows, bytes } = pending.closed;
    pending.cuts = (pending.cuts ?? 0) + 1;
    if (pending.cuts < CUTS_BEFORE_SPLIT || rows === 1 || bytes <= MIN_CUT_BYTES) return [pending];
    return this.#split(pending, { kind: "split", code, type: code, reason });
  }

  /** Halves, or the pieces that the output wants; a single row that can't be halved is rejected. */
  #split(pending: Pending, { type, reason, into, rejected = [] }: Outcome & { kind: "split" }): readonly Pending[] {
    const { rows, bytes } = pending.closed;
    this.#rejectAll(pending, rejected);
    if (into !== undefined) return into.map((piece) => this.#pick(pending, piece));
    if (rows === 1) {
      this.#rejectAll(pending, [{ row: 0, type, reason }]);
      return [];
    }
    this.#maxBytes = Math.max(64 * 1024, Math.min(this.#maxBytes, Math.ceil(bytes / 2)));
    const half = rows >> 1;
    const all = Array.from({ length: rows }, (_, row) => row);
    return [this.#pick(pending, all.slice(0, half)), this.#pick(pending, all.slice(half))];
  }

  #pick({ key, closed, parts, sizes, failures }: Pending, rows: readonly number[]): Pending {
    const runs = rows.flatMap((row) => [row, row + 1]);
    return { key, closed: this.#output.pick(closed, rows), ...choose(parts, sizes, runs), notBefore: 0, failures };
  }

  #ship(pending: Pending, shipped: ((row: number) => boolean) | undefined): void {
    const latencies: number[] = [];
    const now = this.#clock.wall() / 1000;
    let row = 0;
    let total = 0;
    for (const part of pending.parts) {
      const { receipt, newest } = part;
      const end = row + part.rows;
      let { rows, bytes } = part;
      if (shipped !== undefined)
        for (let at = row; at < end; at++) {
          if (shipped(at)) continue;
          rows--;
          bytes -= pending.sizes.sum(at, at + 1);
        }
      row = end;
      if (rows === 0) continue;
      total += rows;
      latencies.push(Math.max(0, now - newest));
      receipt.shipped(rows, bytes);
    }
    if (total > 0) this.#events.delivered(total, latencies);
  }

  #rejectAll(pending: Pending, rejected: readonly Rejected[]): void {
    for (const { row, type, reason } of rejected) this.#reject(pending, row, type, reason);
  }

  #reject(pending: Pending, row: number, type: string, reason: string): void {
    let end = 0;
    const part = pending.parts.find(({ rows }) => {
      end += rows;
      return row < end;
    });
    if (part === undefined) throw new Error(`no row ${row} in a request of ${pending.closed.rows}`);
    if (this.#throttle.pass(`rejected ${type}`) >= 0)
      this.#log.error(
        { output: this.#name, type, reason },
        "the backend refused a record for good; it is in the dead letters",
      );
    try {
      const entry = this.#output.entry(pending.closed, row);
      this.#deadLetter.write({
        time: isoTime(this.#clock.wall()),
        type,
        reason,
        key: pending.key,
        entry,
      });
    } catch (error) {
      if (this.#throttle.pass("dead letter") >= 0)
        this.#log.error(
          { output: this.#name, error: errorText(error) },
          "can't write a dead letter; the record is lost",
        );
    }
    this.#events.dropped(1, type);
    part.receipt.dropped(1, pending.sizes.sum(row, row + 1), type);
  }

  #putAside(rows = 0): void {
    if (rows === 0) return;
    this.#events.putAside(rows);
    if (this.#throttle.pass("put aside") >= 0)
      this.#log.warn(
        { output: this.#name, records: rows },
        "the backend took records but put them aside, as in a failure store; do they fit the mapping and the pipeline?",
      );
  }

  /** Shuts the gate. @returns until when. */
  #hold(reason: string, afterMs: number | undefined): number {
    this.#slots = Math.max(1, this.#slots / 2);
    const until = this.#until(++this.#failures, afterMs);
    this.#gateUntil = Math.max(this.#gateUntil, until);
    this.#tell("sending failed and is tried again; nothing is lost", reason);
    return until;
  }

  #holdAlone(pending: Pending, reason: string, afterMs: number | undefined): void {
    pending.notBefore = this.#until(++pending.failures, afterMs);
    this.#unwell.add(pending);
    this.#tell("the backend holds some records back; they are sent again, the others go on", reason);
  }

  #until(failures: number, afterMs = 0): number {
    const { initialDelay, maxDelay } = this.#options.retry;
    return this.#clock.monotonic() + Math.max(backoffMs(failures, initialDelay, maxDelay, Math.random()), afterMs);
  }

  #tell(message: string, reason: string): void {
    this.lastError = reason;
    this.#events.retried();
    this.#idle?.();
    const swallowed = this.#throttle.pass(message);
    if (swallowed >= 0) this.#log.warn({ output: this.#name, reason, swallowed }, message);
  }

  #recovered(bytes: number): void {
    if (this.#failures > 0) this.#log.info({ output: this.#name, failures: this.#failures }, "sending works again");
    this.#failures = 0;
    this.#gateUntil = 0;
    this.#slots = Math.min(this.#options.request.concurrency, this.#slots + 1 / this.#slots);
    if (bytes >= this.#maxBytes / 2)
      this.#maxBytes = Math.min(this.#options.batch.maxBytes, Math.ceil(this.#maxBytes * 1.1));
  }
}
