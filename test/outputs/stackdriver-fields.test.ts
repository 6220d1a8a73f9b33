/** The special fields of structured logs: what goes where, and what stays because the API would not take it. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { STDERR } from "../../agent/batch.ts";
import { rowsOf } from "../support/rows.ts";
import type { StoredEntry } from "../support/stackdriver.ts";
import { outputFor, podOrigin, ship, startFake } from "../support/stackdriver-output.ts";

const OWN = {
  timestamp: "2026-09-21T14:13:20.123456789Z",
  severity: "INFO",
  insertId: "1790000000123456789-0123456789abcdef-0000000000000000",
};
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

/** What an entry says of a message, beyond what every entry has. */
async function entryOf(context: TestContext, message: unknown): Promise<Record<string, unknown>> {
  const fake = await startFake(context);
  await ship(outputFor(context, fake.url), rowsOf([typeof message === "string" ? message : JSON.stringify(message)]));
  const { logName: _, resource: __, labels = {}, ...entry } = fake.entries[0] as StoredEntry;
  const { "compute.googleapis.com/resource_name": ___, ...own } = labels;
  const rest = Object.entries({ ...entry, ...(Object.keys(own).length === 0 ? {} : { labels: own }) });
  return Object.fromEntries(rest.filter(([key, value]) => (OWN as Record<string, unknown>)[key] !== value));
}

const google = (name: string): string => `logging.googleapis.com/${name}`;

