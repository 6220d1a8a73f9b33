/**
 * Elasticsearch 7-9 and OpenSearch 1-3: `_bulk` requests of NDJSON. What answers mean is in elasticsearch-answer.ts.
 *
 *   POST /INDEX/_bulk          or /_bulk with the index in each action
 *   {"create":{"_id":"1790000000123456789-k3Jx0aZ9bQwErTy1-4711"}}
 *   {"@timestamp":"2026-09-21T14:13:20.123456789Z","message":"…", …}
 */
import { type Batch, DROPPED } from "../agent/batch.ts";
import { type Clock, systemClock } from "../agent/clock.ts";
import type { Template } from "../agent/config/template.ts";
import { type DocumentSchema, type DocumentWriter, documentWriter } from "./ecs.ts";
import { judge } from "./elasticsearch-answer.ts";
import { type Compression, compress, decompress } from "./gzip.ts";
import { type HttpOptions, HttpTarget } from "./http.ts";
import { ByteWriter } from "./json.ts";
import type { ClosedRequest, OpenRequest, Outcome, Output } from "./output.ts";
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
/** Index names that are kept rendered. */
const MAX_NAMES = 1000;
/** `items.*.status` keeps one item a row, in order; without it answers would be as large as requests. */
const FILTER = "errors,items.*.status,items.*.error.type,items.*.error.reason";

export class ElasticsearchOutput implements Output {
  readonly type = "elasticsearch";
  readonly #options: ElasticsearchOptions;
  readonly #clock: Clock;
  readonly #target: HttpTarget;
  readonly #path: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #action: ActionWriter;
  readonly #document: DocumentWriter;
  /** Of requests that are refused row by row: unpacking one anew for each of 3,000 rows took 4.7 s of CPU, once 30 ms. */
  readonly #unpacked = new WeakMap<ClosedRequest, readonly Buffer[]>();

  /** @param env for proxies. @throws system errors when a certificate can't be read. */
  constructor(
    options: ElasticsearchOptions,
    env: Readonly<Record<string, string | undefined>>,
    clock: Clock = systemClock,
  ) {
    const { index, pipeline, request, schema } = options;
    this.#options = options;
    this.#clock = clock;
    this.#target = new HttpTarget(options, env, clock);
    const target = index.isConstant ? `/${encodeURIComponent(indexName(index.text))}` : "";
    this.#path = `${target}/_bulk?filter_path=${FILTER}${pipeline === "" ? "" : `&pipeline=${encodeURIComponent(pipeline)}`}`;
    this.#headers = {
      "content-type": "application/x-ndjson",
      accept: "application/json",
      "user-agent": "tailrace",
      ...(request.compression === "none" ? {} : { "content-encoding": request.compression }),
    };
    this.#action = actionWriter(options);
    this.#document = documentWriter(schema);
  }

  requestKey(): string {
    return "";
  }

  open(): OpenRequest {
    return new BulkRequest(this.#action, this.#document, this.#options.request.compression);
  }

  async send({ body, rows }: ClosedRequest, signal: AbortSignal): Promise<Outcome> {
    const { op, dedupe } = this.#options;
    const reply = await this.#target.request(
      { method: "POST", path: this.#path, headers: this.#headers, body },
      signal,
    );
    return judge(reply, { op, dedupe, rows }, this.#clock.wall());
  }

  pick(request: ClosedRequest, rows: readonly number[]): ClosedRequest {
    const { compression } = this.#options.request;
    const body = Buffer.concat(pairs(decompress(request.body, compression), rows));
    return { body: compress(body, compression), rows: rows.length, bytes: body.length };
  }

  entry(request: ClosedRequest, row: number): string {
    let unpacked = this.#unpacked.get(request);
    if (unpacked === undefined) {
      const all = Array.from({ length: request.rows }, (_, at) => at);
      unpacked = pairs(decompress(request.body, this.#options.request.compression), all);
      this.#unpacked.set(request, unpacked);
    }
    const pair = unpacked[row];
    return pair === undefined ? "" : pair.toString("utf8", 0, pair.length - 1);
  }

  restore(_key: string, entries: readonly string[]): ClosedRequest {
    const body = Buffer.from(entries.map((entry) => `${entry}\n`).join(""));
    return { body: compress(body, this.#options.request.compression), rows: entries.length, bytes: body.length };
  }

  close(): Promise<void> {
    return this.#target.close();
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
  readonly #action: ActionWriter;
  readonly #document: DocumentWriter;
  readonly #compression: Compression;
  readonly #writer = new ByteWriter();
  rows = 0;

  constructor(action: ActionWriter, document: DocumentWriter, compression: Compression) {
    this.#action = action;
    this.#document = document;
    this.#compression = compression;
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
      writer.byte(NEWLINE);
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
    return { body: compress(body, this.#compression), rows: this.rows, bytes: body.length };
  }
}

/** Writes the line before a document. */
type ActionWriter = (writer: ByteWriter, batch: Batch, row: number) => void;

function actionWriter({ op, index, dedupe }: ElasticsearchOptions): ActionWriter {
  const start = Buffer.from(`{"${op}":{`);
  const id = Buffer.from('"_id":"');
  const end = Buffer.from(dedupe ? '"}}\n' : "}}\n");
  const members = new Map<string, Buffer>();
  /** The index as a member of the action; few names make up all rows. */
  const member = (name: string): Buffer => {
    let bytes = members.get(name);
    if (bytes === undefined) {
      bytes = Buffer.from(`"_index":${JSON.stringify(indexName(name))}${dedupe ? "," : ""}`);
      if (members.size >= MAX_NAMES) members.clear();
      members.set(name, bytes);
    }
    return bytes;
  };
  return (writer, batch, row) => {
    writer.buffer(start);
    if (!index.isConstant) writer.buffer(member(index.render(batch, row)));
    if (dedupe) {
      writer.buffer(id);
      writeRecordId(writer, batch, row);
    }
    writer.buffer(end);
  };
}

/**
 * A name that an index may have (create-index API documentation): lower case, what is forbidden becomes `_`, none of
 * these at its beginning, at most 255 bytes.
 */
function indexName(name: string): string {
  const clean = name
    .toWellFormed()
    .toLowerCase()
    .replace(/[\\/*?"<>| ,#:\x00-\x1f\x7f]/g, "_")
    .replace(/^[-_+.]+/, "");
  if (clean === "") return "unknown";
  const bytes = Buffer.from(clean);
  return bytes.length <= 255 ? clean : bytes.toString("utf8", 0, 255).replace(/\ufffd+$/, "");
}
