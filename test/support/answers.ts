/**
 * What Elasticsearch 8 and 9 and OpenSearch 2 and 3 answer to requests at the edge of what is allowed, in the order in
 * which they are to be asked of a new server. The real servers and the fake are held to the same table.
 */
import assert from "node:assert/strict";
import { request } from "undici";

type Ask = (
  method: "HEAD" | "POST" | "PUT",
  path: string,
  body: string | Buffer,
  headers?: Readonly<Record<string, string>>,
) => Promise<{ readonly status: number; readonly body: string }>;

interface Case {
  readonly name: string;
  readonly method?: "HEAD" | "PUT";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
  /** Of the whole answer; undefined: the connection ends without one. */
  readonly status: number | undefined;
  /** Of the whole answer's error: one of these; "": a text in place of an object. */
  readonly types?: readonly string[];
  /** Of each item: its status, and one of these types. */
  readonly items?: readonly (readonly [number, ...string[]])[];
}

const STREAM = "/logs-answers-default/_bulk";
const PLAIN = "/plain-answers/_bulk";
const UNFIT = ["document_parsing_exception", "mapper_parsing_exception"] as const;
const ILLEGAL = "illegal_argument_exception";
const time = '"@timestamp":"2026-11-24T10:00:00.123456789Z"';

/** A bulk of actions and documents in turn. */
const bulk = (...lines: string[]): string => lines.map((line) => `${line}\n`).join("");
const create = (id?: string): string => (id === undefined ? '{"create":{}}' : `{"create":{"_id":"${id}"}}`);

const template = (type: string, pattern: string): string =>
  JSON.stringify({
    index_patterns: [pattern],
    priority: 130,
    data_stream: {},
    template: { mappings: { properties: { x: { type } } } },
  });