/** The message, and what becomes of it. */
const CASES: Readonly<Record<string, readonly [unknown, Record<string, unknown>]>> = {
  "a severity is taken": [
    { severity: "WARNING", a: 1 },
    { severity: "WARNING", jsonPayload: { a: 1 } },
  ],
  "its usual names are understood": [
    { a: 1, severity: "fatal" },
    { severity: "CRITICAL", jsonPayload: { a: 1 } },
  ],
  "its numbers too, rounded down": [
    { severity: 450, a: 1 },
    { severity: "WARNING", jsonPayload: { a: 1 } },
  ],
  "also as text": [
    { severity: "500", a: 1 },
    { severity: "ERROR", jsonPayload: { a: 1 } },
  ],
  "an unknown one stays": [{ severity: "spicy" }, { jsonPayload: { severity: "spicy" } }],
  "so does one that is no name": [{ severity: { a: 1 } }, { jsonPayload: { severity: { a: 1 } } }],
  "a number beyond all severities stays": [{ severity: 900 }, { jsonPayload: { severity: 900 } }],
  "a level is heeded and stays": [
    { level: "warn", a: 1 },
    { severity: "WARNING", jsonPayload: { level: "warn", a: 1 } },
  ],
  "a number as level is pino's": [{ level: 50 }, { severity: "ERROR", jsonPayload: { level: 50 } }],
  "a level that says nothing is left alone": [{ level: 3 }, { jsonPayload: { level: 3 } }],
  "severity wins over level": [
    { level: "error", severity: "DEBUG", a: 1 },
    { severity: "DEBUG", jsonPayload: { level: "error", a: 1 } },
  ],
  "a message alone is text": [{ message: 'a "b"\n' }, { textPayload: 'a "b"\n' }],
  "also beside special fields": [
    { severity: "ERROR", message: "x" },
    { severity: "ERROR", textPayload: "x" },
  ],
  "a message beside other members stays": [{ message: "x", a: 1 }, { jsonPayload: { message: "x", a: 1 } }],
  "a message that is no text stays": [{ message: 5 }, { jsonPayload: { message: 5 } }],
  "special fields alone leave an empty object": [{ severity: "ERROR" }, { severity: "ERROR", jsonPayload: {} }],
  "a time is taken, with its digits": [
    { time: "2026-09-21T14:13:19.5+00:00", a: 1 },
    { timestamp: "2026-09-21T14:13:19.5Z", jsonPayload: { a: 1 } },
  ],
  "a timestamp in two parts is taken": [
    { timestamp: { seconds: 1_790_000_001, nanos: 5 }, a: 1 },
    { timestamp: "2026-09-21T14:13:21.000000005Z", jsonPayload: { a: 1 } },
  ],
  "two members that make a time are taken": [
    { timestampNanos: 7, a: 1, timestampSeconds: 1_790_000_001 },
    { timestamp: "2026-09-21T14:13:21.000000007Z", jsonPayload: { a: 1 } },
  ],
  "of several times the first is taken": [
    {
      time: "2026-09-21T14:13:19Z",
      timestamp: { seconds: 1_790_000_001 },
      timestampSeconds: 1_790_000_002,
      timestampNanos: 1,
    },
    {
      timestamp: "2026-09-21T14:13:19Z",
      jsonPayload: { timestamp: { seconds: 1_790_000_001 }, timestampSeconds: 1_790_000_002, timestampNanos: 1 },
    },
  ],
  "half a time stays": [{ timestampSeconds: 1_790_000_001 }, { jsonPayload: { timestampSeconds: 1_790_000_001 } }],
  "a time that is none stays": [{ time: "14:13" }, { jsonPayload: { time: "14:13" } }],
  "a time of epoch milliseconds stays": [{ time: 1_790_000_001_000 }, { jsonPayload: { time: 1_790_000_001_000 } }],
  "a time that the API would refuse stays": [
    { time: "2026-09-23T14:13:19Z" },
    { jsonPayload: { time: "2026-09-23T14:13:19Z" } },
  ],
  "a time that may be too old to be kept stays": [
    { timestamp: { seconds: 1_700_000_000, nanos: 0 } },
    { jsonPayload: { timestamp: { seconds: 1_700_000_000, nanos: 0 } } },
  ],
  "nanoseconds beyond a second stay": [
    { timestamp: { seconds: 1_790_000_001, nanos: 1e9 } },
    { jsonPayload: { timestamp: { seconds: 1_790_000_001, nanos: 1e9 } } },
  ],
  "an insertId is taken": [
    { [google("insertId")]: "own-1", a: 1 },
    { insertId: "own-1", jsonPayload: { a: 1 } },
  ],
  "an empty one is not": [{ [google("insertId")]: "" }, { jsonPayload: { [google("insertId")]: "" } }],
  "labels are taken": [
    { [google("labels")]: { a: "b", ü: "" }, x: 1 },
    { labels: { a: "b", ü: "" }, jsonPayload: { x: 1 } },
  ],
  "labels that are no texts stay": [
    { [google("labels")]: { a: "b", c: 1 } },
    { jsonPayload: { [google("labels")]: { a: "b", c: 1 } } },
  ],
  "labels that forge an origin stay": [
    { [google("labels")]: { "k8s-pod/app": "other" } },
    { jsonPayload: { [google("labels")]: { "k8s-pod/app": "other" } } },
  ],
  "an operation is taken": [
    { [google("operation")]: { id: "o", producer: "p", first: true, last: false } },
    { operation: { id: "o", producer: "p", first: true, last: false }, jsonPayload: {} },
  ],
  "an operation of a wrong type stays": [
    { [google("operation")]: { id: 1 } },
    { jsonPayload: { [google("operation")]: { id: 1 } } },
  ],
  "a source location is taken, its line as text": [
    { [google("sourceLocation")]: { file: "a.go", line: 12, function: "f" } },
    { sourceLocation: { file: "a.go", line: "12", function: "f" }, jsonPayload: {} },
  ],
  "a source location with more stays": [
    { [google("sourceLocation")]: { file: "a.go", column: 3 } },
    { jsonPayload: { [google("sourceLocation")]: { file: "a.go", column: 3 } } },
  ],
  "a trace's id gets its project, span and sampling are taken": [
    { [google("trace")]: TRACE, [google("spanId")]: "000000000000004a", [google("trace_sampled")]: true },
    { trace: `projects/my-project/traces/${TRACE}`, spanId: "000000000000004a", traceSampled: true, jsonPayload: {} },
  ],
  "a whole trace stays as it is": [
    { [google("trace")]: "projects/other/traces/1" },
    { trace: "projects/other/traces/1", jsonPayload: {} },
  ],
  "those of a wrong type stay": [
    { [google("trace")]: 1, [google("spanId")]: {}, [google("trace_sampled")]: "true" },
    { jsonPayload: { [google("trace")]: 1, [google("spanId")]: {}, [google("trace_sampled")]: "true" } },
  ],
  "an HTTP request is taken, its numbers as the API has them": [
    { httpRequest: { requestMethod: "GET", status: "200", responseSize: 12, latency: "0.5s", cacheHit: false }, a: 1 },
    {
      httpRequest: { requestMethod: "GET", status: 200, responseSize: "12", latency: "0.5s", cacheHit: false },
      jsonPayload: { a: 1 },
    },
  ],
  "what does not belong into an HTTP request stays behind": [
    { a: 1, httpRequest: { requestMethod: "GET", latency: 0.5, "x-id": "1" } },
    { httpRequest: { requestMethod: "GET" }, jsonPayload: { a: 1, httpRequest: { latency: 0.5, "x-id": "1" } } },
  ],
  "also when nothing else is left": [
    { httpRequest: { status: 200, extra: [1] }, severity: "INFO" },
    { httpRequest: { status: 200 }, jsonPayload: { httpRequest: { extra: [1] } } },
  ],
  "and beside a message": [
    { httpRequest: { status: 200, extra: 1 }, message: "m" },
    { httpRequest: { status: 200 }, jsonPayload: { message: "m", httpRequest: { extra: 1 } } },
  ],
  "an HTTP request that is none stays": [{ httpRequest: "GET /" }, { jsonPayload: { httpRequest: "GET /" } }],
  "special fields are taken at the top only": [
    { a: { severity: "ERROR", time: "2026-09-21T14:13:19Z" } },
    { jsonPayload: { a: { severity: "ERROR", time: "2026-09-21T14:13:19Z" } } },
  ],
  "others of Google's prefix stay": [{ [google("x")]: 1 }, { jsonPayload: { [google("x")]: 1 } }],
  "members around what is taken stay as they are": [
    '{"a":1, "severity":"ERROR" ,"b":1.10,"time":"2026-09-21T14:13:19Z","c":{"d":[]}  }',
    { severity: "ERROR", timestamp: "2026-09-21T14:13:19Z", jsonPayload: { a: 1, b: 1.1, c: { d: [] } } },
  ],
  "special fields are found in an unclean object too": [
    '{"severity":"ERROR","severity":"DEBUG","n":12345678901234567890}',
    { severity: "DEBUG", jsonPayload: { n: "12345678901234567890" } },
  ],
};

