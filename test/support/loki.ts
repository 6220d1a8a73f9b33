/**
 * A fake Loki on loopback that answers as 3.7 was seen to, also where that misleads: a 204 or 400 speaks for the last
 * stream of a push only, a 400 stores what is good, repeats are recognised, and what is far behind is refused.
 */
import { type Answer, type Asked, Backend, type BackendOptions } from "./backend.ts";
import { checkNames, decodePush, type Entry, type Push, parseLabelText, Refused } from "./loki-wire.ts";

export interface Limits {
  maxLineBytes: number;
  maxAgeSeconds: number;
  maxLabels: number;
  maxStreams: number;
  /** Of a tenant and of a stream, until `refill`: nobody waits for a real second. */
  tenantBytes: number;
  streamBytes: number;
  /** What it names as a tenant's limit: its rate, which can be more than the burst that passes. */
  toldBytes?: number;
  blocked: boolean;
  structuredMetadata: boolean;
}

export interface Stored extends Omit<Entry, "metadata"> {
  readonly tenant: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
}

interface StreamState {
  readonly labels: Record<string, string>;
  newest: bigint;
  used: number;
}

interface Tenant {
  readonly streams: Map<string, StreamState>;
  used: number;
}

export interface FakeOptions extends BackendOptions {
  readonly authorization?: string;
  /** Whether a tenant must be named. */
  readonly tenants?: boolean;
}

const SECOND = 1_000_000_000n;
const DEFAULTS: Limits = {
  maxLineBytes: 262_144,
  maxAgeSeconds: 7 * 86_400,
  maxLabels: 15,
  maxStreams: 5000,
  tenantBytes: Number.POSITIVE_INFINITY,
  streamBytes: Number.POSITIVE_INFINITY,
  blocked: false,
  structuredMetadata: true,
};

export class LokiFake extends Backend {
  /** In the order in which they were stored. */
  readonly stored: Stored[] = [];
  /** Entries that were not stored, by reason, as in loki_discarded_samples_total. */
  readonly discarded = new Map<string, number>();
  /** Streams of each push that was decoded, as label texts. */
  readonly pushes: string[][] = [];
  authorization: string | undefined;
  maxMessageBytes = 4 * 1024 * 1024;
  /** How far a line may be behind the newest of its stream: half of max_chunk_age. */
  windowSeconds = 3600;
  /** Seconds since 1970. */
  now = 1_790_100_000;
  /** Lines that are refused for good, without being named. */
  refuse: (line: string) => boolean = () => false;
  readonly #needsTenant: boolean;
  /** What was stored is recognised also after it was flushed. */
  readonly #known = new Set<string>();
  readonly #limits = new Map<string, Limits>();
  readonly #tenants = new Map<string, Tenant>();

  constructor(options: FakeOptions) {
    super(options);
    this.authorization = options.authorization;
    this.#needsTenant = options.tenants ?? false;
  }

  /** Of a tenant; without tenants it is called fake. To be changed at will. */
  limits(tenant = "fake"): Limits {
    const limits = this.#limits.get(tenant) ?? { ...DEFAULTS };
    this.#limits.set(tenant, limits);
    return limits;
  }

  /** As time does: tenants and streams may send again. */
  refill(): void {
    for (const tenant of this.#tenants.values()) {
      tenant.used = 0;
      for (const stream of tenant.streams.values()) stream.used = 0;
    }
  }

  /** An ingester that starts anew without a log of its own: it counts every stream as new. */
  forgetStreams(): void {
    this.#tenants.clear();
  }

  lines(tenant = "fake"): string[] {
    return this.stored.filter((entry) => entry.tenant === tenant).map(({ line }) => line);
  }

  protected answer(asked: Asked): Answer {
    try {
      this.#take(asked);
      return { status: 204, text: "", headers: {} };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const headers = { "content-type": "text/plain; charset=utf-8" };
      return { status: error.status, text: `${error.message}\n`, headers };
    }
  }

