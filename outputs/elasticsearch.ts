/**
 * Elasticsearch 7-9 and OpenSearch 1-3: `_bulk` requests of NDJSON, and what their answers mean row by row.
 *
 *   POST /INDEX/_bulk          or /_bulk with the index in each action
 *   {"create":{"_id":"1790000000123456789-k3Jx0aZ9bQwErTy1-4711"}}
 *   {"@timestamp":"2026-09-21T14:13:20.123456789Z","message":"…", …}
 *
 * An answer of 200 says nothing by itself: each item has a status of its own (Elastic's bulk API documentation).
 */
import { type Batch, DROPPED } from "../agent/batch.ts";
import type { Template } from "../agent/config/template.ts";
import { type DocumentSchema, type DocumentWriter, documentWriter } from "./ecs.ts";
import { type Compression, compress, decompress } from "./gzip.ts";
import { type HttpFailure, type HttpOptions, type HttpReply, HttpTarget, retryAfterMs } from "./http.ts";
import { ByteWriter } from "./json.ts";
import type { ClosedRequest, OpenRequest, Outcome, Output, Rejected } from "./output.ts";
import { writeRecordId } from "./record-id.ts";

export interface ElasticsearchOptions extends HttpOptions {
  readonly index: Template;
  readonly op: "create" | "index";
  readonly pipeline: string;
  readonly schema: DocumentSchema;
  readonly dedupe: boolean;
  readonly request: HttpOptions["request"] & { readonly compression: Compression };
}

const NEWLINE = 0x0a;
/** `items.*.status` keeps one item a row, in order; without it answers would be as large as requests. */
const FILTER = "errors,items.*.status,items.*.error.type,items.*.error.reason";

/**
 * Refusals that are the cluster's or its operator's trouble whatever their status: the record is not at fault, and will
 * be taken when somebody has put things right. Seen on Elasticsearch 8.19 and 9.5 and OpenSearch 2.19 and 3.6.
 */
const NOT_THE_RECORD = new Set([
  "validation_exception",
  "index_closed_exception",
  "cluster_block_exception",
  "security_exception",
  "index_not_found_exception",
  "es_rejected_execution_exception",
  "rejected_execution_exception",
  "circuit_breaking_exception",
  "unavailable_shards_exception",
]);
/** What a single document can be refused for, for good. */
const THE_RECORD = new Set([
  "document_parsing_exception",
  "mapper_parsing_exception",
  "mapper_exception",
  "strict_dynamic_mapping_exception",
  "parsing_exception",
  "parse_exception",
  "x_content_parse_exception",
  "json_parse_exception",
  "invalid_index_name_exception",
  "illegal_argument_exception",
  "number_format_exception",
  "max_bytes_length_exceeded_exception",
]);

interface Item {
  readonly status?: number;
  readonly error?: { readonly type?: string; readonly reason?: string };
}

export class ElasticsearchOutput implements Output {
  readonly type = "elasticsearch";
  readonly #options: ElasticsearchOptions;
  readonly #target: HttpTarget;
  readonly #path: string;
  readonly #document: DocumentWriter;
  readonly #headers: Readonly<Record<string, string>>;

