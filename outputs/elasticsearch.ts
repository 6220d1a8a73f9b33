/**
 * Elasticsearch 7-9 and OpenSearch 1-3: `_bulk` requests of NDJSON. What answers mean is in elasticsearch-answer.ts,
 * the index template in elasticsearch-template.ts.
 *
 *   POST /INDEX/_bulk          or /_bulk with the index in each action
 *   {"create":{"_id":"1790000000123456789-k3Jx0aZ9bQwErTy1-4711"}}
 *   {"@timestamp":"2026-09-21T14:13:20.123456789Z","message":"…", …}
 */
import { type Batch, DROPPED } from "../agent/batch.ts";
import { type Clock, systemClock } from "../agent/clock.ts";
import type { Template } from "../agent/config/template.ts";
import { joinPieces, type RowLayout } from "../agent/kernel/row.ts";
import type { Log } from "../agent/log.ts";
import type { Origin } from "../agent/pods/origin.ts";
import { type Body, openBody } from "./body.ts";
import { type DocumentSchema, type DocumentWriter, documentPieces, documentWriter, isPlain } from "./ecs.ts";
import { judge } from "./elasticsearch-answer.ts";
import { indexName } from "./elasticsearch-name.ts";
import { TemplateSetup } from "./elasticsearch-template.ts";
import { type Compression, compress, decompress } from "./gzip.ts";
import { type HttpOptions, HttpTarget } from "./http.ts";
import { ByteWriter } from "./json.ts";
import type { ClosedRequest, OpenRequest, Outcome, Output } from "./output.ts";
import { recordIdPieces, writeRecordId } from "./record-id.ts";

export interface ElasticsearchOptions extends HttpOptions {
  /** Of the output. */
  readonly name: string;
  readonly index: Template;
  readonly op: "create" | "index";
  readonly pipeline: string;
  readonly schema: DocumentSchema;
  readonly dedupe: boolean;
  readonly setupTemplate: boolean;
  readonly request: HttpOptions["request"] & { readonly compression: Compression };
}

const NEWLINE = 0x0a;
const ID = Buffer.from('"_id":"');
/** Index names that are kept rendered. */
const MAX_NAMES = 1000;
/** `items.*.status` keeps one item a row, in order; without it answers would be as large as requests. */
const FILTER = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.failure_store";

export class ElasticsearchOutput implements Output {
  readonly type = "elasticsearch";
  readonly #options: ElasticsearchOptions;
  readonly #clock: Clock;
  readonly #target: HttpTarget;
  readonly #path: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #rows: BulkRows;
  readonly #template: TemplateSetup | undefined;
  /** Of requests that are refused row by row: unpacking one anew for each of 3,000 rows took 4.7 s of CPU, once 30 ms. */
  readonly #unpacked = new WeakMap<ClosedRequest, readonly Buffer[]>();

