/** Limits of entries and requests, and how requests come apart. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { DROPPED } from "../../agent/batch.ts";
import { rowsOf } from "../support/rows.ts";
import type { StoredEntry } from "../support/stackdriver.ts";
import {
  closed,
  LARGE,
  NEVER,
  outputFor,
  payloads,
  podOrigin,
  resource,
  ship,
  startFake,
} from "../support/stackdriver-output.ts";

test("a message over the size of an entry goes in parts that join to the whole, the same each time", async (context) => {
  const fake = await startFake(context);
  const made = outputFor(context, fake.url);
  const text = `${"é".repeat(150_001)}"\n${"😀".repeat(60_000)}end`;
  const json = JSON.stringify({ severity: "WARNING", message: "x".repeat(300_000), n: new Array(5000).fill(1) });
  const compact = `{"severity":"WARNING","n":[${"1,".repeat(30_000)}1]}`;
  const rows = rowsOf(["before", text, json, compact, "after"], podOrigin);
  const request = closed(made, [rows]);
  for (let i = 0; i < 2; i++) assert.equal((await made.send(request, NEVER)).kind, "delivered");
  const whole = (offset: string): { text: string; severities: Set<unknown>; ids: string[] } => {
    const parts = fake.entries.filter(({ insertId }) => insertId.includes(offset));
    parts.forEach(({ split, insertId }, index) => {
      const uid = insertId.slice(0, -7);
      assert.deepEqual(split, { uid, index, totalSplits: parts.length });
    });
    const ids = parts.map(({ insertId }) => insertId);
    assert.deepEqual(ids.toSorted(), ids);
    return {
      text: parts.map(({ textPayload }) => textPayload).join(""),
      severities: new Set(parts.map(({ severity }) => severity)),
      ids,
    };
  };
  assert.equal(whole("0100-").text, text);
  assert.equal(whole("0100-").ids.length, 3);
  const second = whole("0200-");
  assert.ok(second.text === json);
  assert.deepEqual([...second.severities], ["WARNING"]);
  // Small as text, but too large as a Struct.
  assert.equal(fake.entries.find(({ insertId }) => insertId.endsWith("0300"))?.textPayload, compact);
  assert.deepEqual(payloads(fake)[0], "before");
  assert.equal(payloads(fake).at(-1), "after");
});

test("with every limit reached at once an entry still goes in", async (context) => {
  const fake = await startFake(context);
  const map = (prefix: string): Record<string, string> =>
    Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${prefix}${i}.${"k".repeat(240)}`, "v".repeat(400)]));
  const huge = { ...podOrigin, labels: map("l"), annotations: map("a"), namespaceLabels: map("n") };
  const special = {
    "logging.googleapis.com/labels": { own: "x".repeat(15_000) },
    httpRequest: { requestUrl: "u".repeat(900) },
  };
  const at = 200 * 1024;
  const rows = rowsOf(
    [
      JSON.stringify({ ...special, message: "m".repeat(at - 17_000), x: 1 }),
      "t".repeat(at),
      '"'.repeat(at),
      "t".repeat(at + 1),
    ],
    huge,
  );
  await ship(outputFor(context, fake.url), rows);
  assert.equal(fake.entries.length, 5);
  const labelBytes = Buffer.byteLength(JSON.stringify(fake.entries[1]?.labels));
  assert.ok(labelBytes > 31 * 1024 && labelBytes <= 32 * 1024, String(labelBytes));
  assert.equal(fake.entries[0]?.labels?.own?.length, 15_000);
  assert.deepEqual(
    fake.entries.slice(3).map(({ textPayload }) => textPayload?.length),
    [at, 1],
  );
});

test("a request takes rows up to its limits, always one, and none of a row that does not fit", (context) => {
  const made = outputFor(context, "http://127.0.0.1:1");
  const rows = rowsOf(["a".repeat(5000), "b", "c", "d", "e"]);
  rows.flags[1] = DROPPED;
  for (const key of ["", "1"]) {
    const open = made.open(key);
    assert.equal(
      open.append(rows, 0, 1000, LARGE),
      2,
      "the first row goes in though too large; a dropped one is passed",
    );
    const { bytes } = open;
    assert.equal(open.append(rows, 2, bytes + 10, LARGE), 2);
    assert.deepEqual([open.bytes, open.rows], [bytes, 1], "nothing is left of the row that did not fit");
    assert.equal(open.append(rows, 2, LARGE, 3), 4);
    const request = open.close();
    const text = gunzipSync(request.body).toString();
    assert.deepEqual([request.rows, request.bytes], [3, Buffer.byteLength(text)]);
    assert.equal((JSON.parse(text) as { entries: unknown[] }).entries.length, 3);
  }
});

test("a request stays below what the API takes, whatever batch.maxBytes says", async (context) => {
  const fake = await startFake(context);
  const made = outputFor(context, fake.url);
  const rows = rowsOf(Array.from({ length: 120 }, () => "x".repeat(100_000)));
  const open = made.open("");
  const next = open.append(rows, 0, LARGE, LARGE);
  assert.ok(next > 80 && next < 100, String(next));
  assert.equal((await made.send(open.close(), NEVER)).kind, "delivered");
});

test("pick keeps just these rows with all of their parts, and entry is a request with one", async (context) => {
  for (const compression of ["gzip", "none"] as const)
    for (const key of ["", "1"]) {
      const fake = await startFake(context);
      const made = outputFor(context, fake.url, { compression });
      const long = "x".repeat(500_000);
      const request = closed(made, [rowsOf(["a", long, "c", long, "e"], podOrigin)], key);
      const picked = made.pick(request, [1, 2, 4]);
      assert.equal(picked.rows, 3);
      assert.equal((await made.send(picked, NEVER)).kind, "delivered");
      assert.equal(payloads(fake).join("|").replaceAll("x|x", "xx"), `${long}|c|e`);
      const { entries, resource: given = entries[0]?.resource } = JSON.parse(made.entry(request, 2)) as {
        entries: StoredEntry[];
        resource?: unknown;
      };
      assert.deepEqual([entries.length, entries[0]?.textPayload, given], [1, "c", resource]);
      assert.equal(made.entry(picked, 1), made.entry(request, 2));
    }
});