  /** @param env for proxies. @throws system errors when a certificate can't be read. */
  constructor(options: ElasticsearchOptions, env: Readonly<Record<string, string | undefined>>) {
    const { index, pipeline, request } = options;
    this.#options = options;
    this.#target = new HttpTarget(options, env);
    const target = index.isConstant ? `/${encodeURIComponent(index.text)}` : "";
    this.#path = `${target}/_bulk?filter_path=${FILTER}${pipeline === "" ? "" : `&pipeline=${encodeURIComponent(pipeline)}`}`;
    this.#document = documentWriter(options.schema);
    this.#headers = {
      "content-type": "application/x-ndjson",
      accept: "application/json",
      "user-agent": "tailrace",
      ...(request.compression === "none" ? {} : { "content-encoding": request.compression }),
    };
  }

  requestKey(): string {
    return "";
  }

  open(): OpenRequest {
    return new BulkRequest(this.#options, this.#document);
  }

  async send(request: ClosedRequest, signal: AbortSignal): Promise<Outcome> {
    const reply = await this.#target.post(this.#path, this.#headers, request.body, signal);
    return "error" in reply ? unreachable(reply) : this.#read(reply, request.rows);
  }

  pick(request: ClosedRequest, rows: readonly number[]): ClosedRequest {
    const { compression } = this.#options.request;
    const body = Buffer.concat(pairs(decompress(request.body, compression), rows));
    return { body: compress(body, compression), rows: rows.length, bytes: body.length };
  }

  entry(request: ClosedRequest, row: number): string {
    const pair = pairs(decompress(request.body, this.#options.request.compression), [row])[0];
    return pair === undefined ? "" : pair.toString("utf8", 0, pair.length - 1);
  }

  close(): Promise<void> {
    return this.#target.close();
  }

  #read(reply: HttpReply, rows: number): Outcome {
    const { status, headers, body, endpoint } = reply;
    const code = String(status);
    const error = errorOf(body);
    if (status === 200) return this.#items(reply, rows);
    if (status === 413)
      return { kind: "split", code, type: "request_too_large", reason: "the request is over http.max_content_length" };
    if (status === 400 && !NOT_THE_RECORD.has(error.type))
      return { kind: "split", code, type: error.type || "malformed", reason: error.reason };
    const afterMs = retryAfterMs(headers, Date.now());
    return {
      kind: "retry",
      code,
      reason: `${endpoint} answered ${status}${error.reason === "" ? "" : ` (${error.reason})`}${ADVICE[status] ?? ""}`,
      ...(afterMs === undefined ? {} : { afterMs }),
    };
  }

  #items({ body, endpoint }: HttpReply, rows: number): Outcome {
    const code = "200";
    const parsed = parse(body) as { errors?: unknown; items?: unknown } | undefined;
    const items = parsed?.items;
    if (!Array.isArray(items) || items.length !== rows || typeof parsed?.errors !== "boolean")
      return {
        kind: "retry",
        code,
        reason: `${endpoint} answered 200 with something that is no whole answer to a bulk of ${rows} records; is it Elasticsearch, or a proxy that answers in its place?`,
      };
    const retry: number[] = [];
    const rejected: Rejected[] = [];
    let why = "";
    items.forEach((entry: unknown, row) => {
      const item = (Object.values((entry ?? {}) as Record<string, Item>)[0] ?? {}) as Item;
      const status = item.status ?? 0;
      const type = item.error?.type ?? "";
      const reason = item.error?.reason ?? "";
      if (status >= 200 && status < 300) return;
      if (status === 409 && this.#options.dedupe) return;
      if (status === 400 && isTheRecord(type, reason)) rejected.push({ row, type, reason: `${type}: ${reason}` });
      else {
        retry.push(row);
        why ||= `${endpoint} refused records for now (${status} ${type}: ${reason})`;
      }
    });
    if (retry.length + rejected.length === 0) return { kind: "delivered", code };
    return { kind: "mixed", code, retry, rejected, reason: why };
  }
}

/** An operator's mistakes come as illegal_argument_exception too. */
function isTheRecord(type: string, reason: string): boolean {
  if (type === "illegal_argument_exception")
    return !/^pipeline with id|data streams? |require_alias|no write index/.test(reason);
  return THE_RECORD.has(type);
}

function unreachable({ code, error, endpoint }: HttpFailure): Outcome {
  return {
    kind: "retry",
    code,
    reason: `${endpoint} can't be reached (${error}); is the address right, and the backend up?`,
  };
}

const ADVICE: Readonly<Record<number, string>> = {
  401: "; check the credentials under auth",
  403: "; the user needs the index privileges create_doc and auto_configure",
  404: "; is the endpoint's path right?",
};

/** The error of an answer, which need not be JSON, and whose error need not be an object. */
function errorOf(body: string): { type: string; reason: string } {
  const error = (parse(body) as { error?: unknown } | undefined)?.error;
  if (typeof error === "string") return { type: "", reason: error };
  const { type, reason } = (error ?? {}) as { type?: unknown; reason?: unknown };
  if (typeof type === "string") return { type, reason: `${type}: ${String(reason)}` };
  return { type: "", reason: body.replace(/\s+/g, " ").slice(0, 200) };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** The two lines of each of these rows (ascending). */
function pairs(body: Buffer, rows: readonly number[]): Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  let row = 0;
  for (const wanted of rows)
    for (; row <= wanted; row++) {
      const end = body.indexOf(NEWLINE, body.indexOf(NEWLINE, at) + 1) + 1;
      if (row === wanted) found.push(body.subarray(at, end));
      at = end;
    }
  return found;
}

class BulkRequest implements OpenRequest {
  readonly #options: ElasticsearchOptions;
  readonly #document: DocumentWriter;
  readonly #writer = new ByteWriter();
  rows = 0;

  constructor(options: ElasticsearchOptions, document: DocumentWriter) {
    this.#options = options;
    this.#document = document;
  }

  get bytes(): number {
    return this.#writer.length;
  }

  append(batch: Batch, row: number, maxBytes: number, maxRows: number): number {
    const writer = this.#writer;
    let at = row;
    for (; at < batch.rows; at++) {
      if (((batch.flags[at] as number) & DROPPED) !== 0) continue;
      if (this.rows >= maxRows) return at;
      const before = writer.length;
      this.#action(writer, batch, at);
      this.#document(writer, batch, at);
      writer.ascii("\n");
      if (writer.length > maxBytes && this.rows > 0) {
        writer.length = before;
        return at;
      }
      this.rows++;
    }
    return at;
  }

  close(): ClosedRequest {
    const body = this.#writer.view();
    return { body: compress(body, this.#options.request.compression), rows: this.rows, bytes: body.length };
  }

  #action(writer: ByteWriter, batch: Batch, row: number): void {
    const { op, index, dedupe } = this.#options;
    writer.ascii(op === "create" ? '{"create":{' : '{"index":{');
    if (!index.isConstant) {
      const name = indexName(index.render(batch, row, indexPart));
      writer.ascii('"_index":');
      writer.buffer(Buffer.from(JSON.stringify(name)));
      if (dedupe) writer.ascii(",");
    }
    if (dedupe) {
      writer.ascii('"_id":"');
      writeRecordId(writer, batch, row);
      writer.ascii('"');
    }
    writer.ascii("}}\n");
  }
}

/** What an index may not hold (create-index API documentation) becomes `_`. */
function indexPart(value: string): string {
  return value.toLowerCase().replace(/[\\/*?"<>| ,#:\x00-\x1f\x7f]/g, "_");
}

/** An index is no longer than 255 bytes, and begins with none of these. */
function indexName(name: string): string {
  const clean = name.replace(/^[-_+.]+/, "");
  if (clean === "") return "unknown";
  const bytes = Buffer.from(clean);
  return bytes.length <= 255 ? clean : bytes.toString("utf8", 0, 255).replace(/\ufffd+$/, "");
}
