/**
 * Lane: one per output. Batches go in, requests go out, and every row is settled exactly once: shipped, or dropped with
 * a reason and a dead letter. Batching, retrying, splitting, settling and counting live here and nowhere else.
 *
 * Retries go on for ever: the log files are the queue, and the byte budget stops the reading meanwhile. One gate holds
 * back all requests of an output while its backend is unwell.
 */
import type { Receipt } from "../agent/acks.ts";
import { type Batch, DROPPED } from "../agent/batch.ts";
import type { Clock } from "../agent/clock.ts";
import { errorText } from "../agent/errors.ts";
import { type Log, Throttle } from "../agent/log.ts";
import { backoffMs } from "./backoff.ts";
import type { Letter } from "./dead-letter.ts";
import type { ClosedRequest, OpenRequest, Outcome, Output } from "./output.ts";

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
  attempt(code: string, seconds: number, bytes: number): void;
  retried(): void;
}

/** Where rejected rows go. */
interface Letters {
  /** @throws system errors of writing. */
  write(letter: Letter): void;
}

/** Rows of one batch within a request. */
interface Part {
  readonly receipt: Receipt;
  readonly rows: number;
  /** Seconds since 1970 of the last of them. */
  readonly newest: number;
}

interface Open {
  readonly request: OpenRequest;
  readonly parts: Part[];
  /** Raw bytes of each row. */
  readonly sizes: number[];
  readonly since: number;
}

/** A request on its way: row i of `closed` belongs to receipts[i] and stands for sizes[i] raw bytes. */
interface Pending {
  readonly key: string;
  readonly closed: ClosedRequest;
  readonly parts: readonly Part[];
  readonly sizes: readonly number[];
}

