/** What processors made of a record, as Cloud Logging gets it: severity, fields, and ids of joined messages. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { JOINED, type Rows, SEVERITIES, STDERR, UNPARSED } from "../../agent/batch.ts";
import { JsonFormat } from "../../agent/process/json.ts";
import { severityOfValue } from "../../agent/process/severity.ts";
import { Structured } from "../../agent/process/structured.ts";
import { giveFields } from "../support/fields.ts";
import { rowsOf } from "../support/rows.ts";
import type { StoredEntry } from "../support/stackdriver.ts";
import {
  closed,
  NEVER,
  outputFor,
  payloads,
  podOrigin,
  type StackdriverVariations,
  ship,
  startFake,
} from "../support/stackdriver-output.ts";

type Severity = (typeof SEVERITIES)[number];
type Members = Readonly<Record<string, unknown>>;

const google = (name: string): string => `logging.googleapis.com/${name}`;
const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const LABELS = { "k8s-pod/app": "forged" };

function rowOf(message: string, fields: Members = {}, severity: Severity = ""): Rows {
  const rows = rowsOf([message], podOrigin);
  if (Object.keys(fields).length > 0) giveFields(rows, 0, fields);
  if (severity !== "") rows.severities()[0] = SEVERITIES.indexOf(severity);
  return rows;
}

async function entriesOf(context: TestContext, rows: Rows, more: StackdriverVariations = {}): Promise<StoredEntry[]> {
  const fake = await startFake(context);
  await ship(outputFor(context, fake.url, more), rows);
  return fake.entries;
}

/** What an entry says beyond resource, labels, log and id. */
async function entryOf(context: TestContext, rows: Rows, more: StackdriverVariations = {}): Promise<object> {
  const entries = await entriesOf(context, rows, more);
  assert.equal(entries.length, 1);
  const { logName: _, resource: __, labels: ___, insertId: ____, ...entry } = entries[0] as StoredEntry;
  return entry;
}

