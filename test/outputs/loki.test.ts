/** Pushes as the Loki output makes them, and as a strict Loki takes them. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { type Batch, DROPPED, STDERR } from "../../agent/batch.ts";
import type { LokiOutput } from "../../outputs/loki.ts";
import type { ClosedRequest, Piece } from "../../outputs/output.ts";
import { decompressSnappy } from "../../outputs/snappy.ts";
import { letters, makeLane, quick, Settled } from "../support/lane.ts";
import { type FakeOptions, type LokiFake, startLoki } from "../support/loki.ts";
import { type LokiVariations, lokiOutput } from "../support/loki-output.ts";
import { keepLog } from "../support/quiet-log.ts";
import { origin, rowsOf } from "../support/rows.ts";

const NEVER = new AbortController().signal;
const LARGE = 1e9;
const ENCODINGS = ["protobuf", "json"] as const;

async function start(context: TestContext, options: FakeOptions = {}): Promise<LokiFake> {
  const fake = await startLoki(options);
  context.after(() => fake.close());
  return fake;
}

function output(context: TestContext, url: string, more: LokiVariations = {}): LokiOutput {
  const made = lokiOutput(url, more);
  context.after(() => made.close());
  return made;
}

function pieces(made: LokiOutput, ...batches: Batch[]): readonly Piece[] {
  const open = made.open();
  for (const batch of batches) assert.equal(open.append(batch, 0, LARGE, LARGE), batch.rows);
  return open.closeApart?.() ?? [];
}

async function deliver(made: LokiOutput, ...batches: Batch[]): Promise<void> {
  for (const { closed } of pieces(made, ...batches)) assert.equal((await made.send(closed, NEVER)).kind, "delivered");
}

const only = (made: LokiOutput, ...batches: Batch[]): ClosedRequest => {
  const [piece, ...more] = pieces(made, ...batches);
  assert.ok(piece !== undefined && more.length === 0);
  return piece.closed;
};

test("a push is, byte for byte, what Loki's own client would send", () => {
  const made = lokiOutput("http://127.0.0.1:1", {
    labels: { namespace: "{namespace}", app: "web" },
    structuredMetadata: { pod: "web-1" },
  });
  const rows = rowsOf(["hello é"], { ...origin, namespace: "prod" });
  rows.seconds[0] = 1_700_000_000;
  assert.equal(
    decompressSnappy(only(made, rows).body).toString("hex"),
    "0a460a1d7b6170703d22776562222c206e616d6573706163653d2270726f64227d12250a0b0880e2cfaa0610959aef3a" +
      "120868656c6c6f20c3a91a0c0a03706f6412057765622d31",
  );
});

for (const encoding of ENCODINGS) {
  test(`${encoding}: any line, time and offset arrives as it is`, async (context) => {
    const fake = await start(context);
    fake.limits().maxAgeSeconds = 2 ** 42;
    fake.now = 2 ** 40;
    fake.windowSeconds = 2 ** 42;
    const made = output(context, fake.url, {
      encoding,
      structuredMetadata: { offset: "{offset}", twice: "{pod}/{offset}" },
    });
    const row = fc.record({
      text: fc.string({ unit: "binary", maxLength: 200 }),
      seconds: fc.oneof(
        fc.integer({ min: 0, max: 2 ** 40 }),
        fc.constantFrom(0, 127, 128, 2 ** 31 - 1, 2 ** 31, -1, -(2 ** 40)),
      ),
      nanos: fc.integer({ min: 0, max: 999_999_999 }),
      offset: fc.maxSafeNat(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 20 }), async (list) => {
        const before = fake.stored.length;
        const run = `run-${before}`;
        const rows = rowsOf(
          list.map(({ text }) => text),
          { ...origin, container: run },
        );
        for (const [i, { seconds, nanos, offset }] of list.entries()) {
          rows.seconds[i] = seconds;
          rows.nanos[i] = nanos;
          rows.offset[i] = offset;
        }
        const request = only(made, rows);
        assert.equal((await made.send(request, NEVER)).kind, "delivered");
        const expected = list.map(({ text, seconds, nanos, offset }) => ({
          time: BigInt(seconds) * 1_000_000_000n + BigInt(nanos),
          line: text,
          metadata: { offset: String(offset), twice: `web-0/${offset}` },
        }));
        const unique = new Map(
          expected.map((entry) => [`${entry.time} ${entry.line} ${entry.metadata.offset}`, entry]),
        );
        assert.deepEqual(
          fake.stored.slice(before).map(({ time, line, metadata }) => ({ time, line, metadata })),
          [...unique.values()],
        );
        const value = JSON.parse(made.entry(request, list.length - 1)) as { streams: [{ values: [[string, string]] }] };
        assert.deepEqual(value.streams[0].values[0].slice(0, 2), [
          String(expected.at(-1)?.time),
          expected.at(-1)?.line,
        ]);
      }),
      { numRuns: 60 },
    );
  });

  test(`${encoding}: pick keeps just these rows, and entry shows one as a push of its own`, async (context) => {
    const fake = await start(context);
    const made = output(context, fake.url, { encoding });
    const rows = rowsOf(["a", "b\n", "c", "d"]);
    rows.flags[1] = STDERR;
    rows.flags[2] = STDERR;
    const request = made.open();
    request.append(rows, 0, LARGE, LARGE);
    const closed = request.close();
    const lines = ["a", "d", "b\n", "c"];
    lines.forEach((line, row) => {
      const { streams } = JSON.parse(made.entry(closed, row));
      assert.equal(streams[0].values[0][1], line);
      assert.equal(streams[0].stream.stream, row < 2 ? "stdout" : "stderr");
      assert.deepEqual(Object.keys(streams[0].values[0][2]), ["pod", "offset"]);
    });
    for (const picked of [made.pick(closed, [1, 3]), made.pick(made.pick(closed, [1, 2, 3]), [0, 2])]) {
      assert.deepEqual([picked.rows, picked.sequences?.length], [2, 2]);
      assert.deepEqual(
        [0, 1].map((row) => JSON.parse(made.entry(picked, row)).streams[0].values[0][1]),
        ["d", "c"],
      );
    }
    assert.equal((await made.send(made.pick(closed, [2]), NEVER)).kind, "delivered");
    assert.deepEqual(fake.lines(), ["b\n"]);
  });
}

test("equal lines of one nanosecond are all kept, and a repeat is recognised, also by another run", async (context) => {
  const fake = await start(context);
  const rows = rowsOf(["same", "same", "same"]);
  rows.seconds.fill(1_790_000_000);
  for (let run = 0; run < 2; run++) await deliver(output(context, fake.url), rows);
  assert.deepEqual(fake.lines(), ["same", "same", "same"]);
  assert.deepEqual(
    fake.stored.map(({ metadata }) => metadata.offset),
    ["0", "100", "200"],
  );
});

test("labels are the container's, in order, whatever their values are, and at most 2048 bytes", async (context) => {
  const fake = await start(context);
  const team = `quote " \\ \n\t\x00\x7f é😀${"é".repeat(2000)}`;
  const made = output(context, fake.url, {
    labels: { team: "{label.team}", app: "{app}", missing: "{label.none}", node: "{node}", lone: "{label.lone}" },
  });
  await deliver(
    made,
    rowsOf(["x"], { ...origin, labels: { team, "app.kubernetes.io/name": "shop", lone: "a\ud800b" } }),
  );
  const labels = fake.stored[0]?.labels ?? {};
  assert.deepEqual(Object.keys(labels), ["app", "lone", "missing", "node", "team"]);
  assert.deepEqual([labels.app, labels.missing, labels.node, labels.lone], ["shop", "unknown", "node-a", "a\ufffdb"]);
  assert.ok(team.startsWith(labels.team ?? "?"));
  assert.ok(Buffer.byteLength(labels.team ?? "") > 2044 && Buffer.byteLength(labels.team ?? "") <= 2048);
});

test("tenants have requests of their own and names that a tenant may have", async (context) => {
  const fake = await start(context, { tenants: true });
  const made = output(context, fake.url, { tenant: "{label.team}" });
  const teams = ["shop", "a/b|c d", "..", ".", "x".repeat(200), "é"];
  const { lane } = makeLane(context, made);
  for (const team of teams) lane.append(rowsOf([`from ${team}`], { ...origin, labels: { team } }), new Settled());
  lane.append(rowsOf(["from nobody"]), new Settled());
  await lane.flush();
  const names = ["shop", "a_b_c_d", "__", "_", "x".repeat(150)];
  for (const [i, name] of names.entries()) assert.ok(fake.lines(name).includes(`from ${teams[i]}`), name);
  assert.deepEqual(fake.lines("unknown"), ["from nobody"]);
  assert.deepEqual(fake.lines("_").toSorted(), ["from .", "from é"]);
});

test("a tenant by the record's own time or stream is told row by row", async (context) => {
  const fake = await start(context, { tenants: true });
  const made = output(context, fake.url, { tenant: "{namespace}-{stream}" });
  const rows = rowsOf(["out 1", "err 1", "out 2"]);
  rows.flags[1] = STDERR;
  const receipt = new Settled();
  const { lane } = makeLane(context, made);
  lane.append(rows, receipt);
  await lane.flush();
  assert.deepEqual([fake.lines("shop-stdout"), fake.lines("shop-stderr")], [["out 1", "out 2"], ["err 1"]]);
  assert.deepEqual([receipt.shippedRows, receipt.bytes], [3, 3 * 45]);
});

test("a label with too many values becomes structured metadata, and that is said once", async (context) => {
  const fake = await start(context);
  const { log, lines } = keepLog();
  const made = output(context, fake.url, { labels: { app: "{app}", request: "{label.request}" }, log });
  for (let i = 0; i < 520; i++)
    await deliver(made, rowsOf([`line ${i}`], { ...origin, labels: { request: `id-${i}` } }));
  assert.equal(new Set(fake.stored.map(({ labels }) => JSON.stringify(labels))).size, 501);
  const last = fake.stored.at(-1);
  assert.deepEqual(last?.labels, { app: "app" });
  assert.deepEqual(last?.metadata, { pod: "web-0", offset: "0", request: "id-519" });
  assert.equal(fake.lines().length, 520);
  const told = lines.filter(({ level }) => level === "warn");
  assert.deepEqual(
    told.map(({ label, output: name }) => [label, name]),
    [["request", "loki"]],
  );
});

test("of labels that all explode one stays, as a stream must have one", async (context) => {
  const fake = await start(context);
  const made = output(context, fake.url, { labels: { id: "{label.id}" } });
  await deliver(made, ...Array.from({ length: 510 }, (_, i) => rowsOf(["x"], { ...origin, labels: { id: `${i}` } })));
  assert.equal(fake.lines().length, 510);
});

test("labels that differ from row to row make streams of their own", async (context) => {
  const fake = await start(context);
  const made = output(context, fake.url, { labels: { app: "{app}", hour: "{HH}" } });
  const rows = rowsOf(["a", "b", "c"]);
  rows.seconds[1] = (rows.seconds[0] as number) + 3600;
  await deliver(made, rows);
  assert.deepEqual(fake.stored.map(({ line, labels }) => [line, labels.hour]).toSorted(), [
    ["a", "14"],
    ["b", "15"],
    ["c", "14"],
  ]);
});

test("a request takes rows up to its limits, always one, and none of a row that does not fit", () => {
  for (const encoding of ENCODINGS) {
    const made = lokiOutput("http://127.0.0.1:1", { encoding });
    const rows = rowsOf(["a".repeat(5000), "b", "c", "d", "e"]);
    rows.flags[1] = DROPPED;
    const open = made.open();
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
    assert.equal(request.rows, 3);
    assert.ok(Math.abs(request.bytes - bytes) < 200);
  }
});

test("the push goes where the endpoint says, with the query that it has", async (context) => {
  const fake = await start(context);
  for (const [endpoint, path] of [
    ["", "/loki/api/v1/push"],
    ["/insert/loki/api/v1/push?disable_message_parsing=1", "/insert/loki/api/v1/push?disable_message_parsing=1"],
    ["/loki/api/v1/push", "/loki/api/v1/push"],
  ]) {
    const made = output(context, `${fake.url}${endpoint}`);
    await made.send(only(made, rowsOf(["x"])), NEVER);
    assert.equal(fake.requests.at(-1)?.url, path);
  }
  const headers = fake.requests[0]?.headers;
  assert.deepEqual(
    [headers?.["content-type"], headers?.["content-encoding"], headers?.["x-scope-orgid"]],
    ["application/x-protobuf", "snappy", undefined],
  );
});

test("of lines that Loki never takes only those are dead letters, however many they are", async (context) => {
  const fake = await start(context);
  const texts = Array.from({ length: 200 }, (_, i) => `line ${i}`);
  texts[7] = "x".repeat(300_000);
  const rows = rowsOf(texts);
  for (let row = 100; row < 150; row++) rows.seconds[row] = fake.now - 8 * 86_400 + row;
  rows.seconds[160] = fake.now + 7200;
  const receipt = new Settled();
  const { lane, folder, events } = makeLane(
    context,
    output(context, fake.url),
    { ...quick, batch: { maxBytes: 1 << 20, maxRecords: 1000, maxWait: 1 } },
    1 << 22,
  );
  lane.append(rows, receipt);
  await lane.flush();
  assert.deepEqual([receipt.shippedRows, receipt.droppedRows], [148, 52]);
  assert.equal(fake.lines().length, 148);
  assert.deepEqual(Object.fromEntries(events.dropped), { line_too_long: 1, too_old: 50, too_new: 1 });
  assert.ok(fake.requests.length < 8, `${fake.requests.length} requests`);
  assert.equal(letters(folder).length, 52);
});
