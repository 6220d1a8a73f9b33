/**
 * HttpTarget: one backend with one or more endpoints, each a pool of connections with its own limits. An endpoint that
 * can't be reached rests for a while and the others take over. It makes one attempt; repeating is the lane's business.
 */
import { readFileSync } from "node:fs";
import { Pool, ProxyAgent } from "undici";
import { errorCode, errorText } from "../agent/errors.ts";
import { type AuthOptions, authorization, type SecretValue } from "./auth.ts";

export interface HttpOptions {
  readonly endpoints: readonly string[];
  readonly request: {
    /** Milliseconds for a whole attempt. */
    readonly timeout: number;
    readonly concurrency: number;
    readonly headers: Readonly<Record<string, SecretValue>>;
  };
  readonly tls: {
    /** Replaces the system's authorities. */
    readonly caFile: string;
    readonly certFile: string;
    readonly keyFile: string;
    readonly serverName: string;
    readonly insecureSkipVerify: boolean;
  };
  readonly auth: AuthOptions;
}

export interface HttpReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly endpoint: string;
}

/** No answer, or not a whole one: whether the request had an effect is unknown. */
export interface HttpFailure {
  readonly code: string;
  readonly error: string;
  readonly endpoint: string;
}

interface Endpoint {
  readonly url: string;
  readonly path: string;
  readonly dispatcher: Pool | ProxyAgent;
  /** Attempts in a row without a usable answer. */
  failures: number;
  restingUntil: number;
}

const MAX_REPLY_BYTES = 64 * 1024 * 1024;
const MAX_REST_MS = 30_000;
const MAX_RETRY_AFTER_MS = 300_000;
/** The server closed a kept connection just as we sent; no answer was begun. */
const STALE = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

export class HttpTarget {
  readonly #options: HttpOptions;
  readonly #endpoints: readonly Endpoint[];
  #next = 0;

  /** @param env for proxies. @throws system errors when a certificate can't be read. */
  constructor(options: HttpOptions, env: Readonly<Record<string, string | undefined>>) {
    this.#options = options;
    const { caFile, certFile, keyFile, serverName, insecureSkipVerify } = options.tls;
    const connect = {
      timeout: 10_000,
      rejectUnauthorized: !insecureSkipVerify,
      ...(caFile === "" ? {} : { ca: readFileSync(caFile) }),
      ...(certFile === "" ? {} : { cert: readFileSync(certFile), key: readFileSync(keyFile) }),
      ...(serverName === "" ? {} : { servername: serverName }),
    };
    const { timeout, concurrency } = options.request;
    const limits = { connections: concurrency, headersTimeout: timeout, bodyTimeout: timeout };
    this.#endpoints = options.endpoints.map((url) => {
      const { origin, pathname } = new URL(url);
      const proxy = proxyFor(url, env);
      const dispatcher =
        proxy === undefined
          ? new Pool(origin, { ...limits, connect })
          : new ProxyAgent({ ...limits, uri: proxy, requestTls: connect });
      return { url, path: pathname.replace(/\/$/, ""), dispatcher, failures: 0, restingUntil: 0 };
    });
  }

  /** One attempt. Never throws. @param path with a leading slash; put behind the endpoint's own path. */
  async post(
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Buffer,
    signal: AbortSignal,
  ): Promise<HttpReply | HttpFailure> {
    const endpoint = this.#choose();
    let reply = await this.#attempt(endpoint, path, headers, body, signal);
    if ("error" in reply && STALE.has(reply.code) && !signal.aborted)
      reply = await this.#attempt(endpoint, path, headers, body, signal);
    const unwell = "error" in reply || reply.status === 502 || reply.status === 503;
    endpoint.failures = unwell ? endpoint.failures + 1 : 0;
    endpoint.restingUntil = unwell ? performance.now() + Math.min(MAX_REST_MS, 500 * 2 ** endpoint.failures) : 0;
    return reply;
  }

  async close(): Promise<void> {
    await Promise.all(this.#endpoints.map(({ dispatcher }) => dispatcher.destroy()));
  }

  /** In turn those that are well; when none is, the one that has rested longest. */
  #choose(): Endpoint {
    const now = performance.now();
    const count = this.#endpoints.length;
    let best = this.#endpoints[0] as Endpoint;
    for (let i = 0; i < count; i++) {
      const endpoint = this.#endpoints[(this.#next + i) % count] as Endpoint;
      if (endpoint.restingUntil <= now) {
        this.#next = (this.#next + i + 1) % count;
        return endpoint;
      }
      if (endpoint.restingUntil < best.restingUntil) best = endpoint;
    }
    return best;
  }

  async #attempt(
    { url, path: base, dispatcher }: Endpoint,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Buffer,
    signal: AbortSignal,
  ): Promise<HttpReply | HttpFailure> {
    try {
      const response = await dispatcher.request({
        origin: new URL(url).origin,
        method: "POST",
        path: base + path,
        headers: { ...headers, ...this.#secretHeaders() },
        body,
        signal,
      });
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of response.body) {
        bytes += (chunk as Buffer).length;
        if (bytes > MAX_REPLY_BYTES)
          throw Object.assign(new Error("the answer is larger than 64 MiB"), { code: "REPLY_TOO_LARGE" });
        chunks.push(chunk as Buffer);
      }
      return {
        status: response.statusCode,
        headers: response.headers,
        body: Buffer.concat(chunks).toString("utf8"),
        endpoint: url,
      };
    } catch (error) {
      const timedOut = signal.aborted && (signal.reason as Error | undefined)?.name === "TimeoutError";
      const code = timedOut ? "TIMEOUT" : errorCode(error) || errorCode((error as Error).cause) || "FAILED";
      return {
        code,
        error: timedOut ? `no answer within ${this.#options.request.timeout} ms` : errorText(error),
        endpoint: url,
      };
    }
  }

  #secretHeaders(): Record<string, string> {
    const headers: Record<string, string> = {};
    for (const [name, secret] of Object.entries(this.#options.request.headers))
      headers[name.toLowerCase()] = secret.value();
    const credentials = authorization(this.#options.auth);
    if (credentials !== undefined) headers.authorization = credentials;
    return headers;
  }
}

/** How long a server asks to wait, in seconds or as a date; undefined when it does not. */
export function retryAfterMs(headers: HttpReply["headers"], wallMs: number): number | undefined {
  const value = headers["retry-after"];
  if (typeof value !== "string") return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - wallMs;
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), MAX_RETRY_AFTER_MS) : undefined;
}

/** The proxy that the usual variables name for a URL; lower case wins. */
function proxyFor(url: string, env: Readonly<Record<string, string | undefined>>): string | undefined {
  const { protocol, hostname, port } = new URL(url);
  const proxy = protocol === "https:" ? env.https_proxy || env.HTTPS_PROXY : env.http_proxy || env.HTTP_PROXY;
  if (!proxy) return undefined;
  const excluded = (env.no_proxy ?? env.NO_PROXY ?? "").split(/[\s,]+/).filter(Boolean);
  const bare = (entry: string): string => entry.replace(/^\*?\./, "");
  const applies = (entry: string): boolean => {
    const [host = "", only] = bare(entry).split(":");
    if (only !== undefined && only !== (port || (protocol === "https:" ? "443" : "80"))) return false;
    return entry === "*" || hostname === host || hostname.endsWith(`.${host}`);
  };
  return excluded.some(applies) ? undefined : proxy;
}
