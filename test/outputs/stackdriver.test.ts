/** Entries as the Cloud Logging output makes them, and as a strict Cloud Logging takes them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { STDERR, TRUNCATED, UNPARSED } from "../../agent/batch.ts";
import { rowsOf } from "../support/rows.ts";
import type { StoredEntry } from "../support/stackdriver.ts";
import {
  closed,
  NEVER,
  outputFor,
  payloads,
  podOrigin,
  resource,
  ship,
  startFake,
} from "../support/stackdriver-output.ts";

test("an entry has its resource, labels, severity, id and payload, and is there once however often it is sent", async (context) => {
  const fake = await startFake(context);
  const made = outputFor(context, fake.url);
  const rows = rowsOf(['hello\t"wörld" 😀', "oops", '{"user":"x","n":[1,null]}', "cut", "not a line"], podOrigin);
  rows.flags[1] = STDERR;
  rows.digits[1] = 3;
  rows.flags[3] = TRUNCATED;
  rows.extraOf(3).originalBytes = 5_000_000;
  rows.flags[4] = UNPARSED;
  rows.extraOf(4).error = 'no "time"';
  for (let i = 0; i < 2; i++) await ship(made, rows);
  const labels = {
    "compute.googleapis.com/resource_name": "node-a",
    "logging.gke.io/top_level_controller_name": "web",
    "logging.gke.io/top_level_controller_type": "StatefulSet",
    "k8s-pod/app": "web",
    "k8s-pod/app_kubernetes_io/name": "web",
    "k8s-namespace/kubernetes_io/metadata_name": "shop",
    "k8s-pod-annotation/example_com/team": 'a "quoted" é',
  };
  const shared = { logName: "projects/my-project/logs/stdout", resource, labels, severity: "INFO" };
  const id = (seconds: number, offset: string): string => `179000000${seconds}123456789-0123456789abcdef-${offset}`;
  assert.deepEqual(fake.entries, [
    {
      ...shared,
      timestamp: "2026-09-21T14:13:20.123456789Z",
      insertId: id(0, "0000000000000000"),
      textPayload: 'hello\t"wörld" 😀',
    },
    {
      ...shared,
      logName: "projects/my-project/logs/stderr",
      timestamp: "2026-09-21T14:13:21.123Z",
      severity: "ERROR",
      insertId: id(1, "0000000000000100"),
      textPayload: "oops",
    },
    {
      ...shared,
      timestamp: "2026-09-21T14:13:22.123456789Z",
      insertId: id(2, "0000000000000200"),
      jsonPayload: { user: "x", n: [1, null] },
    },
    {
      ...shared,
      timestamp: "2026-09-21T14:13:23.123456789Z",
      insertId: id(3, "0000000000000300"),
      labels: { ...labels, "tailrace.io/original-bytes": "5000000" },
      textPayload: "cut",
    },
    {
      ...shared,
      timestamp: "2026-09-21T14:13:24.123456789Z",
      insertId: id(4, "0000000000000400"),
      labels: { ...labels, "tailrace.io/error": 'no "time"' },
      textPayload: "not a line",
    },
  ] satisfies StoredEntry[]);
  const [first] = fake.requests;
  assert.deepEqual(
    [first?.url, first?.headers["content-type"], first?.headers["content-encoding"], first?.headers.authorization],
    ["/v2/entries:write", "application/json", "gzip", "Bearer token-1"],
  );
});

test("a request of one container gives resource, labels and log name once, and says the same", async (context) => {
  const fake = await startFake(context);
  const made = outputFor(context, fake.url, { compression: "none" });
  const many = rowsOf(
    Array.from({ length: 200 }, (_, i) => `message ${i}`),
    podOrigin,
  );
  many.flags[7] = STDERR;
  many.flags[8] = TRUNCATED;
  many.extraOf(8).originalBytes = 9;
  const key = made.requestKey(many);
  assert.notEqual(key, "");
  assert.equal(made.requestKey(many), key);
  assert.notEqual(made.requestKey(rowsOf(new Array(200).fill("x"), { ...podOrigin })), key);
  assert.equal(made.requestKey(rowsOf(["a", "b"], podOrigin)), "");
  const own = closed(made, [many], key);
  const common = closed(made, [many]);
  assert.ok(own.bytes < common.bytes / 2);
  assert.equal(own.body.toString().split('"resource"').length, 2);
  assert.equal((await made.send(own, NEVER)).kind, "delivered");
  const entries = fake.entries.splice(0);
  const again = await startFake(context);
  await ship(outputFor(context, again.url), many);
  assert.deepEqual(entries, again.entries);
});

test("any valid UTF-8 survives the way, and no entry is refused", async (context) => {
  const fake = await startFake(context);
  const made = outputFor(context, fake.url);
  const json = fc
    .dictionary(fc.string({ unit: "binary" }), fc.jsonValue({ stringUnit: "binary" }))
    .map((value) => JSON.stringify(value));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.string({ unit: "binary" }), json), { minLength: 1, maxLength: 20 }),
      async (texts) => {
        fake.entries.length = 0;
        const rows = rowsOf(texts);
        // A generation of its own, or it would be known from before.
        rows.generation = { key: `g${fake.requests.length}` };
        await ship(made, rows);
        assert.equal(fake.entries.length, texts.length);
        for (const [i, { textPayload, jsonPayload }] of fake.entries.entries())
          if (jsonPayload === undefined) assert.equal(textPayload, texts[i]);
          else assert.deepEqual(numbers(jsonPayload), numbers(JSON.parse(texts[i] as string)));
      },
    ),
    { numRuns: 60 },
  );
});

/** Without what JSON does not tell apart, or a double does not hold. */
function numbers(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, item: unknown) =>
      typeof item === "number" && Number.isInteger(item) && !Number.isSafeInteger(item) ? "an integer" : item,
    ).replace(/"-?\d{16,}"/g, '"an integer"'),
  );
}

