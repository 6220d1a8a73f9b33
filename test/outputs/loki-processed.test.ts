/** What processors made of a record, as Loki gets it: where templates name a severity or fields. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Rows, SEVERITIES } from "../../agent/batch.ts";
import { giveFields } from "../support/fields.ts";
import { makeLane, Settled } from "../support/lane.ts";
import { type FakeOptions, type LokiFake, type Stored, startLoki } from "../support/loki.ts";
import { type LokiVariations, lokiOutput } from "../support/loki-output.ts";
import { rowsOf } from "../support/rows.ts";

const ENCODINGS = ["protobuf", "json"] as const;

/** A warning with fields, one with others, and a plain line. */
function batch(): Rows {
  const rows = rowsOf(["first", "second", "plain"]);
  rows.severities()[0] = SEVERITIES.indexOf("warn");
  rows.severities()[1] = SEVERITIES.indexOf("error");
  giveFields(rows, 0, { org: "a/b", order: 1.5, user: { name: 'an"n é' }, lone: "a\ud800b" });
  giveFields(rows, 1, { org: "c", order: [1, { x: null }], user: { name: "" } });
  return rows;
}

async function deliver(
  context: TestContext,
  rows: Rows,
  more: LokiVariations,
  options: FakeOptions = {},
): Promise<LokiFake> {
  const fake = await startLoki(options);
  context.after(() => fake.close());
  const made = lokiOutput(fake.url, more);
  context.after(() => made.close());
  const receipt = new Settled();
  const { lane } = makeLane(context, made);
  lane.append(rows, receipt);
  await lane.flush();
  assert.equal(receipt.shippedRows, rows.rows);
  return fake;
}

/** By line, whatever push it came in. */
function byLine<T>({ stored }: LokiFake, what: (stored: Stored) => T): Readonly<Record<string, T>> {
  return Object.fromEntries(stored.map((entry) => [entry.line, what(entry)]));
}

for (const encoding of ENCODINGS) {
  test(`${encoding}: severity and fields as labels make streams of their own`, async (context) => {
    const labels = { level: "{severity}", order: "{field.order}", user: "{field.user.name}" };
    const fake = await deliver(context, batch(), { encoding, labels, structuredMetadata: {} });
    assert.deepEqual(
      byLine(fake, ({ labels }) => labels),
      {
        first: { level: "warn", order: "1.5", user: 'an"n é' },
        second: { level: "error", order: '[1,{"x":null}]', user: "unknown" },
        plain: { level: "unknown", order: "unknown", user: "unknown" },
      },
    );
  });

  test(`${encoding}: severity and fields as structured metadata are each row's own`, async (context) => {
    const structuredMetadata = { level: "{severity}", user: "{pod}/{field.user.name}", lone: "{field.lone}" };
    const fake = await deliver(context, batch(), { encoding, labels: { app: "{app}" }, structuredMetadata });
    assert.deepEqual(
      byLine(fake, ({ metadata }) => metadata),
      {
        first: { level: "warn", user: 'web-0/an"n é', lone: "a\ufffdb" },
        second: { level: "error", user: "web-0/unknown", lone: "unknown" },
        plain: { level: "unknown", user: "web-0/unknown", lone: "unknown" },
      },
    );
    assert.equal(new Set(fake.stored.map(({ labels }) => JSON.stringify(labels))).size, 1);
  });
}

test("severity and fields as a tenant are told row by row, in names that a tenant may have", async (context) => {
  const tenant = "{field.org}-{severity}";
  const fake = await deliver(context, batch(), { tenant }, { tenants: true });
  assert.deepEqual(
    byLine(fake, ({ tenant }) => tenant),
    { first: "a_b-warn", second: "c-error", plain: "unknown-unknown" },
  );
});

test("values of fields that hold line ends are not mixed up with those of other labels", async (context) => {
  const rows = rowsOf(["one", "two"]);
  giveFields(rows, 0, { a: "x\ny", b: "z" });
  giveFields(rows, 1, { a: "x", b: "y\nz" });
  const fake = await deliver(context, rows, { labels: { a: "{field.a}", b: "{field.b}" }, structuredMetadata: {} });
  assert.deepEqual(
    byLine(fake, ({ labels }) => labels),
    { one: { a: "x\ny", b: "z" }, two: { a: "x", b: "y\nz" } },
  );
});
