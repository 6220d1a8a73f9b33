/**
 * Throttle: what a container, pod or namespace writes beyond a rate is dropped and counted, and one summary record a
 * minute at most says how much.
 *
 * A bucket of tokens, filled by the records' own times: so a backlog that is caught up with quickly is not taken for a
 * flood, and a repeat is mostly decided alike.
 */
import { type Generation, type Rows, SUMMARY } from "../batch.ts";
import type { Place } from "../place.ts";
import type { Origin } from "../pods/origin.ts";
import { wanted } from "./match.ts";
import { type Holder, type Match, OUT, type Processor, type Step } from "./processor.ts";
import { severityLevel } from "./severity.ts";

export interface ThrottleOptions {
  readonly per: "container" | "pod" | "namespace";
  readonly unit: "bytes" | "records";
  /** Units a second. */
  readonly rate: number;
  /** Units, at most, at once. */
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  /** Seconds since 1970 when it was filled last. */
  filledAt: number;
}

const SUMMARY_MS = 60_000;
/** A bucket that nobody took from for so long is full again, or nearly. */
const MAX_BUCKETS = 10_000;

export class Throttle implements Step {
  readonly name = "throttle";
  readonly #options: ThrottleOptions;
  readonly #match: Match | undefined;
  /** Of pods and namespaces all containers share one. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: ThrottleOptions, match: Match | undefined) {
    this.#options = options;
    this.#match = match;
  }

  create(): Processor {
    return new ContainerThrottle(this.#options, this.#match, (key) => this.#bucket(key));
  }

  #bucket(key: string): Bucket {
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      const [oldest] = this.#buckets.keys();
      if (this.#buckets.size >= MAX_BUCKETS && oldest !== undefined) this.#buckets.delete(oldest);
      bucket = { tokens: this.#options.burst, filledAt: Number.NEGATIVE_INFINITY };
    } else this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    return bucket;
  }
}

class ContainerThrottle implements Processor, Holder {
  readonly name = "throttle";
  /** It holds nothing back but its own words. */
  readonly pendingBytes = 0;
  readonly heldBytes = 0;
  dueAt = Number.POSITIVE_INFINITY;
  readonly #options: ThrottleOptions;
  readonly #match: Match | undefined;
  readonly #bucketOf: (key: string) => Bucket;
  /** Since the last summary. */
  #rows = 0;
  #bytes = 0;
  /** Of the first row that was dropped since: the summary takes its place, which gives it an id of its own. */
  #generation: Generation | undefined;
  #offset = 0;
  #seconds = 0;
  #nanos = 0;
  #digits = 0;

  constructor(options: ThrottleOptions, match: Match | undefined, bucketOf: (key: string) => Bucket) {
    this.#options = options;
    this.#match = match;
    this.#bucketOf = bucketOf;
  }

  get holder(): Holder {
    return this;
  }

  places(): readonly Place[] {
    return [];
  }

  process(rows: Rows, now: number): void {
    const want = wanted(this.#match, rows);
    if (want === false) return;
    const { rate, burst, unit } = this.#options;
    const bucket = this.#bucketOf(keyOf(rows.origin, this.#options.per));
    for (let row = 0; row < rows.rows; row++) {
      if (((rows.flags[row] as number) & OUT) !== 0 || (want !== true && !want(row))) continue;
      const seconds = (rows.seconds[row] as number) + (rows.nanos[row] as number) / 1e9;
      if (seconds > bucket.filledAt) {
        bucket.tokens = Math.min(burst, bucket.tokens + (seconds - bucket.filledAt) * rate);
        bucket.filledAt = seconds;
      }
      const cost = unit === "records" ? 1 : (rows.size[row] as number);
      // A record larger than the burst passes when the bucket is full, and is paid off afterwards.
      if (bucket.tokens >= Math.min(cost, burst)) bucket.tokens -= cost;
      else this.#drop(rows, row, now);
    }
    if (this.dueAt <= now) this.release(rows);
  }

  /** Adds the summary of what was dropped since the last one. */
  release(rows: Rows): void {
    if (this.#generation === undefined) return;
    const { rate, unit, per } = this.#options;
    const text = Buffer.from(
      `tailrace: throttle dropped ${this.#rows} records (${this.#bytes} bytes) of this container: more than ${rate} ${unit} per second from one ${per}`,
    );
    rows.reserve(text.length);
    const row = rows.add();
    rows.from[row] = rows.used;
    rows.used += text.copy(rows.bytes, rows.used);
    rows.to[row] = rows.used;
    rows.offset[row] = this.#offset;
    rows.seconds[row] = this.#seconds;
    rows.nanos[row] = this.#nanos;
    rows.digits[row] = this.#digits;
    rows.flags[row] = SUMMARY;
    rows.size[row] = 0;
    // Read again, the row in whose place it stands may pass: the two must not have one id.
    rows.extraOf(row).generation = { key: `${this.#generation.key}-throttled` };
    rows.severities()[row] = severityLevel("warn");
    this.#generation = undefined;
    this.#rows = 0;
    this.#bytes = 0;
    this.dueAt = Number.POSITIVE_INFINITY;
  }

  #drop(rows: Rows, row: number, now: number): void {
    if (this.#generation === undefined) {
      this.#generation = rows.extra?.get(row)?.generation ?? rows.generation;
      this.#offset = rows.offset[row] as number;
      this.#seconds = rows.seconds[row] as number;
      this.#nanos = rows.nanos[row] as number;
      this.#digits = rows.digits[row] as number;
      this.dueAt = now + SUMMARY_MS;
    }
    this.#rows++;
    this.#bytes += rows.size[row] as number;
    rows.drop(row, this.name);
  }
}

function keyOf({ namespace, pod, uid, container }: Origin, per: ThrottleOptions["per"]): string {
  if (per === "namespace") return namespace;
  return per === "pod" ? `${namespace}/${pod}/${uid}` : `${namespace}/${pod}/${uid}/${container}`;
}
