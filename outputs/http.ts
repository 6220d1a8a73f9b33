/**
 * HttpTarget: one backend with one or more endpoints, each a pool of connections with its own limits. An endpoint that
 * can't be reached rests for a while and the others take over. It makes one attempt; repeating is the lane's business.
 * Connections are made anew when a certificate's file changes, and now and then, so that a changed name is followed.
 */
import { type Clock, systemClock } from "../agent/clock.ts";
import { Secret } from "../agent/config/secret.ts";
import { errorCode, errorText } from "../agent/errors.ts";
import { Pool, ProxyAgent } from "../agent/undici.ts";
import { type AuthOptions, authorization, type SecretValue } from "./auth.ts";
import { Exchange } from "./exchange.ts";
import { answers } from "./spare.ts";

export interface HttpOptions {
  readonly endpoints: readonly string[];
  readonly request: {
    /** Milliseconds that a server may keep silent; who calls bounds the whole attempt by its signal. */
    readonly timeout: number;
    readonly concurrency: number;
    readonly headers: Readonly<Record<string, SecretValue>>;
  };
  readonly tls: {
    /** Replaces the system's authorities. These files are read again when they change. */
    readonly caFile: string;
    readonly certFile: string;
    readonly keyFile: string;
    readonly serverName: string;
    readonly insecureSkipVerify: boolean;
  };
  readonly auth: AuthOptions;
}

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT";
  /** With a leading slash; put behind the endpoint's own path. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

export class HttpReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly bytes: Buffer;
  readonly endpoint: string;

  constructor(status: number, headers: HttpReply["headers"], bytes: Buffer, endpoint: string) {
    this.status = status;
    this.headers = headers;
    this.bytes = bytes;
    this.endpoint = endpoint;
  }

  /** Gives its room to the next answer. It must not be read afterwards. */
  release(): void {
    answers.give(this.bytes);
  }

  /** Made when asked for: as strings, the answers to bulks were a fifth of all garbage. */
  get body(): string {
    return this.bytes.toString("utf8");
  }
}

/** No answer, or not a whole one: whether the request had an effect is unknown. */
export interface HttpFailure {
  readonly code: string;
  readonly error: string;
  /** Whether an answer had begun. */
  readonly begun: boolean;
  readonly endpoint: string;
}

type Dispatcher = InstanceType<typeof Pool> | InstanceType<typeof ProxyAgent>;

/** What TLS takes from files, by its option in Node. */
type Pem = Readonly<Partial<Record<"ca" | "cert" | "key", string>>>;

interface Endpoint {
  readonly url: string;
  readonly origin: string;
  readonly path: string;
  /** undefined: none. */
  readonly proxy: string | undefined;
  dispatcher: Dispatcher;
  /** The last attempt got its answer, so connections may be kept. */
  answered: boolean;
  /** Attempts in a row without a usable answer. */
  failures: number;
  restingUntil: number;
}

const MAX_REPLY_BYTES = 64 * 1024 * 1024;
/** A kept connection holds on to its address, whatever the name has come to mean. */
const MAX_CONNECTION_AGE_MS = 300_000;
const MAX_REST_MS = 30_000;
const MAX_RETRY_AFTER_MS = 300_000;
/** How it shows that the server has closed a kept connection just as we sent. */
const STALE = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

export class HttpTarget {
  readonly #options: HttpOptions;
  readonly #clock: Clock;
  readonly #endpoints: readonly Endpoint[];
  readonly #files: Readonly<Partial<Record<keyof Pem, Secret>>>;
  /** Dispatchers that others have replaced, until their last answer is there. */
  readonly #leaving = new Set<Dispatcher>();
  #pem: Pem;
  #connectedAt: number;
  #next = 0;

