/**
 * A fake Elasticsearch on loopback that is as strict about requests as the real one was seen to be, and misbehaves on
 * script. What it does with documents is in bulk.ts.
 */
import { gunzipSync } from "node:zlib";
import { type Answer, type Asked, Backend, type BackendOptions } from "./backend.ts";
import { type Document, failure, type Refusal, Store } from "./bulk.ts";
import { Templates } from "./templates.ts";

export interface FakeOptions extends BackendOptions {
  /** The one Authorization header that is taken. */
  readonly authorization?: string;
}

const BULK_QUERY = new Set([
  "filter_path",
  "pipeline",
  "refresh",
  "routing",
  "timeout",
  "wait_for_active_shards",
  "require_alias",
]);

const TEMPLATE_QUERY = new Set(["create", "master_timeout", "cause"]);

export class ElasticsearchFake extends Backend {
  readonly templates = new Templates();
  /** Ingest pipelines; they change nothing. */
  readonly pipelines = new Set(["my pipe"]);
  readonly #store = new Store((index) => this.templates.makesStream(index));
  /** The one Authorization header that is taken; undefined: any. */
  authorization: string | undefined;
  /** Decides an item's fate before it is stored. */
  refuse: (document: Document) => Refusal | undefined = () => undefined;
  /** Bodies over this many bytes, uncompressed, are 413. */
  maxBodyBytes = 100 * 1024 * 1024;

  constructor(options: FakeOptions) {
    super(options);
    this.authorization = options.authorization;
  }

  /** In the order of arrival. */
  documents(index?: string): Document[] {
    return this.#store.documents(index);
  }

  /** Of the documents that came with one. */
  get ids(): string[] {
    return this.#store.ids();
  }

  /** Items of all requests, also those that were there already. */
  get received(): number {
    return this.#store.received;
  }

  protected answer(asked: Asked): Answer | "close" {
    const answered = this.#answer(asked);
    if (answered === "close") return answered;
    const { status, body } = answered;
    const text = body === undefined ? "" : JSON.stringify(body);
    return { status, text, headers: { "content-type": "application/json" } };
  }

  /** In the order in which the real one looks: size, credentials, query, content type, body. */
  #answer({ headers, url, method, body: raw }: Asked): { status: number; body: unknown } | "close" {
    let body = raw;
    if (headers["content-encoding"] === "gzip") {
      try {
        body = gunzipSync(raw);
      } catch {
        return "close";
      }
    } else if (headers["content-encoding"] !== undefined) return "close";
    if (body.length > this.maxBodyBytes) return { status: 413, body: undefined };
    if (this.authorization !== undefined && headers.authorization !== this.authorization)
      return failure(401, "security_exception", "missing authentication credentials for REST request");
    const { pathname, searchParams } = new URL(url, "http://fake");
    const template = /^\/_index_template\/([^/]+)$/.exec(pathname)?.[1];
    const unknown = [...searchParams.keys()].find(
      (key) => !(template === undefined ? BULK_QUERY : TEMPLATE_QUERY).has(key),
    );
    if (unknown !== undefined) {
      const reason = `request [${pathname}] contains unrecognized parameter: [${unknown}]`;
      return failure(400, "illegal_argument_exception", reason);
    }
    if (template !== undefined && method === "HEAD")
      return { status: this.templates.all.has(decodeURIComponent(template)) ? 200 : 404, body: undefined };
    const match = /^(?:\/([^/]+))?\/_bulk$/.exec(pathname);
    if (template === undefined ? match === null || method !== "POST" : method !== "PUT")
      return { status: 405, body: { error: `Incorrect HTTP method for uri [${pathname}]`, status: 405 } };
    const type = headers["content-type"];
    if (template !== undefined && type === "application/json")
      return this.templates.put(decodeURIComponent(template), body, searchParams.get("create") === "true");
    if (type !== "application/x-ndjson" && type !== "application/json")
      return { status: 406, body: { error: `Content-Type header [${type}] is not supported`, status: 406 } };
    const index = match?.[1] === undefined ? undefined : decodeURIComponent(match[1]);
    return this.#store.bulk(body, index, searchParams.get("filter_path"), (document) => {
      const pipeline = searchParams.get("pipeline") ?? "_none";
      if (pipeline === "_none" || this.pipelines.has(pipeline)) return this.refuse(document);
      const reason = `pipeline with id [${pipeline}] does not exist`;
      return { status: 400, type: "illegal_argument_exception", reason };
    });
  }
}

export function startElasticsearch(options: FakeOptions = {}): Promise<ElasticsearchFake> {
  return new ElasticsearchFake(options).start();
}
