/**
 * One request to the API server: address, credentials, TLS, and what a refusal means. Retrying is the reflector's.
 * Never through a proxy: the API server is in the cluster.
 */
import type { Dispatcher } from "undici";
import { Pool } from "../undici.ts";
import { VERSION } from "../version.ts";
import type { Access, Cluster } from "./cluster.ts";

export interface Collection {
  /** What RBAC calls it: pods. */
  readonly resource: string;
  /** Its path: /api/v1/pods. */
  readonly path: string;
  /** "" for all. */
  readonly fieldSelector: string;
  /** Asks the server to leave out all but the metadata. */
  readonly metadataOnly: boolean;
}

export type Verb = "list" | "watch";

/** The body of a refusal, and the object of a watch's ERROR event. */
export interface Status {
  readonly code?: number;
  readonly message?: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

const MAX_RETRY_AFTER_MS = 300_000;

/** The server refused, or (status 0) what it sent makes no sense. */
export class ApiError extends Error {
  readonly status: number;
  /** What the server asked for; 0 when it did not. */
  readonly retryAfterMs: number;

  constructor(status: number, message: string, retryAfterSeconds = 0) {
    super(message);
    this.status = status;
    this.retryAfterMs = retryAfterSeconds > 0 ? Math.min(retryAfterSeconds * 1000, MAX_RETRY_AFTER_MS) : 0;
  }
}

export class Api {
  readonly #cluster: Cluster;
  #pool: InstanceType<typeof Pool> | undefined;
  #poolFor = "";

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * A 401 is repeated once with credentials read again, because they rotate.
   * @returns an answer with status 200, whose body the caller must read or destroy.
   * @throws ApiError for another status; any error when there is no answer.
   */
  async get(
    collection: Collection,
    verb: Verb,
    query: URLSearchParams,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    for (let fresh = false; ; fresh = true) {
      const access = await this.#cluster.access(fresh);
      const folder = new URL(access.server).pathname.replace(/\/$/, "");
      const response = await this.#poolOf(access).request({
        method: "GET",
        path: `${folder}${collection.path}?${query}`,
        headers: {
          ...access.headers,
          accept: accept(verb, collection.metadataOnly),
          "user-agent": `tailrace/${VERSION}`,
        },
        signal,
      });
      if (response.statusCode === 200) return response;
      const text = await response.body.text();
      if (response.statusCode === 401 && !fresh) continue;
      throw refusal(collection, verb, response.statusCode, text, Number(response.headers["retry-after"]));
    }
  }

  /**
   * Creates an object. @returns "" when it is there, else what the server said.
   * @throws any error when there is no answer.
   */
  async create(path: string, object: unknown, signal: AbortSignal): Promise<string> {
    for (let fresh = false; ; fresh = true) {
      const access = await this.#cluster.access(fresh);
      const folder = new URL(access.server).pathname.replace(/\/$/, "");
      const { statusCode, body } = await this.#poolOf(access).request({
        method: "POST",
        path: `${folder}${path}`,
        headers: { ...access.headers, "content-type": "application/json", "user-agent": `tailrace/${VERSION}` },
        body: JSON.stringify(object),
        signal,
      });
      const text = await body.text();
      if (statusCode === 401 && !fresh) continue;
      return statusCode < 300 || statusCode === 409 ? "" : `${statusCode}: ${text.slice(0, 500).trim()}`;
    }
  }

  async close(): Promise<void> {
    await this.#pool?.destroy();
  }

  /** Connections are made anew when the address or a certificate has changed. */
  #poolOf({ server, tls }: Access): InstanceType<typeof Pool> {
    const key = [server, tls.ca, tls.cert, tls.key, tls.servername, tls.rejectUnauthorized].join("\n");
    if (this.#pool === undefined || key !== this.#poolFor) {
      this.#pool?.destroy().catch(() => {});
      this.#poolFor = key;
      this.#pool = new Pool(new URL(server).origin, {
        connections: 2,
        headersTimeout: 60_000,
        // A watch may be silent for minutes; its end is the reflector's to say.
        bodyTimeout: 0,
        connect: { ...tls, timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 30_000 },
      });
    }
    return this.#pool;
  }
}

function refusal(
  { resource }: Collection,
  verb: Verb,
  status: number,
  text: string,
  retryAfterSeconds: number,
): ApiError {
  let message = text.slice(0, 500).trim();
  try {
    message = (JSON.parse(text) as Status).message ?? message;
  } catch {
    // Load balancers and proxies answer in their own words.
  }
  if (status === 403)
    message =
      `the agent may not ${verb} ${resource}: its ClusterRole must allow the verbs "list" and "watch" on the resource ` +
      `"${resource}", here "${verb}" is missing (${message})`;
  return new ApiError(status, message || `the API server answered ${status}`, retryAfterSeconds);
}

function accept(verb: Verb, metadataOnly: boolean): string {
  if (!metadataOnly) return "application/json";
  const kind = verb === "list" ? "PartialObjectMetadataList" : "PartialObjectMetadata";
  return `application/json;as=${kind};g=meta.k8s.io;v=v1,application/json`;
}
