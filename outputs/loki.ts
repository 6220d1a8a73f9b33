/**
 * Grafana Loki, and what speaks its push protocol: snappy protobuf or gzipped JSON. Labels and tenants are in
 * loki-streams.ts, bodies in loki-push.ts and the two encodings, what answers mean in loki-answer.ts.
 *
 * A stream travels in a push of its own whenever a refusal of it is possible, because a 204 speaks for a push's last
 * stream only; and pushes of one stream go one after the other, because Loki refuses what is too far behind.
 */
import type { Batch } from "../agent/batch.ts";
import { type Clock, systemClock } from "../agent/clock.ts";
import type { Log } from "../agent/log.ts";
import type { Origin } from "../agent/pods/origin.ts";
import type { Compression } from "./gzip.ts";
import { type HttpFailure, type HttpOptions, type HttpReply, HttpTarget } from "./http.ts";
import { judge, rateLimitBytes } from "./loki-answer.ts";
import type { DecodedEntry, Encoding } from "./loki-encoding.ts";
import { JsonEncoding } from "./loki-json.ts";
import { letterOf, restorePush } from "./loki-letter.ts";
import { ProtobufEncoding } from "./loki-protobuf.ts";
import { OpenPush, type PushRequest, pickPush, type Share, type Spare } from "./loki-push.ts";
import { type StreamOptions, Streams } from "./loki-streams.ts";
import type { ClosedRequest, OpenRequest, Outcome, Output } from "./output.ts";

export interface LokiOptions extends Omit<HttpOptions, "endpoints">, StreamOptions {
  readonly name: string;
  readonly endpoint: string;
  readonly encoding: "protobuf" | "json";
  /** Bytes a second of a stream that are surely within its limit; less once Loki has told of a lower one. */
  readonly unseenRate?: number;
  readonly request: HttpOptions["request"] & { readonly compression: Compression };
}

const PATH = "/loki/api/v1/push";
/** Loki forgets a stream that is silent for long (chunk_idle_period), and then counts it as new. */
const AWAY_MS = 10 * 60_000;
/** A stream with at least this much, and an eighth of a push, may be at its rate limit. */
const LARGE_BYTES = 64 * 1024;
const LARGE_SHARE = 8;
/** What a stream may take a second without a look at the outcome: two thirds of Loki's own per_stream_rate_limit. */
const UNSEEN_RATE = 2 << 20;
/** Of a limit that was told: bursts may be limited to less than the rate. */
const UNSEEN_SHARE = 1 / 4;

export class LokiOutput implements Output {
  readonly type = "loki";
  readonly #clock: Clock;
  readonly #target: HttpTarget;
  readonly #path: string;
  readonly #encoding: Encoding;
  readonly #streams: Streams;
  readonly #tenant: StreamOptions["tenant"];
  /** Not in use by any open request. */
  readonly #spare: Spare = { writers: [], runs: [] };
  /** Of pushes that are refused row by row: each would be taken apart anew for every row. */
  readonly #unpacked = new WeakMap<PushRequest, readonly { labels: string; entry: DecodedEntry }[]>();
  /** How often a push was over a rate. */
  readonly #refusals = new WeakMap<PushRequest, number>();
  /** Monotonic milliseconds of the last attempt without a usable answer; what was known of streams may be void since. */
  #doubtAt = Number.NEGATIVE_INFINITY;
  #unseenRate: number;

