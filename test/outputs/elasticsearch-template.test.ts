/** The index template: what it says, and that records neither wait for it in vain nor depend on it. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { indexTemplate } from "../../outputs/elasticsearch-template.ts";
import type { Outcome } from "../../outputs/output.ts";
import { type ElasticsearchFake, startElasticsearch } from "../support/elasticsearch.ts";
import { type ElasticsearchVariations, elasticsearchOutput } from "../support/elasticsearch-output.ts";
import { keepLog } from "../support/quiet-log.ts";
import { rowsOf } from "../support/rows.ts";

const NEVER = new AbortController().signal;
const NAME = "tailrace-logs-test-default";

interface Setting {
  readonly fake: ElasticsearchFake;
  readonly lines: ReturnType<typeof keepLog>["lines"];
  /** Sends one record by a new output, as an agent that has just started. */
  send(more?: ElasticsearchVariations): Promise<Outcome>;
}

async function setting(context: TestContext): Promise<Setting> {
  const fake = await startElasticsearch();
  context.after(() => fake.close());
  const { log, lines } = keepLog();
  return {
    fake,
    lines,
    send: async (more) => {
      const output = elasticsearchOutput([fake.url], { setupTemplate: true, log, ...more });
      context.after(() => output.close());
      const open = output.open();
      open.append(rowsOf(["a"]), 0, 1e9, 1e9);
      return output.send(open.close(), NEVER);
    },
  };
}

const asked = ({ requests }: ElasticsearchFake): string[] =>
  requests.map(({ method, url }) => `${method} ${url.replace(/\?.*/, "")}`);
const warnings = ({ lines }: Setting): string[] =>
  lines.filter(({ level }) => level === "warn").map(({ reason }) => String(reason));

test("names become patterns: data streams where nothing speaks against it, and the longer name wins", () => {
  const cases: [string, "create" | "index", string, boolean, number][] = [
    ["logs-kubernetes.container_logs-default", "create", "logs-kubernetes.container_logs-default", true, 139],
    ["logs-{namespace}", "create", "logs-*", true, 106],
    ["logs-{namespace}", "index", "logs-*", false, 106],
    ["logs-{yyyy.MM.dd}", "create", "logs-*", false, 106],
    ["logs-{namespace}-{HH}", "create", "logs-*-*", false, 107],
    ["-Logs/{app}", "create", "logs_*", true, 106],
    ["x".repeat(200), "create", "x".repeat(200), true, 149],
  ];
  for (const [index, op, pattern, isStream, priority] of cases) {
    const template = indexTemplate({ index, op, schema: "ecs" });
    const body = JSON.parse(template?.bodies[0]?.toString() ?? "") as Record<string, unknown>;
    assert.deepEqual(body.index_patterns, [pattern], index);
    assert.equal("data_stream" in body, isStream, index);
    assert.equal(body.priority, priority, index);
    assert.match(template?.name ?? "", /^tailrace-[^*]+$/);
  }
});

test("it is installed before the first record, and never touched again", async (context) => {
  const { fake, send, lines } = await setting(context);
  assert.equal((await send()).kind, "delivered");
  const template = `/_index_template/${NAME}`;
  const bulk = "POST /logs-test-default/_bulk";
  assert.deepEqual(asked(fake), [`HEAD ${template}`, `PUT ${template}`, bulk]);
  assert.ok(fake.templates.all.has(NAME));
  assert.equal((await send()).kind, "delivered");
  assert.deepEqual(asked(fake).slice(3), [`HEAD ${template}`, bulk]);
  assert.deepEqual(
    lines.map(({ level }) => level),
    ["info"],
  );
});

test("requests at once ask once, and later ones not at all", async (context) => {
  const { fake } = await setting(context);
  const output = elasticsearchOutput([fake.url], { setupTemplate: true });
  context.after(() => output.close());
  const request = () => {
    const open = output.open();
    open.append(rowsOf(["a"]), 0, 1e9, 1e9);
    return open.close();
  };
  await Promise.all([output.send(request(), NEVER), output.send(request(), NEVER)]);
  await output.send(request(), NEVER);
  assert.equal(asked(fake).filter((line) => line.includes("_index_template")).length, 2);
});

