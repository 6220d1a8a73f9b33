/** What each answer of a server, or of something in front of it, means for the rows. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { ElasticsearchOutput } from "../../outputs/elasticsearch.ts";
import { judge } from "../../outputs/elasticsearch-answer.ts";
import { HttpReply } from "../../outputs/http.ts";
import type { ClosedRequest, Outcome } from "../../outputs/output.ts";
import type { Misbehaviour } from "../support/backend.ts";
import { type ElasticsearchFake, startElasticsearch } from "../support/elasticsearch.ts";
import { type ElasticsearchVariations, elasticsearchOutput } from "../support/elasticsearch-output.ts";
import { rowsOf } from "../support/rows.ts";

const NEVER = new AbortController().signal;
const NOW = Date.parse("2026-11-24T10:00:00Z");

interface Setting {
  readonly fake: ElasticsearchFake;
  readonly made: ElasticsearchOutput;
  readonly request: ClosedRequest;
  send(): Promise<Outcome>;
}

/** A server and a request of three rows: a, b, c. */
async function setting(context: TestContext, more: ElasticsearchVariations = {}): Promise<Setting> {
  const fake = await startElasticsearch();
  context.after(() => fake.close());
  const clock = { monotonic: () => performance.now(), wall: () => NOW };
  const made = elasticsearchOutput([fake.url], { clock, ...more });
  context.after(() => made.close());
  const open = made.open();
  open.append(rowsOf(["a", "b", "c"]), 0, 1e9, 1e9);
  const request = open.close();
  return { fake, made, request, send: () => made.send(request, NEVER) };
}

const error = (type: string, reason: string): string =>
  JSON.stringify({ error: { root_cause: [{ type, reason }], type, reason }, status: 400 });

test("items: only what can never go in is rejected, what is there already is delivered, all else goes again", async (context) => {
  const { fake, send } = await setting(context);
  const cases: [number, string, string, "rejected" | "retry"][] = [
    [400, "document_parsing_exception", "[1:57] failed to parse field [x] of type [long]", "rejected"],
    [400, "mapper_parsing_exception", "failed to parse field [x] of type [long]", "rejected"],
    [400, "strict_dynamic_mapping_exception", "mapping set to strict, dynamic introduction of [x]", "rejected"],
    [400, "invalid_index_name_exception", "Invalid index name [A]", "rejected"],
    [400, "illegal_argument_exception", "Limit of total fields [1000] has been exceeded", "rejected"],
    [400, "illegal_argument_exception", "mapper [x] cannot be changed from type [long] to [text]", "rejected"],
    [400, "illegal_argument_exception", "Document contains at least one immense term in field", "rejected"],
    [400, "illegal_argument_exception", "pipeline with id [nosuch] does not exist", "retry"],
    [400, "illegal_argument_exception", "no write index is defined for alias [logs]", "retry"],
    [
      400,
      "illegal_argument_exception",
      "only write ops with an op_type of create are allowed in data streams",
      "retry",
    ],
    [400, "validation_exception", "this action would add [2] shards, but this cluster has [1000]/[1000] open", "retry"],
    [400, "index_closed_exception", "closed", "retry"],
    [400, "", "", "retry"],
    [400, "never_heard_of_exception", "what?", "retry"],
    [401, "security_exception", "missing credentials", "retry"],
    [403, "security_exception", "action [indices:data/write/bulk[s]] is unauthorized for user [x]", "retry"],
    [403, "cluster_block_exception", "index [x] blocked by: [FORBIDDEN/8/index write (api)];", "retry"],
    [404, "index_not_found_exception", "no such index [x]", "retry"],
    [409, "some_other_conflict_exception", "conflict", "retry"],
    [429, "es_rejected_execution_exception", "rejected execution of coordinating operation", "retry"],
    [429, "circuit_breaking_exception", "[parent] Data too large", "retry"],
    [429, "cluster_block_exception", "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark", "retry"],
    [500, "document_parsing_exception", "a document's error with a server's status", "retry"],
    [503, "unavailable_shards_exception", "primary shard is not active", "retry"],
  ];
  for (const [status, type, reason, fate] of cases) {
    fake.refuse = ({ message }) => (message === "b" ? { status, type, reason } : undefined);
    const outcome = await send();
    const name = `${status} ${type}: ${reason}`;
    assert.ok(outcome.kind === "mixed", name);
    if (fate === "rejected") {
      assert.deepEqual(outcome.retry, [], name);
      assert.deepEqual(outcome.rejected, [{ row: 1, type, reason: `${type}: ${reason}` }]);
      assert.equal(outcome.reason, "");
    } else {
      assert.deepEqual([outcome.retry, outcome.rejected], [[1], []], name);
      assert.ok(outcome.reason.includes(fake.url) && outcome.reason.includes(reason), outcome.reason);
    }
  }
  fake.refuse = () => undefined;
  assert.deepEqual(await send(), { kind: "delivered", code: "200" }, "two are there already, one is new");
});