  /** @param env for proxies. @throws system errors when a certificate can't be read. */
  constructor(options: HttpOptions, env: Readonly<Record<string, string | undefined>>, clock: Clock = systemClock) {
    this.#options = options;
    this.#clock = clock;
    const { caFile, certFile, keyFile } = options.tls;
    const file = (path: string): Secret => {
      const secret = Secret.ofFile(path, clock);
      secret.read();
      return secret;
    };
    this.#files = {
      ...(caFile === "" ? {} : { ca: file(caFile) }),
      ...(certFile === "" ? {} : { cert: file(certFile), key: file(keyFile) }),
    };
    this.#pem = this.#readPem();
    this.#connectedAt = clock.monotonic();
    this.#endpoints = options.endpoints.map((url) => {
      const { origin, pathname } = new URL(url);
      const proxy = proxyFor(url, env);
      const dispatcher = this.#dispatcher(origin, proxy);
      const path = pathname.replace(/\/$/, "");
      return { url, origin, path, proxy, dispatcher, answered: false, failures: 0, restingUntil: 0 };
    });
  }

  /** One attempt, at one endpoint. Never throws. */
  async request(request: HttpRequest, signal: AbortSignal): Promise<HttpReply | HttpFailure> {
    this.#renew();
    const endpoint = this.#choose();
    const kept = endpoint.answered;
    let reply = await this.#attempt(endpoint, request, signal);
    // Such a request was most likely never read, and the next one opens a new connection.
    if (kept && "error" in reply && !reply.begun && STALE.has(reply.code) && !signal.aborted)
      reply = await this.#attempt(endpoint, request, signal);
    endpoint.answered = !("error" in reply);
    if (signal.aborted && !timedOut(signal)) return reply;
    const unwell = "error" in reply || reply.status === 502 || reply.status === 503;
    endpoint.failures = unwell ? endpoint.failures + 1 : 0;
    endpoint.restingUntil = unwell ? this.#clock.monotonic() + Math.min(MAX_REST_MS, 500 * 2 ** endpoint.failures) : 0;
    return reply;
  }

  async close(): Promise<void> {
    const all = [...this.#endpoints.map(({ dispatcher }) => dispatcher), ...this.#leaving];
    await Promise.all(all.map((dispatcher) => dispatcher.destroy()));
  }

  #readPem(): Pem {
    return Object.fromEntries(Object.entries(this.#files).map(([option, file]) => [option, file.value()]));
  }

  #dispatcher(origin: string, proxy: string | undefined): Dispatcher {
    const { serverName, insecureSkipVerify } = this.#options.tls;
    const connect = {
      timeout: 10_000,
      rejectUnauthorized: !insecureSkipVerify,
      ...this.#pem,
      ...(serverName === "" ? {} : { servername: serverName }),
    };
    const { timeout, concurrency } = this.#options.request;
    const limits = { connections: concurrency, headersTimeout: timeout, bodyTimeout: timeout };
    return proxy === undefined
      ? new Pool(origin, { ...limits, connect })
      : new ProxyAgent({ ...limits, uri: proxy, requestTls: connect });
  }

  /** New connections where a certificate's file has changed or the old ones have had their time. */
  #renew(): void {
    const pem = this.#readPem();
    const now = this.#clock.monotonic();
    const changed = (Object.keys(pem) as (keyof Pem)[]).some((option) => pem[option] !== this.#pem[option]);
    if (!changed && now - this.#connectedAt < MAX_CONNECTION_AGE_MS) return;
    this.#pem = pem;
    this.#connectedAt = now;
    for (const endpoint of this.#endpoints) {
      const old = endpoint.dispatcher;
      endpoint.dispatcher = this.#dispatcher(endpoint.origin, endpoint.proxy);
      endpoint.answered = false;
      this.#leaving.add(old);
      void old.close().then(
        () => this.#leaving.delete(old),
        () => this.#leaving.delete(old),
      );
    }
  }

  /** In turn those that are well; when none is, the one that has rested longest. */
  #choose(): Endpoint {
    const now = this.#clock.monotonic();
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

  async #attempt(endpoint: Endpoint, request: HttpRequest, signal: AbortSignal): Promise<HttpReply | HttpFailure> {
    const { method, path, headers, body = null } = request;
    const exchange = new Exchange(signal, MAX_REPLY_BYTES);
    try {
      signal.throwIfAborted();
      endpoint.dispatcher.dispatch(
        {
          origin: endpoint.origin,
          method,
          path: endpoint.path + path,
          headers: { ...headers, ...this.#secretHeaders() },
          body,
        },
        exchange,
      );
      const { status, headers: names, bytes } = await exchange.answer;
      return new HttpReply(status, names, bytes, endpoint.url);
    } catch (error) {
      const late = timedOut(signal);
      const code = signal.aborted
        ? late
          ? "TIMEOUT"
          : "ABORTED"
        : errorCode(error) || errorCode((error as Error).cause);
      return {
        code: code || "FAILED",
        error: late ? "no answer in time" : errorText(error),
        begun: exchange.begun,
        endpoint: endpoint.url,
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

function timedOut({ aborted, reason }: AbortSignal): boolean {
  return aborted && (reason as Error | undefined)?.name === "TimeoutError";
}

/** The proxy that the usual variables name for a URL; lower case wins. */
function proxyFor(url: string, env: Readonly<Record<string, string | undefined>>): string | undefined {
  const { protocol, hostname, port } = new URL(url);
  const proxy = protocol === "https:" ? env.https_proxy || env.HTTPS_PROXY : env.http_proxy || env.HTTP_PROXY;
  if (!proxy) return undefined;
  const portSuffix = `:${port || (protocol === "https:" ? "443" : "80")}`;
  const applies = (entry: string): boolean => {
    const bare = entry.toLowerCase().replace(/^\*?\./, "");
    const host = bare.endsWith(portSuffix) ? bare.slice(0, -portSuffix.length) : bare;
    return bare === "*" || hostname === host || hostname === `[${bare}]` || hostname.endsWith(`.${host}`);
  };
  const excluded = (env.no_proxy || env.NO_PROXY || "").split(/[\s,]+/).filter(Boolean);
  if (excluded.some(applies)) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}