test("a server takes the best template that its field types and settings allow", async (context) => {
  const without = (...names: string[]) => names;
  const limit = "index.mapping.total_fields.ignore_dynamic_beyond_limit";
  const cases: [string[], string[], string, string, boolean][] = [
    [[], [], "flattened", "match_only_text", true],
    [without(limit), [], "flattened", "match_only_text", false],
    [without(limit, "match_only_text"), [], "flattened", "text", false],
    [without(limit, "flattened"), ["flat_object"], "flat_object", "match_only_text", false],
    [without(limit, "flattened", "match_only_text"), ["flat_object"], "flat_object", "text", false],
    [without(limit, "flattened", "match_only_text"), [], "object", "text", false],
  ];
  for (const [missing, more, map, text, hasLimit] of cases) {
    const { fake, send, lines } = await setting(context);
    for (const name of missing) {
      fake.templates.fieldTypes.delete(name);
      fake.templates.settings.delete(name);
    }
    for (const name of more) fake.templates.fieldTypes.add(name);
    for (const schema of ["ecs", "fluentbit"] as const) {
      const index = `logs-${schema}-default`;
      assert.equal((await send({ index, schema })).kind, "delivered");
      const template = JSON.stringify(fake.templates.all.get(`tailrace-${index}`));
      assert.ok(template.includes(`"labels":{"type":"${map}"`), template);
      assert.ok(template.includes(`"${schema === "ecs" ? "message" : "log"}":{"type":"${text}"}`), template);
      assert.ok(template.includes('"@timestamp":{"type":"date_nanos"'), template);
      assert.equal(template.includes(limit), hasLimit, template);
    }
    assert.ok(lines.every(({ level }) => level === "info"));
  }
});

test("outputs whose patterns overlap both have their template", async (context) => {
  const { fake, send } = await setting(context);
  for (const index of ["logs-{namespace}", "logs-{namespace}-default", "logs-test-default"])
    assert.equal((await send({ index })).kind, "delivered");
  assert.equal(fake.templates.all.size, 3);
});

test("where it is not allowed, known or possible, a warning says so and records go on", async (context) => {
  const forbidden = JSON.stringify({ error: { type: "security_exception", reason: "unauthorized for user [x]" } });
  for (const [head, put, reason] of [
    [403, undefined, /^403$/],
    [400, undefined, /^400$/],
    [405, undefined, /^405$/],
    [404, { status: 403, body: forbidden }, /^403 unauthorized for user/],
    [404, { status: 405 }, /^405/],
  ] as const) {
    const made = await setting(context);
    made.fake.script.push({ kind: "status", status: head });
    if (put !== undefined) made.fake.script.push({ kind: "status", ...put });
    assert.equal((await made.send()).kind, "delivered");
    assert.equal(warnings(made).length, 1);
    assert.match(warnings(made)[0] ?? "", reason);
  }
  const rival = await setting(context);
  const body = { index_patterns: ["logs-test-*"], priority: 118 };
  rival.fake.templates.put("theirs", Buffer.from(JSON.stringify(body)), true);
  assert.equal((await rival.send()).kind, "delivered");
  assert.match(warnings(rival)[0] ?? "", /same priority/);
  const wild = await setting(context);
  assert.equal((await wild.send({ index: "{namespace}-logs" })).kind, "delivered");
  assert.match(warnings(wild)[0] ?? "", /begins with a placeholder/);
  assert.ok(asked(wild.fake).every((line) => line.endsWith("/_bulk")));
});

test("one that another agent installs at the same moment is kept", async (context) => {
  const made = await setting(context);
  const theirs = Buffer.from(JSON.stringify({ index_patterns: ["logs-test-*"], priority: 7 }));
  made.fake.script.push({ kind: "status", status: 404 });
  made.fake.templates.put(NAME, theirs, true);
  assert.equal((await made.send()).kind, "delivered");
  assert.equal(made.fake.templates.all.get(NAME)?.priority, 7);
  assert.deepEqual(warnings(made), []);
});

test("while the server is unwell records wait, and it is installed before them once the server is back", async (context) => {
  const { fake } = await setting(context);
  const output = elasticsearchOutput([fake.url], { setupTemplate: true });
  context.after(() => output.close());
  const open = output.open();
  open.append(rowsOf(["a"]), 0, 1e9, 1e9);
  const request = open.close();
  for (const status of [401, 408, 429, 502, 503, 504]) {
    fake.script.push({ kind: "status", status, headers: { "retry-after": "7" } });
    const outcome = await output.send(request, NEVER);
    assert.deepEqual([outcome.kind, outcome.code], ["retry", String(status)]);
    assert.equal(outcome.kind === "retry" && outcome.afterMs, 7000);
  }
  fake.script.push({ kind: "reset-before-answer" }, { kind: "reset-before-answer" });
  assert.equal((await output.send(request, NEVER)).kind, "retry");
  assert.deepEqual(fake.documents(), []);
  assert.equal((await output.send(request, NEVER)).kind, "delivered");
  assert.ok(fake.templates.all.has(NAME));
});