test("what is no JSON object, is broken, or is nested too deeply, arrives as text, byte for byte", async (context) => {
  const fake = await startFake(context);
  const nested = `{"a":${"[".repeat(10_000)}${"]".repeat(10_000)}}`;
  const texts = ["[1]", '{"a":1', '{"a":1}{"b":2}', "{not json}", `{"a":${"{}".repeat(2)}}`, nested, "{}x"];
  await ship(outputFor(context, fake.url), rowsOf(texts));
  assert.deepEqual(payloads(fake), texts);
  const plain = await startFake(context);
  await ship(outputFor(context, plain.url, { structured: false }), rowsOf(['{"severity":"ERROR"}']));
  assert.deepEqual(payloads(plain), ['{"severity":"ERROR"}']);
  assert.equal(plain.entries[0]?.severity, "INFO");
});

test("thirty levels of objects are as many as the API takes, with one more it is text", async (context) => {
  const fake = await startFake(context);
  const objects = (levels: number): string => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
  await ship(outputFor(context, fake.url), rowsOf([objects(30), objects(31)]));
  assert.deepEqual(payloads(fake), [JSON.parse(objects(30)), objects(31)]);
});

test("numbers that a double can't hold arrive with their digits, keys given twice once", async (context) => {
  const fake = await startFake(context);
  await ship(
    outputFor(context, fake.url),
    rowsOf(['{"id":12345678901234567890,"x":1e400,"y":0.10,"z":1,"z":2,"s":"\\ud800"}']),
  );
  assert.deepEqual(payloads(fake), [{ id: "12345678901234567890", x: "1e400", y: 0.1, z: 2, s: "\ufffd" }]);
});

test("labels: what is over the API's limits is left out, annotations first", async (context) => {
  const fake = await startFake(context);
  const labels = Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`l${i}`, "v"]));
  await ship(
    outputFor(context, fake.url),
    rowsOf(["x"], { ...podOrigin, labels, annotations: { ["a".repeat(600)]: "v", b: "" } }),
  );
  const keys = Object.keys(fake.entries[0]?.labels ?? {});
  assert.equal(keys.length, 60);
  assert.ok(keys.includes("k8s-pod/l56") && !keys.some((key) => key.startsWith("k8s-pod-annotation/")));
});

test("log names are by template, made valid and URL-encoded", async (context) => {
  const fake = await startFake(context);
  const name = (text: string): string => `projects/my-project/logs/${text}`;
  for (const [template, expected] of [
    ["{stream}", name("stdout")],
    ["k8s/{namespace}/{label.team}", name("k8s%2Fshop%2Fa_b%2Fc__")],
    ["{label.none}", name("unknown")],
    [`${"x".repeat(600)}`, name("x".repeat(511))],
  ] as const) {
    const made = outputFor(context, fake.url, { logName: template });
    const rows = rowsOf(["x"], { ...podOrigin, labels: { team: "a b/cé?" } });
    rows.generation = { key: `g${fake.entries.length}` };
    await ship(made, rows);
    assert.equal(fake.entries.at(-1)?.logName, expected);
  }
});

test("ids of one time sort as their offsets do", async (context) => {
  const fake = await startFake(context);
  const rows = rowsOf(["a", "b", "c", "d"]);
  [0, 9, 10, 2 ** 53 - 1].forEach((offset, row) => {
    rows.offset[row] = offset;
    rows.seconds[row] = 1_790_000_000;
  });
  rows.extraOf(3).generation = { key: "0123456789abcdef" };
  await ship(outputFor(context, fake.url), rows);
  const ids = fake.entries.map(({ insertId }) => insertId);
  assert.deepEqual(ids.toSorted(), ids);
  assert.equal(ids.at(-1), "1790000000123456789-0123456789abcdef-9007199254740991");
});