/** An attempt whose time is over has ended by then, or the output is broken. */
const ABORT_MS = 10_000;

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
  readonly #queue: Pending[] = [];
  readonly #abort = new AbortController();
  #running = 0;
  /** Attempts of which the outcome is not known yet, each with the monotonic time by which it must be. */
  readonly #inTheAir = new Set<{ readonly until: number }>();
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #gateUntil = 0;
  #flushing = false;
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
  }

  /** "retrying" while the backend is at fault. */
  get state(): "ok" | "retrying" | "stopped" {
    if (this.#abort.signal.aborted) return "stopped";
    return this.#failures > 0 ? "retrying" : "ok";
  }

  /** The backend owes an answer and still has time to give it. */
  get isAwaited(): boolean {
    const now = this.#clock.monotonic();
    for (const { until } of this.#inTheAir) if (now < until) return true;
    return false;
  }

  /** Milliseconds until the next attempt, 0 when none is held back. */
  get retryAfterMs(): number {
    return this.#failures > 0 ? Math.max(0, this.#gateUntil - this.#clock.monotonic()) : 0;
  }

  /** Encodes the batch's rows; each is settled through the receipt later, never within this call. */
  append(batch: Batch, receipt: Receipt): void {
    const key = this.#output.requestKey(batch);
    for (let row = 0; row < batch.rows; ) {
      const open = this.#opened(key);
      const before = open.request.rows;
      const next = open.request.append(batch, row, this.#maxBytes, this.#options.batch.maxRecords);
      for (let at = row; at < next; at++)
        if (((batch.flags[at] as number) & DROPPED) === 0) open.sizes.push(batch.size[at] as number);
      const rows = open.request.rows - before;
      if (rows > 0)
        open.parts.push({
          receipt,
          rows,
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
    const parts = receipts.map((receipt) => ({ receipt, rows: 1, newest }));
    this.#queue.push({ key, closed, parts, sizes: receipts.map(() => 0) });
    this.#pump();
  }

  /**
   * Sends what is open now instead of waiting for more. Resolves when all is settled, or the lane is closed.
   * @param patient false: also as soon as the backend is at fault and no attempt is in the air.
   */
  async flush(patient = true): Promise<void> {
    this.#flushing = true;
    this.#pump();
    while (!this.#abort.signal.aborted && (this.#open.size > 0 || this.#queue.length > 0 || this.#running > 0)) {
      if (!patient && this.#failures > 0 && this.#inTheAir.size === 0) break;
      await this.#progress();
    }
    this.#flushing = false;
  }

  /** Gives up what is not settled: it is read again by whoever comes next. Nothing is settled afterwards. */
  async close(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#timer);
    this.#idle?.();
    this.#open.clear();
    this.#queue.length = 0;
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
      open = { request: this.#output.open(key), parts: [], sizes: [], since: this.#clock.monotonic() };
      this.#open.set(key, open);
    }
    return open;
  }

  #full({ request }: Open): boolean {
    return request.bytes >= this.#maxBytes || request.rows >= this.#options.batch.maxRecords;
  }

  #shut(key: string): void {
    const open = this.#open.get(key);
    if (open === undefined) return;
    this.#open.delete(key);
    if (open.request.rows > 0) {
      const { parts, sizes } = open;
      this.#queue.push({ key, closed: open.request.close(), parts, sizes });
    }
  }

  /** Starts requests while slots are free: full ones first, then those that have waited long enough. */
  #pump(): void {
    clearTimeout(this.#timer);
    const { concurrency } = this.#options.request;
    const { maxWait } = this.#options.batch;
    while (this.#running < concurrency && !this.#abort.signal.aborted) {
      if (this.#queue.length === 0) {
        const now = this.#clock.monotonic();
        let earliest = Number.POSITIVE_INFINITY;
        for (const [key, open] of this.#open) {
          const due = this.#flushing ? 0 : open.since + maxWait - now;
          if (due <= 0) this.#shut(key);
          else earliest = Math.min(earliest, due);
        }
        if (this.#queue.length === 0) {
          if (earliest < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#pump(), Math.ceil(earliest));
          break;
        }
      }
      const pending = this.#queue.shift();
      if (pending === undefined) break;
      this.#running++;
      void this.#deliver(pending).then(
        () => {
          this.#running--;
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
  }

  /** Sends one request until every row of it is settled, or the lane is closed. */
  async #deliver(pending: Pending): Promise<void> {
    const signal = this.#abort.signal;
    let rest: Pending | undefined = pending;
    while (rest !== undefined) {
      await this.#gate(signal);
      if (signal.aborted) return;
      const outcome = await this.#attempt(rest.closed, signal);
      if (signal.aborted && outcome.kind === "retry") return;
      rest = await this.#settle(rest, outcome);
    }
  }

  async #attempt(closed: ClosedRequest, signal: AbortSignal): Promise<Outcome> {
    const start = this.#clock.monotonic();
    const timeout = AbortSignal.timeout(this.#options.request.timeout);
    const attempt = { until: start + this.#options.request.timeout + ABORT_MS };
    this.#inTheAir.add(attempt);
    const outcome = await this.#output.send(closed, AbortSignal.any([signal, timeout]));
    this.#inTheAir.delete(attempt);
    this.#events.attempt(outcome.code, (this.#clock.monotonic() - start) / 1000, closed.body.length);
    return outcome;
  }

  /** @returns the rows that must go again. */
  async #settle(pending: Pending, outcome: Outcome): Promise<Pending | undefined> {
    switch (outcome.kind) {
      case "delivered":
        this.#recovered(pending.closed.bytes);
        this.#ship(pending, undefined);
        return undefined;
      case "retry":
        this.#hold(outcome.reason, outcome.afterMs);
        return pending;
      case "split":
        return this.#split(pending, outcome.type, outcome.reason);
      case "mixed": {
        for (const { row, type, reason } of outcome.rejected) this.#reject(pending, row, type, reason);
        const again = new Set(outcome.retry);
        const settled = new Set(outcome.rejected.map(({ row }) => row));
        this.#ship(pending, (row) => !again.has(row) && !settled.has(row));
        if (outcome.retry.length === 0) {
          this.#recovered(pending.closed.bytes);
          return undefined;
        }
        this.#hold(outcome.reason, outcome.afterMs);
        return this.#pick(pending, outcome.retry);
      }
    }
  }

  /** Both halves go; a single row that the backend can't take is rejected. */
  async #split(pending: Pending, type: string, reason: string): Promise<undefined> {
    const { rows, bytes } = pending.closed;
    if (rows === 1) {
      this.#reject(pending, 0, type, reason);
      return undefined;
    }
    this.#maxBytes = Math.max(64 * 1024, Math.min(this.#maxBytes, Math.ceil(bytes / 2)));
    const half = rows >> 1;
    const all = Array.from({ length: rows }, (_, row) => row);
    await this.#deliver(this.#pick(pending, all.slice(0, half)));
    await this.#deliver(this.#pick(pending, all.slice(half)));
    return undefined;
  }

  #pick(pending: Pending, rows: readonly number[]): Pending {
    const parts: Part[] = [];
    const wanted = new Set(rows);
    let row = 0;
    for (const part of pending.parts) {
      let count = 0;
      for (const end = row + part.rows; row < end; row++) if (wanted.has(row)) count++;
      if (count > 0) parts.push({ ...part, rows: count });
    }
    return {
      key: pending.key,
      closed: this.#output.pick(pending.closed, rows),
      parts,
      sizes: rows.map((at) => pending.sizes[at] as number),
    };
  }

  #ship(pending: Pending, shipped: ((row: number) => boolean) | undefined): void {
    const latencies: number[] = [];
    const now = this.#clock.wall() / 1000;
    let row = 0;
    let total = 0;
    for (const { receipt, rows, newest } of pending.parts) {
      let count = 0;
      let bytes = 0;
      for (const end = row + rows; row < end; row++) {
        if (shipped !== undefined && !shipped(row)) continue;
        count++;
        bytes += pending.sizes[row] as number;
      }
      if (count === 0) continue;
      total += count;
      latencies.push(Math.max(0, now - newest));
      receipt.shipped(count, bytes);
    }
    if (total > 0) this.#events.delivered(total, latencies);
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
        time: new Date(this.#clock.wall()).toISOString(),
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
    part.receipt.dropped(1, pending.sizes[row] as number, type);
  }

  #hold(reason: string, afterMs: number | undefined): void {
    const { initialDelay, maxDelay } = this.#options.retry;
    const wait = backoffMs(++this.#failures, initialDelay, maxDelay, Math.random());
    this.#gateUntil = Math.max(this.#gateUntil, this.#clock.monotonic() + Math.max(wait, afterMs ?? 0));
    this.lastError = reason;
    this.#events.retried();
    this.#idle?.();
    const swallowed = this.#throttle.pass("retry");
    if (swallowed >= 0)
      this.#log.warn({ output: this.#name, reason, swallowed }, "sending failed and is tried again; nothing is lost");
  }

  #recovered(bytes: number): void {
    if (this.#failures > 0) this.#log.info({ output: this.#name, failures: this.#failures }, "sending works again");
    this.#failures = 0;
    this.#gateUntil = 0;
    if (bytes >= this.#maxBytes / 2)
      this.#maxBytes = Math.min(this.#options.batch.maxBytes, Math.ceil(this.#maxBytes * 1.1));
  }

  /** Waits while the backend is given a rest. */
  async #gate(signal: AbortSignal): Promise<void> {
    for (;;) {
      const wait = this.#gateUntil - this.#clock.monotonic();
      if (wait <= 0 || signal.aborted) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, wait);
        function done(): void {
          clearTimeout(timer);
          signal.removeEventListener("abort", done);
          resolve();
        }
        signal.addEventListener("abort", done);
      });
    }
  }
}