for (const [name, [message, expected]] of Object.entries(CASES))
  test(`special fields: ${name}`, async (context) => {
    assert.deepEqual(await entryOf(context, message), expected);
  });

test("what is very large stays in the payload, where there is room for it", async (context) => {
  const labels = { own: "x".repeat(17_000) };
  const trace = `projects/p/traces/${"1".repeat(10_000)}`;
  const message = { [google("trace")]: trace, [google("spanId")]: "s".repeat(10_000), [google("labels")]: labels };
  const { trace: taken, jsonPayload } = await entryOf(context, message);
  assert.equal(taken, trace);
  assert.deepEqual(jsonPayload, { [google("spanId")]: "s".repeat(10_000), [google("labels")]: labels });
});

test("labels of a message go as far as the API takes so many, together with the pod's", async (context) => {
  const fake = await startFake(context);
  const labels = (count: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`own${i}`, "v"]));
  const messages = [59, 60].map((count) => JSON.stringify({ [google("labels")]: labels(count) }));
  await ship(
    outputFor(context, fake.url),
    rowsOf(messages, { ...podOrigin, annotations: {}, namespaceLabels: {}, labels: {}, workload: "" }),
  );
  assert.deepEqual(
    fake.entries.map(({ labels = {} }) => Object.keys(labels).length),
    [60, 61],
  );
  const more = rowsOf([messages[1] as string], { ...podOrigin, labels: labels(10) });
  more.generation = { key: "another" };
  await ship(outputFor(context, fake.url), more);
  assert.ok(google("labels") in (fake.entries[2]?.jsonPayload ?? {}));
});

test("without a severity of its own an entry has its stream's", async (context) => {
  const fake = await startFake(context);
  const rows = rowsOf(["a", "{}", '{"severity":"nonsense"}', '{"severity":"debug"}']);
  rows.flags.fill(STDERR, 0, 4);
  await ship(outputFor(context, fake.url), rows);
  assert.deepEqual(
    fake.entries.map(({ severity }) => severity),
    ["ERROR", "ERROR", "ERROR", "DEBUG"],
  );
});
