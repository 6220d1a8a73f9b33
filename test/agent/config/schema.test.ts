import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { jsonSchema } from "../../../agent/config/schema.ts";
import { Secret } from "../../../agent/config/secret.ts";
import { loadGood } from "../../support/config.ts";

type Schema = Readonly<Record<string, unknown>>;

/** All schemas within a schema, with their paths. */
function* within(schema: unknown, path = ""): Generator<[string, Schema]> {
  if (typeof schema !== "object" || schema === null) return;
  if (!Array.isArray(schema)) yield [path, schema as Schema];
  for (const [key, value] of Object.entries(schema)) yield* within(value, `${path}/${key}`);
}

function at(path: string): Schema {
  const found = [...within(jsonSchema())].find(([place]) => place === path);
  assert.ok(found, path);
  return found[1];
}

test("sizes come out in bytes, durations in milliseconds, secrets and templates as objects", (context) => {
  const { config } = loadGood(
    context,
    `shutdownTimeout: 1m
outputs:
  - name: es
    type: elasticsearch
    endpoints: [http://es:9200/]
    index: "logs-{namespace}"
    memory: 64Mi
    batch: { maxBytes: 500KB, maxWait: 250ms }
    auth: { apiKey: hunter2 }
    request: { headers: { X-Tenant: shop } }
`,
  );
  const [es] = config.outputs;
  assert.ok(es?.type === "elasticsearch");
  assert.equal(config.shutdownTimeout, 60_000);
  assert.equal(es.memory, 64 * 1024 ** 2);
  assert.deepEqual(es.batch, { maxBytes: 500_000, maxRecords: 20_000, maxWait: 250 });
  assert.deepEqual(es.endpoints, ["http://es:9200"]);
  assert.equal(es.index.isConstant, false);
  assert.ok(es.auth.apiKey instanceof Secret);
  assert.equal(es.auth.apiKey.value(), "hunter2");
  assert.equal(es.request.headers["X-Tenant"]?.value(), "shop");
});

test("a batch is as large as the memory where that is less than the default", (context) => {
  const { config } = loadGood(context, "outputs: [{ name: a, type: console, memory: 1MiB }]");
  assert.equal(config.outputs[0]?.batch.maxBytes, 1024 ** 2);
});

test("the JSON Schema forbids unknown keys and describes every key", () => {
  const lax = [...within(jsonSchema())].filter(
    ([, schema]) => typeof schema.properties === "object" && schema.additionalProperties !== false && "type" in schema,
  );
  assert.deepEqual(lax, []);
  const groups = new Set([
    "source",
    "kubernetes",
    "admin",
    "batch",
    "request",
    "retry",
    "deadLetter",
    "tls",
    "auth",
    "podSettings",
    "hold",
  ]);
  const silent = [...within(jsonSchema())].filter(
    ([path, { description }]) =>
      /\/properties\/\w+$/.test(path) &&
      !/anyOf/.test(path) &&
      description === undefined &&
      !groups.has(path.split("/").at(-1) ?? "") &&
      !path.endsWith("/rotate"),
  );
  assert.deepEqual(silent, []);
});

test("the JSON Schema takes what the loader takes: units, plain bytes, variables", () => {
  const accepts = (path: string, value: string): boolean => new RegExp(String(at(path).pattern)).test(value);
  const output = "/properties/outputs/items/oneOf/0/properties";
  for (const [path, good, bad] of [
    [`${output}/memory`, ["1", "4MiB", "4Mi", "${M}"], ["4mb", "-1", ""]],
    ["/properties/shutdownTimeout", ["0", "250ms", "1.5h", "${T:-5s}"], ["5", "1d"]],
    ["/properties/kubernetes/properties/enabled", ["true", "false", "${E}"], ["yes"]],
    [`${output}/endpoints/items`, ["http://es", "https://es:9200", "${URL}"], ["es:9200"]],
    ["/properties/admin/properties/listen", ["0.0.0.0:9780", "[::1]:1", "${A}"], ["9780", "a b:1"]],
    [`${output}/name`, ["a", "a.b-c_d", "${N}"], [".a", "a/b", "a".repeat(64)]],
  ] as const) {
    for (const value of good) assert.ok(accepts(path, value), `${path} ${value}`);
    for (const value of bad) assert.ok(!accepts(path, value), `${path} ${value}`);
  }
  assert.deepEqual(at("/properties/shutdownTimeout").type, ["string", "integer"]);
  assert.equal(at(`${output}/memory`).default, "32MiB");
  assert.deepEqual(at("/properties/outputs/items/oneOf/0").required, ["name", "type", "endpoints"]);
  const file = [...within(at("/properties/outputs/items"))].find(
    ([, { properties }]) => (properties as { type?: Schema } | undefined)?.type?.const === "file",
  );
  assert.deepEqual(file?.[1].required, ["name", "type", "path"]);
  assert.doesNotMatch(JSON.stringify(jsonSchema()), /"print"|"schema":\{"title"/);
});

test("docs/configuration.md is what the schema says", () => {
  const generate = join(import.meta.dirname, "..", "..", "..", "docs", "generate.ts");
  const { status, stderr } = spawnSync(process.execPath, [generate, "--check"], { encoding: "utf8" });
  assert.equal(`${status} ${stderr}`, "0 ");
});
