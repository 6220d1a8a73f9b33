/**
 * A fake Elasticsearch on loopback that is as strict about bulks as the real one was seen to be, and misbehaves on
 * script. It keeps documents by index and id.
 */
import { isUtf8 } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { isIP } from "node:net";
import { gunzipSync } from "node:zlib";

export type Document = Record<string, unknown>;

/** What happens instead of the usual answer to one request. */
export type Misbehaviour =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly body?: string;
      readonly headers?: Record<string, string>;
    }
  | { readonly kind: "reset-before-answer" }
  /** Everything is stored, but the client never hears of it. */
  | { readonly kind: "store-and-reset" }
  | { readonly kind: "cut-answer" }
  | { readonly kind: "hang" };

export interface ElasticsearchFake {
  readonly url: string;
  readonly port: number;
  /** In the order of arrival. */
  documents(index?: string): Document[];
  readonly ids: readonly string[];
  /** Bulks that were understood, with the number of their items. */
  readonly bulks: { readonly path: string; readonly items: number; readonly headers: IncomingMessage["headers"] }[];
  /** Consumed one a request. */
  readonly script: Misbehaviour[];
  /** Decides an item's fate before it is stored. */
  refuse: (document: Document) => { status: number; type: string; reason: string } | undefined;
  /** Bodies over this many bytes, uncompressed, are 413. */
  maxBodyBytes: number;
  close(): Promise<void>;
}