  /** @param env for proxies. @throws system errors when a certificate can't be read. */
  constructor(
    options: ElasticsearchOptions,
    env: Readonly<Record<string, string | undefined>>,
    log: Log,
    clock: Clock = systemClock,
  ) {
    const { name, index, op, pipeline, request, schema, setupTemplate } = options;
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
    this.#rows = new BulkRows(options);
    this.#template = setupTemplate
      ? new TemplateSetup(this.#target, name, { index: index.text, op, schema }, clock, log)
      : undefined;
  }

  requestKey(): string {
    return "";
  }

  open(): OpenRequest {
    return new BulkRequest(this.#rows, this.#options.request.compression);
  }

  async send({ body, rows }: ClosedRequest, signal: AbortSignal): Promise<Outcome> {
    const { op, dedupe } = this.#options;
    const wait = await this.#template?.ready(signal);
    if (wait !== undefined) return wait;
    const reply = await this.#target.request(
      { method: "POST", path: this.#path, headers: this.#headers, body },
      signal,
    );
    const outcome = judge(reply, { op, dedupe, rows }, this.#clock.wall());
    // Of which nothing is left in the outcome but texts of its own.
    if (!("error" in reply)) reply.release();
    return outcome;
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
  readonly #rows: BulkRows;
  readonly #body: Body;
  rows = 0;

  constructor(rows: BulkRows, compression: Compression) {
    this.#rows = rows;
    this.#body = openBody(compression);
  }

  get bytes(): number {
    return this.#body.bytes;
  }

  append(batch: Batch, row: number, maxBytes: number, maxRows: number): number {
    let at = row;
    while (at < batch.rows) {
      if (((batch.flags[at] as number) & DROPPED) !== 0) {
        at++;
        continue;
      }
      if (this.rows >= maxRows) return at;
      const end = this.#rows.endOfRun(batch, at, Math.min(batch.rows, at + maxRows - this.rows));
      if (end > at) {
        const next = this.#body.encode(batch, at, end, this.#rows.layout(batch, at), maxBytes);
        this.rows += next - at;
        at = next;
        if (at === end) continue;
      }
      const pair = this.#rows.write(batch, at);
      if (this.rows > 0 && this.bytes + pair.length > maxBytes) return at;
      this.#body.write(pair);
      this.rows++;
      at++;
    }
    return at;
  }

  close(): ClosedRequest {
    const { bytes } = this;
    return { body: this.#body.close(), rows: this.rows, bytes };
  }
}

/** Rows as pairs of lines: the action, then the document. Plain rows of one origin and index share a layout. */
class BulkRows {
  readonly #index: Template;
  readonly #schema: DocumentSchema;
  readonly #dedupe: boolean;
  readonly #document: DocumentWriter;
  readonly #start: Buffer;
  readonly #end: Buffer;
  readonly #writer = new ByteWriter();
  /** The index as a member of the action; few names make up all rows. */
  readonly #members = new Map<string, Buffer>();
  /** The last one of each origin. */
  readonly #layouts = new WeakMap<Origin, { key: string; index: string; layout: RowLayout }>();

  constructor({ op, index, dedupe, schema }: ElasticsearchOptions) {
    this.#index = index;
    this.#schema = schema;
    this.#dedupe = dedupe;
    this.#document = documentWriter(schema);
    this.#start = Buffer.from(`{"${op}":{`);
    this.#end = Buffer.from(dedupe ? '"}}\n' : "}}\n");
  }

  /** The end, at most `last`, of the plain rows from `row` on that go to the same index; `row` when that is not plain. */
  endOfRun(batch: Batch, row: number, last: number): number {
    const index = this.#index.isConstant ? "" : this.#index.render(batch, row);
    let end = row;
    while (
      end < last &&
      isPlain(this.#schema, batch, end) &&
      (index === "" || this.#index.render(batch, end) === index)
    )
      end++;
    return end;
  }

  /** What the plain rows of a run are made of, of which `row` is one. */
  layout(batch: Batch, row: number): RowLayout {
    const { origin, generation } = batch;
    const index = this.#index.isConstant ? "" : this.#index.render(batch, row);
    const known = this.#layouts.get(origin);
    if (known?.key === generation.key && known.index === index) return known.layout;
    const layout = joinPieces([
      this.#start,
      ...(this.#index.isConstant ? [] : [this.#member(index)]),
      ...(this.#dedupe ? [ID, ...recordIdPieces(generation)] : []),
      this.#end,
      ...documentPieces(this.#schema, origin),
      Buffer.of(NEWLINE),
    ]);
    this.#layouts.set(origin, { key: generation.key, index, layout });
    return layout;
  }

  /** Any row. Borrowed: valid until the next call. */
  write(batch: Batch, row: number): Buffer {
    const writer = this.#writer;
    writer.length = 0;
    writer.buffer(this.#start);
    if (!this.#index.isConstant) writer.buffer(this.#member(this.#index.render(batch, row)));
    if (this.#dedupe) {
      writer.buffer(ID);
      writeRecordId(writer, batch, row);
    }
    writer.buffer(this.#end);
    this.#document(writer, batch, row);
    writer.byte(NEWLINE);
    return writer.view();
  }

  #member(name: string): Buffer {
    let bytes = this.#members.get(name);
    if (bytes === undefined) {
      bytes = Buffer.from(`"_index":${JSON.stringify(indexName(name))}${this.#dedupe ? "," : ""}`);
      if (this.#members.size >= MAX_NAMES) this.#members.clear();
      this.#members.set(name, bytes);
    }
    return bytes;
  }
}