test("a conflict is no delivery unless the id is our own and the record was only to be created", async (context) => {
  const conflict = { status: 409, type: "version_conflict_engine_exception", reason: "[x]: version conflict" };
  for (const [more, kind] of [
    [{}, "delivered"],
    [{ dedupe: false }, "mixed"],
    [{ op: "index", index: "plain" }, "mixed"],
  ] as const) {
    const { fake, send } = await setting(context, more);
    fake.refuse = () => conflict;
    assert.equal((await send()).kind, kind);
  }
});

test("each row has its own fate in one answer", async (context) => {
  const { fake, made, request, send } = await setting(context);
  fake.refuse = ({ message }) =>
    message === "a"
      ? { status: 400, type: "document_parsing_exception", reason: "no" }
      : message === "c"
        ? { status: 429, type: "es_rejected_execution_exception", reason: "busy" }
        : undefined;
  const outcome = await send();
  assert.ok(outcome.kind === "mixed");
  assert.deepEqual(outcome.rejected, [
    { row: 0, type: "document_parsing_exception", reason: "document_parsing_exception: no" },
  ]);
  assert.deepEqual(outcome.retry, [2]);
  fake.refuse = () => undefined;
  assert.equal((await made.send(made.pick(request, outcome.retry), NEVER)).kind, "delivered");
  assert.deepEqual(
    fake.documents().map(({ message }) => message),
    ["b", "c"],
  );
});