  /** @param env for proxies. @throws system errors when a certificate can't be read. */
  constructor(
    options: LokiOptions,
    env: Readonly<Record<string, string | undefined>>,
    log: Log,
    clock: Clock = systemClock,
  ) {
    const { name, endpoint, encoding, tenant, request } = options;
    this.#clock = clock;
    this.#unseenRate = options.unseenRate ?? UNSEEN_RATE;
    this.#target = new HttpTarget({ ...options, endpoints: [endpoint] }, env, clock);
    const { pathname, search } = new URL(endpoint);
    this.#path = `${pathname === "/" ? PATH : ""}${search}`;
    this.#encoding = encoding === "json" ? new JsonEncoding(request.compression) : new ProtobufEncoding();
    this.#tenant = tenant;
    this.#streams = new Streams(
      options,
      this.#encoding,
      () => clock.monotonic(),
      (label, values) =>
        log.warn(
          { output: name, label, values },
          "a label has too many values, and each makes a stream of its own in Loki; until the next start it is structured metadata instead",
        ),
    );
  }

  requestKey(batch: Batch): string {
    return this.#tenant.perRow ? "" : this.#streams.tenant(batch, 0);
  }

  convoy(origin: Origin): string {
    return this.#streams.convoy(origin);
  }

  open(): OpenRequest {
    const plan = (share: Share, total: number): boolean => this.#plan(share, total);
    return new OpenPush(this.#streams, this.#encoding, plan, this.#spare);
  }

  async send(request: ClosedRequest, signal: AbortSignal): Promise<Outcome> {
    const push = request as PushRequest;
    const { body, rows, bytes, tenant, shares } = push;
    const into = shares.length > 1 ? this.#apart(shares) : undefined;
    if (into !== undefined) return { kind: "split", code: "", type: "", reason: "", into };
    const reply = await this.#target.request(
      {
        method: "POST",
        path: this.#path,
        headers: {
          ...this.#encoding.headers,
          "user-agent": "tailrace",
          ...(tenant === "" ? {} : { "x-scope-orgid": tenant }),
        },
        body,
      },
      signal,
    );
    this.#learn(push, reply);
    const refusals = this.#refusals.get(push) ?? 0;
    if ("status" in reply && reply.status === 429) this.#refusals.set(push, refusals + 1);
    const manyTenants = !this.#tenant.isConstant;
    const asked = { rows, bytes, refusals, manyTenants, decode: () => this.#encoding.decode(body) };
    return judge(reply, asked, this.#clock.wall());
  }

  pick(request: ClosedRequest, rows: readonly number[]): PushRequest {
    return pickPush(this.#encoding, request as PushRequest, rows);
  }

  entry(request: ClosedRequest, row: number): string {
    const push = request as PushRequest;
    let entries = this.#unpacked.get(push);
    if (entries === undefined) {
      entries = this.#encoding
        .decode(push.body)
        .flatMap(({ labels, entries }) => entries.map((entry) => ({ labels, entry })));
      this.#unpacked.set(push, entries);
    }
    const found = entries[row];
    return found === undefined ? "" : letterOf(push.tenant, found.labels, found.entry);
  }

  restore(_key: string, entries: readonly string[]): PushRequest {
    return restorePush(this.#encoding, this.#streams, entries);
  }

  close(): Promise<void> {
    return this.#target.close();
  }

  /** What became doubtful while the push waited goes apart after all. @returns the rows of each push; undefined: nothing. */
  #apart(shares: readonly Share[]): number[][] | undefined {
    if (!shares.some((share) => this.#isDoubtful(share))) return undefined;
    const shared: number[] = [];
    const alone: number[][] = [];
    let row = 0;
    for (const share of shares) {
      const rows = Array.from({ length: share.rows }, () => row++);
      if (this.#isDoubtful(share)) alone.push(rows);
      else shared.push(...rows);
    }
    return shared.length === 0 ? alone : [shared, ...alone];
  }

  /**
   * @returns whether a refusal of the stream is possible, so that its outcome must be seen. What is planned already counts
   * towards its rate: to find out only as it is sent would cost a push taken apart and made anew, twice the whole way.
   */
  #plan(share: Share, total: number): boolean {
    const { stream, bytes } = share;
    const now = this.#clock.monotonic();
    stream.planned.add(bytes, now, this.#unseenRate);
    if (this.#isDoubtful(share) || stream.planned.level(now, this.#unseenRate) > this.#unseenRate) return true;
    return bytes >= LARGE_BYTES && bytes * LARGE_SHARE >= total;
  }

  /** It is new or was away, its last push was refused, its rows are older than what it has, or it may be at its rate. */
  #isDoubtful({ stream, bytes, oldest }: Share): boolean {
    const { acceptedAt, newest, refused, sent } = stream;
    const now = this.#clock.monotonic();
    if (refused || acceptedAt <= this.#doubtAt || oldest < newest) return true;
    return now - acceptedAt > AWAY_MS || sent.level(now, this.#unseenRate) + bytes > this.#unseenRate;
  }

  #learn({ shares }: PushRequest, reply: HttpReply | HttpFailure): void {
    const now = this.#clock.monotonic();
    const status = "error" in reply ? 0 : reply.status;
    if (status === 0 || status >= 500) this.#doubtAt = now;
    const accepted = status === 200 || status === 204;
    for (const { stream, newest, bytes } of shares) {
      stream.sent.add(bytes, now, this.#unseenRate);
      stream.refused = !accepted;
      if (!accepted) continue;
      stream.acceptedAt = now;
      stream.newest = Math.max(stream.newest, newest);
    }
    if (status !== 429 || "error" in reply || !/per stream/i.test(reply.body)) return;
    const limit = rateLimitBytes(reply.body);
    if (limit !== undefined) this.#unseenRate = Math.min(this.#unseenRate, limit * UNSEEN_SHARE);
  }
}