const CASES: readonly Case[] = [
  {
    name: "a template with a field type that is not there",
    method: "PUT",
    path: "/_index_template/answers?create=true",
    body: template("nonsense", "logs-answers-*"),
    status: 400,
    types: [ILLEGAL],
  },
  { name: "a template that is not there", method: "HEAD", path: "/_index_template/answers", body: "", status: 404 },
  {
    name: "a good template",
    method: "PUT",
    path: "/_index_template/answers?create=true",
    body: template("keyword", "logs-answers-*"),
    status: 200,
  },
  {
    name: "the same again",
    method: "PUT",
    path: "/_index_template/answers?create=true",
    body: template("keyword", "logs-answers-*"),
    status: 400,
    types: [ILLEGAL],
  },
  {
    name: "another of the same pattern and priority",
    method: "PUT",
    path: "/_index_template/rival?create=true",
    body: template("keyword", "logs-answers-*"),
    status: 400,
    types: [ILLEGAL],
  },
  { name: "a template that is there", method: "HEAD", path: "/_index_template/answers", body: "", status: 200 },
  {
    name: "two documents",
    path: STREAM,
    body: bulk(create("a"), `{${time}}`, create(), `{${time}}`),
    status: 200,
    items: [[201], [201]],
  },
  {
    name: "one of them again",
    path: STREAM,
    body: bulk(create("a"), `{${time}}`, create("b"), `{${time}}`),
    status: 200,
    items: [[409, "version_conflict_engine_exception"], [201]],
  },
  {
    name: "a document without a time in a data stream",
    path: STREAM,
    body: bulk(create(), '{"x":"1"}'),
    status: 200,
    items: [[400, ...UNFIT]],
  },
  {
    name: "a time that is none",
    path: STREAM,
    body: bulk(create(), '{"@timestamp":"noon"}'),
    status: 200,
    items: [[400, ...UNFIT]],
  },
  {
    name: "op index to a data stream",
    path: STREAM,
    body: bulk('{"index":{}}', `{${time}}`),
    status: 200,
    items: [[400, ILLEGAL]],
  },
  {
    name: "one broken document among good ones",
    path: STREAM,
    body: bulk(create(), `{${time}}`, create(), `{${time},"x":`, create(), `{${time}}`),
    status: 200,
    items: [[201], [400, ...UNFIT], [201]],
  },
  {
    name: "a key given twice",
    path: PLAIN,
    body: bulk(create(), '{"x":"1","x":"2"}'),
    status: 200,
    items: [[400, ...UNFIT]],
  },
  {
    name: "a text where the one before had an object",
    path: PLAIN,
    body: bulk(create(), '{"kubernetes":{"labels":{"app.x":"1","app":"2"}}}'),
    status: 200,
    items: [[400, ...UNFIT, ILLEGAL]],
  },
  {
    name: "a document that is a list",
    path: PLAIN,
    body: bulk(create(), "[1]"),
    status: 200,
    items: [[400, ...UNFIT, "parse_exception"]],
  },
  {
    name: "an index name with capitals",
    path: "/_bulk",
    body: bulk('{"create":{"_index":"Capital"}}', `{${time}}`),
    status: 200,
    items: [[400, "invalid_index_name_exception"]],
  },
  { name: "no newline at the end", path: PLAIN, body: `${create()}\n{"x":"1"}`, status: 400, types: [ILLEGAL] },
  { name: "an empty body", path: PLAIN, body: "", status: 400, types: ["parse_exception"] },
  {
    name: "an action that is none",
    path: PLAIN,
    body: bulk('{"upsert":{}}', '{"x":"1"}'),
    status: 400,
    types: [ILLEGAL],
  },
  {
    name: "an action with _type",
    path: PLAIN,
    body: bulk('{"create":{"_type":"_doc"}}', '{"x":"1"}'),
    status: 400,
    types: [ILLEGAL],
  },
  {
    name: "an id of 513 bytes",
    path: PLAIN,
    body: bulk(create("x".repeat(513)), '{"x":"1"}'),
    status: 400,
    types: [ILLEGAL, "action_request_validation_exception"],
  },
  {
    name: "a parameter that is not there",
    path: `${PLAIN}?nonsense=1`,
    body: bulk(create(), '{"x":"1"}'),
    status: 400,
    types: [ILLEGAL],
  },
  {
    name: "a pipeline that is not there",
    path: `${PLAIN}?pipeline=nosuch`,
    body: bulk(create(), '{"x":"1"}'),
    status: 200,
    items: [[400, ILLEGAL]],
  },
  {
    name: "a content type that is not taken",
    path: PLAIN,
    headers: { "content-type": "text/plain" },
    body: bulk(create(), '{"x":"1"}'),
    status: 406,
    types: [""],
  },
  {
    name: "a body that is not what its encoding says",
    path: PLAIN,
    headers: { "content-encoding": "gzip" },
    body: bulk(create(), '{"x":"1"}'),
    status: undefined,
  },
];

/** @param ask puts a request to a server. */
export async function assertAnswers(ask: Ask): Promise<void> {
  for (const { name, method = "POST", path, headers, body, status, types, items } of CASES) {
    const reply = await ask(method, path, body, headers).catch(() => undefined);
    const said = `${name}: ${reply?.status} ${reply?.body.slice(0, 500)}`;
    assert.equal(reply?.status, status, said);
    if (reply === undefined || method === "HEAD") continue;
    const { error, items: answered = [] } = JSON.parse(reply.body) as {
      error?: string | { type: string };
      items?: Record<string, { status: number; error?: { type: string } }>[];
    };
    if (types !== undefined) assert.ok(types.includes(typeof error === "string" ? "" : (error?.type ?? "none")), said);
    if (items === undefined) continue;
    assert.equal(answered.length, items.length, said);
    items.forEach(([expected, ...kinds], i) => {
      const item = Object.values(answered[i] ?? {})[0];
      assert.equal(item?.status, expected, said);
      if (kinds.length > 0) assert.ok(kinds.includes(item?.error?.type ?? "none"), said);
    });
  }
}

/** Asks a server without security. */
export function askOf(url: string): Ask {
  return async (method, path, body, headers = {}) => {
    const reply = await request(`${url}${path}`, {
      method,
      headers: { ...(method === "HEAD" ? {} : { "content-type": "application/json" }), ...headers },
      body: method === "HEAD" ? null : body,
    });
    return { status: reply.statusCode, body: await reply.body.text() };
  };
}
