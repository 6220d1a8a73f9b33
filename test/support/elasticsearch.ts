/**
 * A fake Elasticsearch on loopback that is as strict about requests as the real one was seen to be, and misbehaves on
 * script. What it does with documents is in bulk.ts.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { gunzipSync } from "node:zlib";
import { type Answer, type Document, failure, type Refusal, Store } from "./bulk.ts";

/** What happens instead of the usual answer to one request. */
export type Misbehaviour =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly body?: string;
      readonly headers?: Record<string, string>;
    }
  | { readonly kind: "reset-before-reading" }
  | { readonly kind: "reset-before-answer" }
  /** Everything is stored, but the client never hears of it. */
  | { readonly kind: "store-and-reset" }
  | { readonly kind: "cut-answer" }
  /** The usual answer, but not before this. */
  | { readonly kind: "delay"; readonly until: Promise<unknown> }
  | { readonly kind: "hang" };

export interface ElasticsearchFake {
  readonly url: string;
  readonly port: number;
  /** In the order of arrival. */
  documents(index?: string): Document[];
  /** Of the documents that came with one. */
  readonly ids: readonly string[];
  /** All that were read, with their bodies as sent. */
  readonly requests: { readonly url: string; readonly headers: IncomingMessage["headers"]; readonly body: Buffer }[];
  /** Connections so far. */
  readonly connections: number;
  /** Consumed one a request. */
  readonly script: Misbehaviour[];
  /** Decides an item's fate before it is stored. */
  refuse: (document: Document) => Refusal | undefined;
  /** Bodies over this many bytes, uncompressed, are 413. */
  maxBodyBytes: number;
  /** Ends kept connections that are idle, as a server does after a while. */
  closeIdle(): void;
  close(): Promise<void>;
}

export interface FakeOptions {
  readonly port?: number;
  /** The one Authorization header that is taken. */
  readonly authorization?: string;
  /** With `ca` clients must have a certificate too. */
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer; readonly ca?: string | Buffer };
}

const QUERY = new Set([
  "filter_path",
  "pipeline",
  "refresh",
  "routing",
  "timeout",
  "wait_for_active_shards",
  "require_alias",
]);

export async function startElasticsearch(options: FakeOptions = {}): Promise<ElasticsearchFake> {
  const store = new Store();
  let connections = 0;

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const next = fake.script.shift();
    if (next?.kind === "reset-before-reading") return void request.socket.resetAndDestroy();
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      fake.requests.push({ url: request.url ?? "", headers: request.headers, body });
      if (next?.kind === "hang") return;
      if (next?.kind === "reset-before-answer") return void request.socket.destroy();
      if (next?.kind === "status") {
        response.writeHead(next.status, { "content-type": "application/json", ...next.headers });
        response.end(next.body ?? "");
        return;
      }
      const go = (): void => finish(request, response, answer(request, body), next);
      if (next?.kind === "delay") void next.until.then(go);
      else go();
    });
  };

  const finish = (
    request: IncomingMessage,
    response: ServerResponse,
    answered: Answer | "close",
    next: Misbehaviour | undefined,
  ): void => {
    if (answered === "close" || next?.kind === "store-and-reset") return void request.socket.destroy();
    const text = answered.body === undefined ? "" : JSON.stringify(answered.body);
    response.writeHead(answered.status, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    });
    if (next?.kind === "cut-answer") response.write(text.slice(0, text.length / 2), () => request.socket.destroy());
    else response.end(text);
  };

  /** In the order in which the real one looks: size, credentials, query, content type, body. */
  const answer = ({ headers, url: target = "/", method }: IncomingMessage, raw: Buffer): Answer | "close" => {
    let body = raw;
    if (headers["content-encoding"] === "gzip") {
      try {
        body = gunzipSync(raw);
      } catch {
        return "close";
      }
    } else if (headers["content-encoding"] !== undefined) return "close";
    if (body.length > fake.maxBodyBytes) return { status: 413, body: undefined };
    if (options.authorization !== undefined && headers.authorization !== options.authorization)
      return failure(401, "security_exception", "missing authentication credentials for REST request");
    const { pathname, searchParams } = new URL(target, "http://fake");
    for (const key of searchParams.keys())
      if (!QUERY.has(key))
        return failure(
          400,
          "illegal_argument_exception",
          `request [${pathname}] contains unrecognized parameter: [${key}]`,
        );
    const match = /^(?:\/([^/]+))?\/_bulk$/.exec(pathname);
    if (match === null || method !== "POST")
      return { status: 405, body: { error: `Incorrect HTTP method for uri [${pathname}]`, status: 405 } };
    const type = headers["content-type"];
    if (type !== "application/x-ndjson" && type !== "application/json")
      return { status: 406, body: { error: `Content-Type header [${type}] is not supported`, status: 406 } };
    const index = match[1] === undefined ? undefined : decodeURIComponent(match[1]);
    return store.bulk(body, index, searchParams.get("filter_path"), (document) => fake.refuse(document));
  };

  const { tls } = options;
  const server: Server =
    tls === undefined
      ? createServer(handle)
      : createTlsServer(
          { ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: tls.ca !== undefined },
          handle,
        );
  server.on("connection", () => connections++);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const fake: ElasticsearchFake = {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    port,
    documents: (index) => store.documents(index),
    get ids() {
      return store.ids();
    },
    requests: [],
    get connections() {
      return connections;
    },
    script: [],
    refuse: () => undefined,
    maxBodyBytes: 100 * 1024 * 1024,
    closeIdle: () => server.closeIdleConnections(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return fake;
}