test("whole answers: malformed or too large is split, all else goes again with the usual fix", async (context) => {
  const { fake, send } = await setting(context);
  const html = "<html>\n<body>Bad gateway</body></html>";
  const cases: [Omit<Misbehaviour & { kind: "status" }, "kind">, Outcome["kind"], RegExp][] = [
    [
      { status: 400, body: error("illegal_argument_exception", "Malformed action/metadata line [3]") },
      "split",
      /^illegal_argument_exception: Malformed/,
    ],
    [
      { status: 400, body: error("x_content_parse_exception", "[1:2] what") },
      "split",
      /x_content_parse_exception: \[1:2\]/,
    ],
    [{ status: 400, body: '{"error":"a text","status":400}' }, "split", /^a text$/],
    [{ status: 413 }, "split", /http\.max_content_length/],
    [
      { status: 400, body: error("illegal_argument_exception", "pipeline with id [x] does not exist") },
      "retry",
      /pipeline/,
    ],
    [
      {
        status: 400,
        body: error("illegal_argument_exception", "request [/_bulk] contains unrecognized parameter: [x]"),
      },
      "retry",
      /unrecognized/,
    ],
    [{ status: 400, body: error("validation_exception", "this action would add [2] shards") }, "retry", /shards/],
    [{ status: 400, body: "Client sent an HTTP request to an HTTPS server." }, "retry", /HTTPS server/],
    [{ status: 400 }, "retry", /answered 400$/],
    [
      { status: 401, body: error("security_exception", "unable to authenticate") },
      "retry",
      /check the credentials under auth$/,
    ],
    [{ status: 403, body: error("security_exception", "unauthorized") }, "retry", /create_doc/],
    [{ status: 404, body: html }, "retry", /endpoint's path/],
    [{ status: 405 }, "retry", /405/],
    [
      { status: 406, body: '{"error":"Content-Type header [x] is not supported","status":406}' },
      "retry",
      /Content-Type/,
    ],
    [{ status: 408 }, "retry", /408/],
    [{ status: 429, body: error("circuit_breaking_exception", "Data too large") }, "retry", /Data too large/],
    [{ status: 500 }, "retry", /500/],
    [{ status: 502, body: html }, "retry", /<html> <body>Bad gateway/],
    [{ status: 503 }, "retry", /503/],
    [{ status: 504 }, "retry", /504/],
    [{ status: 302, headers: { location: "/login" } }, "retry", /302/],
    [{ status: 201, body: "{}" }, "retry", /201/],
    [{ status: 204 }, "retry", /204/],
    [{ status: 200, body: "<html>Please log in</html>" }, "retry", /no whole answer.*proxy/],
    [{ status: 200 }, "retry", /no whole answer/],
    [{ status: 200, body: "null" }, "retry", /no whole answer/],
    [{ status: 200, body: "{}" }, "retry", /no whole answer/],
    [{ status: 200, body: '{"errors":false}' }, "retry", /no whole answer/],
    [{ status: 200, body: '{"errors":false,"items":[{"create":{"status":201}}]}' }, "retry", /bulk of 3/],
  ];
  for (const [answer, kind, reason] of cases) {
    fake.script.push({ kind: "status", ...answer });
    const outcome = await send();
    const name = JSON.stringify([answer, outcome]);
    assert.equal(outcome.kind, kind, name);
    assert.equal(outcome.code, String(answer.status), name);
    assert.ok(outcome.kind === "retry" || outcome.kind === "split", name);
    assert.match(outcome.reason, reason);
    if (outcome.kind === "retry") assert.ok(outcome.reason.startsWith(fake.url), name);
    else assert.notEqual(outcome.type, "", name);
  }
  assert.deepEqual(fake.documents(), []);
});

test("items that say nothing go again, whatever else the answer says", async (context) => {
  const { fake, send } = await setting(context);
  const items = [{ create: { status: 201 } }, {}, null];
  fake.script.push({ kind: "status", status: 200, body: JSON.stringify({ errors: false, items }) });
  const outcome = await send();
  assert.ok(outcome.kind === "mixed");
  assert.deepEqual([outcome.retry, outcome.rejected], [[1, 2], []]);
});

test("an answer in another layout means the same", () => {
  const items = [{ index: { status: 200, _id: "x" } }, { index: { status: 201 } }];
  const body = JSON.stringify({ took: 3, items, errors: false }, null, 2);
  const reply = new HttpReply(200, {}, Buffer.from(body), "http://es:9200");
  assert.deepEqual(judge(reply, { op: "index", dedupe: true, rows: 2 }, NOW), { kind: "delivered", code: "200" });
});

test("what went to the failure store is delivered and counted apart", async (context) => {
  const { fake, send } = await setting(context);
  const error = { type: "document_parsing_exception", reason: "no" };
  const [fine, aside] = [{ create: { status: 201 } }, { create: { status: 201, failure_store: "used" } }];
  const refused = { create: { status: 400, failure_store: "not_enabled", error } };
  const answer = (...items: object[]): void =>
    void fake.script.push({
      kind: "status",
      status: 200,
      body: JSON.stringify({ errors: items.includes(refused), items }),
    });
  answer(fine, aside, aside);
  assert.deepEqual(await send(), { kind: "delivered", code: "200", putAside: 2 });
  answer(aside, refused, fine);
  const outcome = await send();
  assert.ok(outcome.kind === "mixed");
  assert.deepEqual([outcome.putAside, outcome.retry, outcome.rejected.map(({ row }) => row)], [1, [], [1]]);
});

test("an answer that is too large to read is asked for in smaller pieces, down to one record", () => {
  const reply = {
    code: "REPLY_TOO_LARGE",
    error: "the answer is larger than 64 MiB",
    begun: true,
    endpoint: "http://es",
  };
  assert.equal(judge(reply, { op: "create", dedupe: true, rows: 2 }, NOW).kind, "split");
  assert.equal(judge(reply, { op: "create", dedupe: true, rows: 1 }, NOW).kind, "retry");
});

test("Retry-After is passed on in both forms", async (context) => {
  const { fake, send } = await setting(context);
  for (const [value, ms] of [
    ["3", 3000],
    ["Tue, 24 Nov 2026 10:01:00 GMT", 60_000],
  ] as const) {
    fake.script.push({ kind: "status", status: 429, headers: { "retry-after": value } });
    const outcome = await send();
    assert.ok(outcome.kind === "retry");
    assert.equal(outcome.afterMs, ms);
  }
});

test("no answer, or half of one, leaves all rows to go again, and nothing is stored twice", async (context) => {
  const { fake, send } = await setting(context);
  for (const kind of ["reset-before-reading", "reset-before-answer", "store-and-reset", "cut-answer"] as const) {
    fake.script.push({ kind });
    const outcome = await send();
    assert.ok(outcome.kind === "retry", kind);
    assert.match(outcome.code, /^(UND_ERR_SOCKET|ECONNRESET|EPIPE)$/);
    assert.equal(outcome.cut === true, kind !== "cut-answer", kind);
    assert.ok(outcome.reason.startsWith(`${fake.url} gave no answer (`), outcome.reason);
  }
  assert.deepEqual(await send(), { kind: "delivered", code: "200" });
  assert.equal(fake.documents().length, 3);
});

test("a server that hangs is left when the time is up, a slow one is waited for", async (context) => {
  const { fake, made, request, send } = await setting(context);
  fake.script.push({ kind: "hang" });
  const late = await made.send(request, AbortSignal.timeout(20));
  assert.deepEqual([late.kind, late.code], ["retry", "TIMEOUT"]);
  const gate = Promise.withResolvers<void>();
  fake.script.push({ kind: "delay", until: gate.promise });
  const slow = send();
  gate.resolve();
  assert.equal((await slow).kind, "delivered");
});

test("a port where nobody listens is named, with what to look at", async (context) => {
  const made = elasticsearchOutput(["http://127.0.0.1:1"]);
  context.after(() => made.close());
  const open = made.open();
  open.append(rowsOf(["a"]), 0, 1e9, 1e9);
  const outcome = await made.send(open.close(), NEVER);
  assert.deepEqual([outcome.kind, outcome.code], ["retry", "ECONNREFUSED"]);
  assert.match(
    outcome.kind === "retry" ? outcome.reason : "",
    /^http:\/\/127\.0\.0\.1:1 gave no answer \(.*is the address right/,
  );
});