test("each severity has the API's name, and none has its stream's", async (context) => {
  const rows = rowsOf(SEVERITIES.map((name) => `it is ${name}`));
  rows.flags.fill(STDERR, 0, rows.rows);
  for (let row = 0; row < rows.rows; row++) rows.severities()[row] = row;
  assert.deepEqual(
    (await entriesOf(context, rows)).map(({ severity }) => severity),
    ["ERROR", "DEBUG", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY"],
  );
});

/** The message, its fields, the severity that was found, and the entry's. */
const SEVERITY: Readonly<Record<string, readonly [string, Members, Severity, string]>> = {
  "the message's own special field wins": ['{"severity":"ALERT","a":1}', {}, "debug", "ALERT"],
  "a special field that is none does not": ['{"severity":"spicy"}', {}, "debug", "DEBUG"],
  "what was found wins over a guess from a level": ['{"level":"error"}', {}, "debug", "DEBUG"],
  "a level counts where nothing was found": ['{"level":"error"}', {}, "", "ERROR"],
  "among fields a special field wins too": ["x", { severity: "ALERT", a: 1 }, "debug", "ALERT"],
  "so does what was found over a field level": ["x", { level: 50 }, "debug", "DEBUG"],
  "a field level counts where nothing was found": ["x", { level: 50 }, "", "ERROR"],
  "fields that say nothing leave the stream's": ["x", { a: 1 }, "", "INFO"],
};

for (const [name, [message, fields, found, expected]] of Object.entries(SEVERITY))
  test(`severity: ${name}`, async (context) => {
    const [entry] = await entriesOf(context, rowOf(message, fields, found));
    assert.equal(entry?.severity, expected);
  });

const OWN = { timestamp: "2026-09-21T14:13:20.123456789Z", severity: "INFO" };

/** The message, its fields, and what the entry has beyond, or else than OWN. */
const FIELDS: Readonly<Record<string, readonly [string, Members, Members]>> = {
  "they stand beside the message": [
    'pa"id\n',
    { order: 7, "a.b": ["é", {}], 'q"\\': null },
    { jsonPayload: { message: 'pa"id\n', order: 7, "a.b": ["é", {}], 'q"\\': null } },
  ],
  "a message that is JSON stays one text": [
    '{"severity":"ALERT"}',
    { a: 1 },
    {
      jsonPayload: { message: '{"severity":"ALERT"}', a: 1 },
    },
  ],
  "an empty message is kept": ["", { a: 1 }, { jsonPayload: { message: "", a: 1 } }],
  "a field of the name message stands in its place": [
    "x",
    { a: 1, message: { b: 2 } },
    {
      jsonPayload: { a: 1, message: { b: 2 } },
    },
  ],
  "special fields leave the payload": [
    "x",
    { [google("trace")]: TRACE, a: 1, httpRequest: { status: 200, extra: 1 }, severity: "warn" },
    {
      trace: `projects/my-project/traces/${TRACE}`,
      httpRequest: { status: 200 },
      severity: "WARNING",
      jsonPayload: { message: "x", a: 1, httpRequest: { extra: 1 } },
    },
  ],
  "with special fields only the message is text": [
    'x"y',
    { [google("spanId")]: "000000000000004a" },
    { spanId: "000000000000004a", textPayload: 'x"y' },
  ],
  "labels that forge an origin stay": [
    "x",
    { [google("labels")]: LABELS },
    {
      jsonPayload: { message: "x", [google("labels")]: LABELS },
    },
  ],
  "times stay, as none was trusted": [
    "x",
    {
      time: "2026-09-21T14:13:19Z",
      timestamp: { seconds: 1_790_000_001, nanos: 0 },
      timestampSeconds: 1_790_000_001,
      timestampNanos: 0,
    },
    {
      jsonPayload: {
        message: "x",
        time: "2026-09-21T14:13:19Z",
        timestamp: { seconds: 1_790_000_001, nanos: 0 },
        timestampSeconds: 1_790_000_001,
        timestampNanos: 0,
      },
    },
  ],
};

for (const [name, [message, fields, expected]] of Object.entries(FIELDS))
  test(`fields: ${name}`, async (context) => {
    assert.deepEqual(await entryOf(context, rowOf(message, fields)), { ...OWN, ...expected });
  });

test("fields are sent without structured too, where no member is special", async (context) => {
  const fields = { severity: "ALERT", [google("spanId")]: "1" };
  const entry = await entryOf(context, rowOf("x", fields, "debug"), { structured: false });
  assert.deepEqual(entry, { ...OWN, severity: "DEBUG", jsonPayload: { message: "x", ...fields } });
});

test("a line that fits no format has its fields as well", async (context) => {
  const rows = rowOf("no line", { team: "a" });
  rows.flags[0] = UNPARSED;
  rows.extraOf(0).error = "no time";
  const [entry] = await entriesOf(context, rows);
  assert.deepEqual(entry?.jsonPayload, { message: "no line", team: "a" });
  assert.equal(entry?.labels?.["tailrace.io/error"], "no time");
});

test("what the processor json makes of a message arrives with its bytes, its severity, and nothing lost", async (context) => {
  const rows = rowsOf(
    [
      '{"level":40,"msg":"paid","price":1.10,"message":"other","logging.googleapis.com/spanId":"1","kubernetes":{}}',
      "no",
    ],
    podOrigin,
  );
  const options = { into: "root", timeKey: "", messageKey: "msg", severityKey: "level", keepMessage: false };
  new Structured("json", new JsonFormat(), options, severityOfValue, undefined).process(rows);
  const made = outputFor(context, "http://127.0.0.1:1", { compression: "none" });
  const { entries } = JSON.parse(closed(made, [rows]).body.toString()) as { entries: StoredEntry[] };
  assert.deepEqual(
    entries.map(({ severity, spanId, textPayload, jsonPayload }) => [severity, spanId, textPayload ?? jsonPayload]),
    [
      ["WARNING", "1", { message: "paid", price: 1.1, fields: { message: "other", kubernetes: {} } }],
      ["INFO", undefined, "no"],
    ],
  );
});

test("rows with fields and rows without go in one request, in order", async (context) => {
  const rows = rowsOf(["plain", "with", '{"a":1}', "again"], podOrigin);
  giveFields(rows, 1, { b: 1 });
  giveFields(rows, 3, { c: 1 });
  assert.deepEqual(
    (await entriesOf(context, rows)).map(({ textPayload, jsonPayload }) => textPayload ?? jsonPayload),
    ["plain", { message: "with", b: 1 }, { a: 1 }, { message: "again", c: 1 }],
  );
});

test("what a field has as JSON is copied as it stands; only what the API can't take is put right", async (context) => {
  const rows = rowOf("x", { a: "1.10", b: "12345678901234567890" });
  const { fields, bytes } = rows;
  assert.ok(fields !== undefined);
  // Without the quotes: numbers as an app wrote them.
  for (const member of [0, 1]) fields.setValue(member, fields.valueFrom(member) + 1, fields.valueTo(member) - 1);
  assert.equal(fields.valueText(bytes, 1), "12345678901234567890");
  const made = outputFor(context, "http://127.0.0.1:1", { compression: "none" });
  const text = closed(made, [rows]).body.toString();
  assert.ok(text.includes('"jsonPayload":{"message":"x","a":1.10,"b":"12345678901234567890"}'), text);
});

test("any message with any fields arrives as JSON.parse has them, and no entry is refused", async (context) => {
  const fake = await startFake(context);
  const made = outputFor(context, fake.url);
  const fields = fc.dictionary(
    fc.string({ unit: "binary" }).filter((name) => name !== "message"),
    fc.jsonValue({ stringUnit: "binary" }),
    { minKeys: 1 },
  );
  const record = fc.record({ message: fc.string({ unit: "binary" }), fields });
  await fc.assert(
    fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 10 }), async (records) => {
      fake.entries.length = 0;
      const rows = rowsOf(records.map(({ message }) => message));
      records.forEach(({ fields }, row) => {
        giveFields(rows, row, fields);
      });
      // A generation of its own, or it would be known from before.
      rows.generation = { key: `g${fake.requests.length}` };
      await ship(made, rows);
      assert.equal(fake.entries.length, records.length);
      for (const [i, { jsonPayload }] of fake.entries.entries()) {
        const { message, fields } = records[i] as (typeof records)[number];
        const whole = `{"message":${JSON.stringify(message)},${JSON.stringify(fields).slice(1)}`;
        assert.deepEqual(doubles(jsonPayload), doubles(JSON.parse(whole)));
      }
    }),
    { numRuns: 60 },
  );
});