  #take({ method, url, headers, body }: Asked): void {
    if (this.authorization !== undefined && headers.authorization !== this.authorization)
      throw new Refused(401, "Unauthorized");
    if (method !== "POST" || new URL(url, "http://fake").pathname !== "/loki/api/v1/push")
      throw new Refused(404, "404 page not found");
    const name = this.#tenantName(headers["x-scope-orgid"]);
    const { streams, bytes } = decodePush(body, headers["content-type"], headers["content-encoding"]);
    if (streams.length === 0) throw new Refused(422, "at least one valid stream is required for ingestion");
    const limits = this.limits(name);
    if (limits.blocked)
      throw new Refused(260, `ingestion blocked for user ${name} until '2026-12-01T00:00:00Z' with status code '260'`);
    this.pushes.push(streams.map(({ labels }) => labels));
    const pairs = streams.map(({ labels }) => parseLabelText(labels));
    const errors: string[] = [];
    const valid = streams.map((stream, i) => ({
      ...stream,
      entries: this.#validate(stream, pairs[i] ?? [], limits, errors),
    }));
    const tenant = this.#tenant(name);
    const size = valid.reduce((sum, { entries }) => sum + entries.reduce((all, entry) => all + sizeOf(entry), 0), 0);
    const lines = valid.reduce((sum, { entries }) => sum + entries.length, 0);
    if (tenant.used + size > limits.tenantBytes) {
      this.#discard("rate_limited", lines);
      throw new Refused(
        429,
        `ingestion rate limit exceeded for user ${name} (limit: ${limits.toldBytes ?? limits.tenantBytes} bytes/sec) while attempting to ingest '${lines}' lines totaling '${size}' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased`,
      );
    }
    tenant.used += size;
    if (bytes > this.maxMessageBytes)
      throw new Refused(
        500,
        `rpc error: code = ResourceExhausted desc = grpc: received message larger than max (${bytes} vs. ${this.maxMessageBytes})`,
      );
    for (const { entries } of valid) for (const { metadata } of entries) checkNames(metadata);
    // The ingester's answer is that of its last stream; what the others had to say is lost.
    let last: Refused | undefined;
    valid.forEach(({ labels, entries }, i) => {
      if (entries.length > 0)
        last = this.#push(name, tenant, labels, Object.fromEntries(pairs[i] ?? []), entries, limits);
    });
    if (last !== undefined) throw last;
    if (errors.length > 0) throw new Refused(400, errors.slice(0, 10).join("\n"));
  }

  #tenantName(header: string | string[] | undefined): string {
    if (!this.#needsTenant) return "fake";
    if (typeof header !== "string" || header === "") throw new Refused(401, "no org id");
    if (header.includes("|")) throw new Refused(400, "multiple org IDs present");
    if (/[^a-zA-Z0-9!\-_.*'()]/.test(header) || header === "." || header === ".." || header.length > 150)
      throw new Refused(400, `tenant ID '${header}' is not valid`);
    return header;
  }

  #tenant(name: string): Tenant {
    const tenant = this.#tenants.get(name) ?? { streams: new Map(), used: 0 };
    this.#tenants.set(name, tenant);
    return tenant;
  }

  /** Entry by entry; good ones beside bad ones go on. */
  #validate({ labels, entries }: Push, pairs: readonly unknown[], limits: Limits, errors: string[]): Entry[] {
    if (pairs.length > limits.maxLabels) {
      errors.push(`entry for stream '${labels}' has ${pairs.length} label names; limit ${limits.maxLabels}`);
      this.#discard("max_label_names_per_series", entries.length);
      return [];
    }
    const oldest = this.now - limits.maxAgeSeconds;
    return entries.filter(({ time, line, metadata }) => {
      const seconds = Number(time / SECOND);
      const length = Buffer.byteLength(line);
      const [reason, error] =
        seconds < oldest
          ? [
              "greater_than_max_sample_age",
              `entry for stream '${labels}' has timestamp too old: ${rfc(seconds)}, oldest acceptable timestamp is: ${rfc(oldest)}`,
            ]
          : seconds > this.now + 600
            ? ["too_far_in_future", `entry for stream '${labels}' has timestamp too new: ${rfc(seconds)}`]
            : length > limits.maxLineBytes
              ? [
                  "line_too_long",
                  `max entry size '${limits.maxLineBytes}' bytes exceeded for stream '${labels}' while adding an entry with length '${length}' bytes`,
                ]
              : this.refuse(line)
                ? [
                    "structured_metadata_too_large",
                    `stream '${labels}' has structured metadata too large: '65537' bytes, limit: '65536' bytes. Please see \`limits_config.max_structured_metadata_size\``,
                  ]
                : metadata.length > 0 && !limits.structuredMetadata
                  ? [
                      "disallowed_structured_metadata",
                      `stream '${labels}' includes structured metadata, but this feature is disallowed. Please see \`limits_config.allow_structured_metadata\``,
                    ]
                  : ["", ""];
      if (reason === "") return true;
      errors.push(error);
      this.#discard(reason, 1);
      return false;
    });
  }

  #push(
    name: string,
    { streams }: Tenant,
    text: string,
    labels: Record<string, string>,
    entries: readonly Entry[],
    limits: Limits,
  ): Refused | undefined {
    const key = JSON.stringify(Object.entries(labels).toSorted());
    const stream = streams.get(key) ?? { labels, newest: -(2n ** 100n), used: 0 };
    if (!streams.has(key)) {
      if (streams.size >= limits.maxStreams) {
        this.#discard("stream_limit", entries.length);
        return new Refused(
          429,
          `maximum active stream limit exceeded when trying to create stream ${text}, reduce the number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, user: '${name}'`,
        );
      }
      streams.set(key, stream);
    }
    const ignored: { entry: Entry; status: number; reason: string }[] = [];
    for (const entry of entries) {
      const cutoff = stream.newest - BigInt(this.windowSeconds) * SECOND;
      if (entry.time < cutoff) {
        this.#discard("too_far_behind", 1);
        ignored.push({
          entry,
          status: 400,
          reason: `entry too far behind, entry timestamp is: ${rfc(Number(entry.time / SECOND))}, oldest acceptable timestamp is: ${rfc(Number(cutoff / SECOND))}`,
        });
        continue;
      }
      if (stream.used + sizeOf(entry) > limits.streamBytes) {
        this.#discard("per_stream_rate_limit", 1);
        ignored.push({
          entry,
          status: 429,
          reason: `Per stream rate limit exceeded (limit: ${limits.streamBytes}B/sec) while attempting to ingest for stream '${text}' totaling ${sizeOf(entry)}B, consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased`,
        });
        continue;
      }
      stream.used += sizeOf(entry);
      if (entry.time > stream.newest) stream.newest = entry.time;
      const metadata = Object.fromEntries(entry.metadata);
      const identity = JSON.stringify([name, key, String(entry.time), entry.line, metadata]);
      if (this.#known.has(identity)) continue;
      this.#known.add(identity);
      this.stored.push({ ...entry, metadata, tenant: name, labels });
    }
    if (ignored.length === 0) return undefined;
    const lines = ignored
      .slice(0, 10)
      .map(({ entry, reason }) => `entry with timestamp ${goTime(entry.time)} ignored, reason: '${reason}',`);
    const end = `user '${name}', total ignored: ${ignored.length} out of ${entries.length} for stream: ${text}`;
    const status = ignored.some((one) => one.status === 429) ? 429 : 400;
    return new Refused(status, [...lines, end].join("\n"));
  }

  #discard(reason: string, entries: number): void {
    this.discarded.set(reason, (this.discarded.get(reason) ?? 0) + entries);
  }
}

export function startLoki(options: FakeOptions = {}): Promise<LokiFake> {
  return new LokiFake(options).start();
}

function sizeOf({ line, metadata }: Entry): number {
  return (
    Buffer.byteLength(line) + metadata.reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value), 0)
  );
}

function rfc(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(".000", "");
}

function goTime(time: bigint): string {
  return `${rfc(Number(time / SECOND))
    .replace("T", " ")
    .replace("Z", "")} +0000 UTC`;
}
