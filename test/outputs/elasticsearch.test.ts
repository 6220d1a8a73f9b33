/** Bulks as the Elasticsearch output makes them, and as a strict Elasticsearch takes them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { type Batch, DROPPED, type Rows } from "../../agent/batch.ts";
import type { ElasticsearchOutput } from "../../outputs/elasticsearch.ts";
import type { ClosedRequest } from "../../outputs/output.ts";
import { type ElasticsearchFake, type FakeOptions, startElasticsearch } from "../support/elasticsearch.ts";
import { type ElasticsearchVariations, elasticsearchOutput } from "../support/elasticsearch-output.ts";
import { secret } from "../support/http.ts";
import { origin, rowsOf } from "../support/rows.ts";
import { tlsFile } from "../support/tls.ts";

const NEVER = new AbortController().signal;
const LARGE = 1e9;

async function start(context: TestContext, options: FakeOptions = {}): Promise<ElasticsearchFake> {
  const fake = await startElasticsearch(options);
  context.after(() => fake.close());
  return fake;
}

function output(context: TestContext, endpoints: string[], more: ElasticsearchVariations = {}): ElasticsearchOutput {
  const made = elasticsearchOutput(endpoints, more);
  context.after(() => made.close());
  return made;
}

function closed(made: ElasticsearchOutput, ...batches: Batch[]): ClosedRequest {
  const open = made.open();
  for (const batch of batches) assert.equal(open.append(batch, 0, LARGE, LARGE), batch.rows);
  return open.close();
}

/** The actions of a body. */
function actions({ body }: ClosedRequest): unknown[] {
  const lines = gunzipSync(body).toString().trimEnd().split("\n");
  return lines.filter((_, i) => i % 2 === 0).map((line) => JSON.parse(line));
}

const messages = (fake: ElasticsearchFake, index?: string): unknown[] =>
  fake.documents(index).map(({ message }) => message);

test("records arrive once however often they are sent, whatever bytes their messages have", async (context) => {
  const fake = await start(context);
  const made = output(context, [fake.url]);
  const texts = ["plain", 'quote " back \\ slash', "tab\tnul\0", "äöü 😀 \u2028", "", '{"create":{}}\n{}'];
  const request = closed(made, rowsOf(texts));
  assert.deepEqual(await made.send(request, NEVER), { kind: "delivered", code: "200" });
  assert.deepEqual(await made.send(request, NEVER), { kind: "delivered", code: "200" });
  assert.deepEqual(messages(fake), texts);
  const [first] = fake.requests;
  assert.match(first?.url ?? "", /^\/logs-test-default\/_bulk\?filter_path=[^&]*items\.\*\.status[^&]*$/);
  assert.equal(first?.headers["content-type"], "application/x-ndjson");
  assert.equal(first?.headers["content-encoding"], "gzip");
  assert.equal(gunzipSync(first?.body ?? "").at(-1), 0x0a);
});

test("any valid UTF-8 survives the way, and no document is refused", async (context) => {
  const fake = await start(context);
  const made = output(context, [fake.url], { dedupe: false, compression: "none" });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 20 }), async (texts) => {
      const before = fake.documents().length;
      assert.equal((await made.send(closed(made, rowsOf(texts)), NEVER)).kind, "delivered");
      assert.deepEqual(messages(fake).slice(before), texts);
    }),
    { numRuns: 30 },
  );
});

test("an id is made of time, generation and offset, and stays valid for odd times", (context) => {
  const made = output(context, ["http://127.0.0.1:1"]);
  const rows = rowsOf(["a", "b", "c", "d"]);
  rows.offset[0] = 4711;
  rows.extraOf(1).generation = { key: "earlier_generation" };
  rows.seconds[2] = -5;
  rows.seconds[3] = 253_402_300_800;
  rows.nanos[3] = 7;
  assert.deepEqual(actions(closed(made, rows)), [
    { create: { _id: "1790000000123456789-0123456789abcdef-4711" } },
    { create: { _id: "1790000001123456789-earlier_generation-100" } },
    { create: { _id: "-000000000005123456789-0123456789abcdef-200" } },
    { create: { _id: "253402300800000000007-0123456789abcdef-300" } },
  ]);
});

test("ids differ wherever generation, offset or time do, and are never over 512 bytes", (context) => {
  const made = output(context, ["http://127.0.0.1:1"]);
  const row = fc.record({
    seconds: fc.integer({ min: -1e11, max: 1e12 }),
    nanos: fc.integer({ min: 0, max: 999_999_999 }),
    offset: fc.maxSafeNat(),
  });
  fc.assert(
    fc.property(fc.uniqueArray(row, { minLength: 1, selector: (one) => JSON.stringify(one) }), (list) => {
      const rows = rowsOf(list.map(() => "x"));
      for (const [i, { seconds, nanos, offset }] of list.entries()) {
        rows.seconds[i] = seconds;
        rows.nanos[i] = nanos;
        rows.offset[i] = offset;
      }
      const ids = (actions(closed(made, rows)) as { create: { _id: string } }[]).map(({ create }) => create._id);
      assert.equal(new Set(ids).size, list.length);
      for (const id of ids) assert.ok(id.length <= 512);
    }),
  );
});