/** Whole numbers that a double does not hold arrive as texts. */
function doubles(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, item: unknown) =>
      typeof item === "number" && Number.isInteger(item) && !Number.isSafeInteger(item) ? "an integer" : item,
    ).replace(/"-?\d{16,}"/g, '"an integer"'),
  );
}

test("fields beyond the size of an entry, or nested too deeply, arrive as the text of the whole, with its severity", async (context) => {
  const fake = await startFake(context);
  const made = outputFor(context, fake.url);
  const deep = JSON.parse(`${"[".repeat(40)}${"]".repeat(40)}`) as unknown;
  const wide = new Array(30_000).fill(1);
  const cases: readonly (readonly [string, Members])[] = [
    [`"é${"m".repeat(300_000)}`, { team: "a" }],
    ["short", { long: "é".repeat(150_000) }],
    ["wide", { wide }],
    ["deep", { deep, team: "a" }],
  ];
  const rows = rowsOf(
    cases.map(([message]) => message),
    podOrigin,
  );
  cases.forEach(([, fields], row) => {
    giveFields(rows, row, fields);
    rows.severities()[row] = SEVERITIES.indexOf("warn");
  });
  const request = closed(made, [rows]);
  for (let i = 0; i < 2; i++) assert.equal((await made.send(request, NEVER)).kind, "delivered");
  cases.forEach(([message, fields], row) => {
    const parts = fake.entries.filter(({ insertId }) => insertId.includes(`-${String(row * 100).padStart(16, "0")}`));
    const text = parts.map(({ textPayload }) => textPayload).join("");
    assert.ok(text === JSON.stringify({ message, ...fields }), message.slice(0, 10));
    assert.deepEqual(new Set(parts.map(({ severity }) => severity)), new Set(["WARNING"]));
    assert.equal(parts.length, row < 2 ? 2 : 1);
  });
});

test("a large message with many fields at the limit of an entry goes in whole", async (context) => {
  const fake = await startFake(context);
  const fields = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`field${i}`, i]));
  const rows = rowOf("m".repeat(160_000), fields);
  await ship(outputFor(context, fake.url), rows);
  assert.deepEqual(payloads(fake), [{ message: "m".repeat(160_000), ...fields }]);
});

test("a joined message that grew is another entry, and one that is read again is the same", async (context) => {
  const fake = await startFake(context);
  const made = outputFor(context, fake.url);
  const joined = (message: string): Rows => {
    const rows = rowOf(message, { team: "a" });
    rows.flags[0] = JOINED;
    return rows;
  };
  const long = "x".repeat(250_000);
  for (const message of ["a", "a", "a\nb", "a\nb", long, long]) await ship(made, joined(message));
  const id = "1790000000123456789-0123456789abcdef-0000000000000000";
  assert.deepEqual(
    fake.entries.map(({ insertId }) => insertId),
    [`${id}-41`, `${id}-43`, `${id}-250040-000000`, `${id}-250040-000001`],
  );
});