export interface FakeOptions {
  readonly port?: number;
  /** The one Authorization header that is taken. */
  readonly authorization?: string;
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
const ACTION_KEYS = new Set([
  "_index",
  "_id",
  "routing",
  "pipeline",
  "require_alias",
  "version",
  "version_type",
  "if_seq_no",
  "if_primary_term",
  "dynamic_templates",
]);
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export async function startElasticsearch(options: FakeOptions = {}): Promise<ElasticsearchFake> {
  const stored = new Map<string, { index: string; id: string; document: Document }>();
  let sequence = 0;

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", () => {
      const next = fake.script.shift();
      if (next?.kind === "hang") return;
      if (next?.kind === "reset-before-answer") return void request.socket.destroy();
      if (next?.kind === "status") {
        response.writeHead(next.status, { "content-type": "application/json", ...next.headers });
        response.end(next.body ?? "");
        return;
      }
      const answered = answer(request, Buffer.concat(chunks));
      if (answered === "close" || next?.kind === "store-and-reset") return void request.socket.destroy();
      const text = answered.body === undefined ? "" : JSON.stringify(answered.body);
      response.writeHead(answered.status, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
      });
      if (next?.kind === "cut-answer") {
        response.write(text.slice(0, text.length / 2), () => request.socket.destroy());
        return;
      }
      response.end(text);
    });
  };

  /** In the order in which the real one looks: size, credentials, headers, body. */
  const answer = (request: IncomingMessage, raw: Buffer): Answer | "close" => {
    const { headers } = request;
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
    const url = new URL(request.url ?? "/", "http://fake");
    for (const key of url.searchParams.keys())
      if (!QUERY.has(key))
        return failure(
          400,
          "illegal_argument_exception",
          `request [${url.pathname}] contains unrecognized parameter: [${key}]`,
        );
    const match = /^(?:\/([^/]+))?\/_bulk$/.exec(url.pathname);
    if (match === null || request.method !== "POST")
      return failure(405, "", `Incorrect HTTP method for uri [${url.pathname}]`);
    if (headers["content-type"] !== "application/x-ndjson" && headers["content-type"] !== "application/json")
      return {
        status: 406,
        body: { error: `Content-Type header [${headers["content-type"]}] is not supported`, status: 406 },
      };
    return bulk(body, match[1] === undefined ? undefined : decodeURIComponent(match[1]), url, headers);
  };

  const bulk = (body: Buffer, index: string | undefined, url: URL, headers: IncomingMessage["headers"]): Answer => {
    if (body.length === 0) return failure(400, "parse_exception", "request body is required");
    if (body.at(-1) !== 0x0a)
      return failure(400, "illegal_argument_exception", "The bulk request must be terminated by a newline [\\n]");
    const lines: Buffer[] = [];
    for (let at = 0; at < body.length; ) {
      const end = body.indexOf(0x0a, at);
      lines.push(body.subarray(at, end));
      at = end + 1;
    }
    if (lines.length % 2 !== 0)
      return failure(400, "illegal_argument_exception", "a source is missing behind the last action");
    const actions: { op: "create" | "index"; index: string; id: string | undefined; source: Buffer }[] = [];
    for (let i = 0; i < lines.length; i += 2) {
      const parsed = json(lines[i] as Buffer) as Record<string, Record<string, unknown>> | undefined;
      const [op, meta] = Object.entries(parsed ?? {})[0] ?? [];
      if ((op !== "create" && op !== "index") || Object.keys(parsed ?? {}).length !== 1 || typeof meta !== "object")
        return failure(400, "illegal_argument_exception", `Malformed action/metadata line [${i + 1}]`);
      for (const key of Object.keys(meta))
        if (!ACTION_KEYS.has(key))
          return failure(
            400,
            "illegal_argument_exception",
            `Action/metadata line [${i + 1}] contains an unknown parameter [${key}]`,
          );
      const id = meta._id as string | undefined;
      if (id !== undefined && (typeof id !== "string" || id === ""))
        return failure(400, "illegal_argument_exception", "if _id is specified it must not be empty");
      if (id !== undefined && Buffer.byteLength(id) > 512)
        return failure(
          400,
          "action_request_validation_exception",
          `id [${id}] is too long, must be no longer than 512 bytes`,
        );
      const target = (meta._index as string | undefined) ?? index;
      if (target === undefined) return failure(400, "action_request_validation_exception", "index is missing");
      actions.push({ op, index: target, id, source: lines[i + 1] as Buffer });
    }
    const items = actions.map((action) => ({ [action.op]: item(action) }));
    fake.bulks.push({ path: url.pathname, items: items.length, headers });
    const errors = items.some((entry) => "error" in (Object.values(entry)[0] as object));
    return { status: 200, body: { errors, items: filtered(items, url.searchParams.get("filter_path")) } };
  };

  const item = ({
    op,
    index,
    id,
    source,
  }: {
    op: string;
    index: string;
    id: string | undefined;
    source: Buffer;
  }): Document => {
    if (/[A-Z\\/*?"<>| ,#:]/.test(index) || /^[-_+.]/.test(index) || Buffer.byteLength(index) > 255 || index === "")
      return refusal(400, "invalid_index_name_exception", `Invalid index name [${index}]`);
    if (op === "index" && index.startsWith("logs-"))
      return refusal(
        400,
        "illegal_argument_exception",
        "only write ops with an op_type of create are allowed in data streams",
      );
    if (!isUtf8(source)) return refusal(400, "document_parsing_exception", "failed to parse: invalid UTF-8");
    const document = json(source) as Document | undefined;
    if (document === undefined || Array.isArray(document))
      return refusal(400, "document_parsing_exception", "failed to parse");
    if (hasDuplicateKeys(source.toString())) return refusal(400, "document_parsing_exception", "Duplicate field");
    if (document["@timestamp"] === undefined && index.startsWith("logs-"))
      return refusal(400, "document_parsing_exception", "data stream timestamp field [@timestamp] is missing");
    if (!TIME.test(String(document["@timestamp"])))
      return refusal(400, "document_parsing_exception", "failed to parse field [@timestamp] of type [date]");
    const kubernetes = (document.kubernetes ?? {}) as { pod?: { ip?: string }; pod_ip?: string; labels?: Document };
    const ip = kubernetes.pod?.ip ?? kubernetes.pod_ip;
    if (ip !== undefined && isIP(ip) === 0)
      return refusal(400, "document_parsing_exception", `'${ip}' is not an IP string literal.`);
    for (const key of Object.keys(kubernetes.labels ?? {}))
      if (key.includes("."))
        return refusal(400, "document_parsing_exception", `failed to parse field [kubernetes.labels.${key}]`);
    const refused = fake.refuse(document);
    if (refused !== undefined) return refusal(refused.status, refused.type, refused.reason);
    const key = `${index}\n${id ?? `auto-${sequence++}`}`;
    if (op === "create" && stored.has(key))
      return refusal(
        409,
        "version_conflict_engine_exception",
        `[${id}]: version conflict, document already exists (current version [1])`,
      );
    const created = !stored.has(key);
    stored.set(key, { index, id: id ?? "", document });
    return { _index: index, _id: id, result: created ? "created" : "updated", status: created ? 201 : 200 };
  };

  const server: Server =
    options.tls === undefined
      ? createServer(handle)
      : createTlsServer(
          { ...options.tls, ...(options.tls.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true }) },
          handle,
        );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const fake: ElasticsearchFake = {
    url: `${options.tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    port,
    documents: (index) =>
      [...stored.values()]
        .filter((entry) => index === undefined || entry.index === index)
        .map(({ document }) => document),
    get ids() {
      return [...stored.values()].map(({ id }) => id);
    },
    bulks: [],
    script: [],
    refuse: () => undefined,
    maxBodyBytes: 100 * 1024 * 1024,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return fake;
}

function failure(status: number, type: string, reason: string): Answer {
  return { status, body: { error: { root_cause: [{ type, reason }], type, reason }, status } };
}

function refusal(status: number, type: string, reason: string): Document {
  return { status, error: { type, reason } };
}

/** Only what was asked for, one item a row. */
function filtered(items: Record<string, Document>[], filter: string | null): unknown[] {
  if (filter === null) return items;
  const paths = filter.split(",");
  if (!paths.includes("items.*.status")) throw new Error("without items.*.status items can't be told apart");
  return items.map((entry) =>
    Object.fromEntries(
      Object.entries(entry).map(([op, { status, error }]) => {
        const { type, reason } = (error ?? {}) as { type?: string; reason?: string };
        return [op, { status, ...(error === undefined ? {} : { error: { type, reason } }) }];
      }),
    ),
  );
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

/** A small walk over valid JSON, since JSON.parse keeps silent about a key given twice. */
function hasDuplicateKeys(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/gs;
  for (const [token, colon] of text.matchAll(tokens)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (colon !== undefined) {
      const key = JSON.parse(token.slice(0, token.length - colon.length)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return true;
      keys?.add(key);
    }
  }
  return false;
}