test("an index by template is named in each action, made into a name that an index may have", async (context) => {
  const fake = await start(context);
  const made = output(context, [fake.url], { index: "K8s-{label.team}-{yyyy.MM.dd}", pipeline: "my pipe" });
  const of = (team: string): Rows => rowsOf([team], { ...origin, labels: { team } });
  const batches = [of("Shop"), of("a/b c*"), of("x".repeat(300)), of("é".repeat(200)), rowsOf(["none"])];
  assert.equal((await made.send(closed(made, ...batches), NEVER)).kind, "delivered");
  assert.deepEqual(messages(fake, "k8s-shop-2026.09.21"), ["Shop"]);
  assert.deepEqual(messages(fake, "k8s-a_b_c_-2026.09.21"), ["a/b c*"]);
  assert.deepEqual(messages(fake, "k8s-unknown-2026.09.21"), ["none"]);
  assert.equal(messages(fake, `k8s-${"x".repeat(251)}`).length, 1);
  assert.equal(messages(fake, `k8s-${"é".repeat(125)}`).length, 1);
  assert.match(fake.requests[0]?.url ?? "", /^\/_bulk\?.*&pipeline=my%20pipe$/);
});

test("an index name begins with nothing that it may not, and is never empty", async (context) => {
  const fake = await start(context);
  for (const index of ["_-+.Name", "...", "{namespace}"]) {
    const made = output(context, [fake.url], { index, dedupe: false });
    const request = closed(made, rowsOf([index], { ...origin, namespace: "-_" }));
    assert.equal((await made.send(request, NEVER)).kind, "delivered");
  }
  assert.deepEqual(messages(fake, "name"), ["_-+.Name"]);
  assert.deepEqual(messages(fake, "unknown"), ["...", "{namespace}"]);
});

test("op index overwrites; without dedupe every sending is a document of its own", async (context) => {
  const fake = await start(context);
  for (const op of ["index", "create"] as const) {
    const made = output(context, [fake.url], { op, index: op, dedupe: op === "index", compression: "none" });
    for (let i = 0; i < 2; i++) {
      const outcome = await made.send(closed(made, rowsOf(["x"])), NEVER);
      assert.deepEqual(outcome, { kind: "delivered", code: "200" });
    }
  }
  assert.equal(fake.documents("index").length, 1);
  assert.equal(fake.documents("create").length, 2);
  assert.equal(fake.requests[0]?.headers["content-encoding"], undefined);
});

test("a request takes rows up to its limits, always one, and none of a row that does not fit", (context) => {
  const made = output(context, ["http://127.0.0.1:1"]);
  const rows = rowsOf(["a".repeat(5000), "b", "c", "d", "e"]);
  rows.flags[1] = DROPPED;
  const open = made.open();
  assert.equal(open.append(rows, 0, 1000, LARGE), 2, "the first row goes in though too large; a dropped one is passed");
  const { bytes } = open;
  assert.equal(open.append(rows, 2, bytes + 10, LARGE), 2);
  assert.deepEqual([open.bytes, open.rows], [bytes, 1], "nothing is left of the row that did not fit");
  assert.equal(open.append(rows, 2, LARGE, 3), 4);
  const request = open.close();
  assert.deepEqual([request.rows, request.bytes], [3, gunzipSync(request.body).length]);
  assert.equal(actions(request).length, 3);
  const exact = made.open();
  exact.append(rows, 4, LARGE, LARGE);
  const one = exact.bytes;
  const again = made.open();
  again.append(rows, 3, LARGE, 1);
  assert.equal(again.append(rows, 4, again.bytes + one, LARGE), 5, "a row that just fits goes in");
});

test("pick keeps just these rows, and entry shows one with its action", async (context) => {
  const fake = await start(context);
  for (const compression of ["gzip", "none"] as const) {
    const made = output(context, [fake.url], { compression, index: compression });
    const request = closed(made, rowsOf(["a", "b\n", "c", "d"]));
    const picked = made.pick(request, [1, 3]);
    assert.equal(picked.rows, 2);
    assert.equal((await made.send(picked, NEVER)).kind, "delivered");
    assert.deepEqual(messages(fake, compression), ["b\n", "d"]);
    const [action = "", document = "", ...more] = made.entry(request, 2).split("\n");
    assert.match(action, /^\{"create":\{"_id":"1790000002/);
    assert.equal((JSON.parse(document) as { message: string }).message, "c");
    assert.deepEqual(more, []);
    assert.equal(made.entry(picked, 1), made.entry(request, 3));
  }
});

test("of several endpoints those that answer take over from one that is dead", async (context) => {
  const fake = await start(context);
  const made = output(context, ["http://127.0.0.1:1", fake.url]);
  const outcomes = [];
  for (let i = 0; i < 5; i++) outcomes.push((await made.send(closed(made, rowsOf(["x"])), NEVER)).kind);
  assert.deepEqual(outcomes, ["retry", "delivered", "delivered", "delivered", "delivered"]);
});

test("it logs in over TLS, with a certificate of its own", async (context) => {
  const pem = (name: Parameters<typeof tlsFile>[0]): Buffer => readFileSync(tlsFile(name));
  const fake = await start(context, {
    tls: { key: pem("server.key"), cert: pem("server.pem"), ca: pem("ca.pem") },
    authorization: `ApiKey ${Buffer.from("id:key").toString("base64")}`,
  });
  const tls = { caFile: tlsFile("ca.pem"), certFile: tlsFile("client.pem"), keyFile: tlsFile("client.key") };
  const good = output(context, [fake.url], { tls, auth: { apiKey: secret("id:key") } });
  assert.equal((await good.send(closed(good, rowsOf(["x"])), NEVER)).kind, "delivered");
  const wrong = output(context, [fake.url], { tls, auth: { apiKey: secret("id:wrong") } });
  const outcome = await wrong.send(closed(wrong, rowsOf(["x"])), NEVER);
  assert.ok(outcome.kind === "retry" && outcome.code === "401");
  assert.match(outcome.reason, /^https:.* answered 401 .*security_exception.*check the credentials under auth$/);
});
