/**
 * Google Cloud Logging: `entries:write` requests in JSON. What an entry is, is in stackdriver-entry.ts, what answers mean
 * in stackdriver-answer.ts.
 *
 *   POST /v2/entries:write
 *   {"partialSuccess":true,"entries":[{"timestamp":"…","severity":"INFO","insertId":"…","logName":"…","resource":{…}, …}]}
 *
 * A request gives resource, labels and log name only once for all of its entries, or not at all. So containers that write
 * much have requests of their own, and all others share some whose entries each say where they come from.
 */
import type { Batch } from "../agent/batch.ts";
import { type Clock, systemClock } from "../agent/clock.ts";
import type { Template } from "../agent/config/template.ts";
import type { Origin } from "../agent/pods/origin.ts";
import { authorization } from "./auth.ts";
import { GoogleAuth } from "./google-auth.ts";
import { MetadataServer } from "./google-metadata.ts";
import type { Compression } from "./gzip.ts";
import { type HttpFailure, type HttpOptions, type HttpReply, HttpTarget } from "./http.ts";
import type { ByteWriter } from "./json.ts";
import type { ClosedRequest, OpenRequest, Outcome, Output } from "./output.ts";
import { judge } from "./stackdriver-answer.ts";
import { ClusterIdentity, type ClusterOptions } from "./stackdriver-cluster.ts";
import { EntryWriter } from "./stackdriver-entry.ts";
import { type ClosedEntries, EntriesRequest, restoreEntries } from "./stackdriver-request.ts";

export interface StackdriverOptions extends Omit<HttpOptions, "endpoints">, ClusterOptions {
  readonly endpoint: string;
  readonly credentialsFile: string;
  readonly logName: Template;
  readonly structured: boolean;
  readonly request: HttpOptions["request"] & { readonly compression: Compression };
}

const PATH = "/v2/entries:write";
/** A batch with so many rows is of a container that fills requests of its own. */
const MANY_ROWS = 200;

export class StackdriverOutput implements Output {
  readonly type = "stackdriver";
  readonly #options: StackdriverOptions;
  readonly #clock: Clock;
  readonly #target: HttpTarget;
  readonly #metadata: MetadataServer;
  /** undefined where the configuration has credentials of another kind. */
  readonly #auth: GoogleAuth | undefined;
  readonly #cluster: ClusterIdentity;
  readonly #entries: EntryWriter;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #writers: ByteWriter[] = [];
  readonly #keys = new WeakMap<Origin, string>();
  #nextKey = 1;

  /** @param env for proxies and Google's usual variables. @throws system errors when a certificate can't be read. */
  constructor(
    options: StackdriverOptions,
    env: Readonly<Record<string, string | undefined>>,
    clock: Clock = systemClock,
  ) {
    const { endpoint, request, auth, logName, structured } = options;
    this.#options = options;
    this.#clock = clock;
    this.#target = new HttpTarget({ ...options, endpoints: [endpoint] }, env, clock);
    this.#metadata = new MetadataServer(env, clock);
    this.#auth = authorization(auth) !== undefined ? undefined : new GoogleAuth(options, this.#metadata, env, clock);
    this.#cluster = new ClusterIdentity(options, this.#metadata, this.#auth);
    this.#entries = new EntryWriter(this.#cluster, logName, structured);
    this.#headers = {
      "content-type": "application/json",
      accept: "application/json",
      "user-agent": "tailrace",
      ...(request.compression === "none" ? {} : { "content-encoding": request.compression }),
    };
  }

  requestKey({ origin, rows }: Batch): string {
    if (rows < MANY_ROWS) return "";
    let key = this.#keys.get(origin);
    if (key === undefined) {
      key = String(this.#nextKey++);
      this.#keys.set(origin, key);
    }
    return key;
  }

  open(key: string): OpenRequest {
    return new EntriesRequest(
      this.#entries,
      this.#cluster,
      this.#options.request.compression,
      key !== "",
      this.#writers,
    );
  }

  async send(request: ClosedRequest, signal: AbortSignal): Promise<Outcome> {
    const entries = request as ClosedEntries;
    if (!entries.isResolved) {
      const why = await this.#cluster.discover(signal);
      if (why !== "") return { kind: "retry", code: "NO_METADATA", reason: why };
      entries.resolve(this.#cluster);
    }
    let token = await this.#auth?.token(signal);
    if (token !== undefined && "error" in token) return noToken(token.error);
    let reply = await this.#post(entries, token?.token, signal);
    if (token !== undefined && "status" in reply && reply.status === 401) {
      // A token can end before its time: with a new one the same request goes at once, but once.
      this.#auth?.refused(token.token);
      token = await this.#auth?.token(signal);
      if (token !== undefined && "error" in token) return noToken(token.error);
      reply = await this.#post(entries, token?.token, signal);
    }
    return judge(reply, (entry) => entries.rowOf(entry), this.#clock.wall());
  }

  pick(request: ClosedRequest, rows: readonly number[]): ClosedRequest {
    return (request as ClosedEntries).pick(rows);
  }

  /** A request with this row alone. */
  entry(request: ClosedRequest, row: number): string {
    return (request as ClosedEntries).pick([row]).text;
  }

  restore(_key: string, entries: readonly string[]): ClosedRequest {
    return restoreEntries(entries, this.#options.request.compression);
  }

  async close(): Promise<void> {
    await Promise.all([this.#target.close(), this.#metadata.close(), this.#auth?.close()]);
  }

  #post({ body }: ClosedEntries, token: string | undefined, signal: AbortSignal): Promise<HttpReply | HttpFailure> {
    const headers = token === undefined ? this.#headers : { ...this.#headers, authorization: `Bearer ${token}` };
    return this.#target.request({ method: "POST", path: PATH, headers, body }, signal);
  }
}

function noToken(error: string): Outcome {
  const advice = "check credentialsFile, or on GKE that Workload Identity is set up";
  return { kind: "retry", code: "NO_TOKEN", reason: `${error}; ${advice}` };
}
