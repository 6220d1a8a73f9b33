/** No loss behind a 204: Loki answers with the outcome of a push's last stream, so what may be refused travels apart. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import type { Rows } from "../../agent/batch.ts";
import type { Clock } from "../../agent/clock.ts";
import type { LaneOptions } from "../../outputs/lane.ts";
import type { Piece } from "../../outputs/output.ts";
import { letters, makeLane, Settled } from "../support/lane.ts";
import { type LokiFake, startLoki } from "../support/loki.ts";
import { lokiOutput } from "../support/loki-output.ts";
import { until } from "../support/program.ts";
import { origin, rowsOf } from "../support/rows.ts";

const NEVER = new AbortController().signal;
const BEGIN = 1_790_000_000;
const options: LaneOptions = {
  batch: { maxBytes: 1 << 20, maxRecords: 20_000, maxWait: 1 },
  request: { timeout: 10_000, concurrency: 2 },
  retry: { initialDelay: 1, maxDelay: 2 },
};

async function start(context: TestContext): Promise<LokiFake> {
  const fake = await startLoki();
  context.after(() => fake.close());
  return fake;
}

/** Lines of one container, from a time on. */
function lines(app: string, from: number, texts: readonly string[]): Rows {
  const rows = rowsOf(texts, { ...origin, container: app });
  for (let row = 0; row < rows.rows; row++) {
    rows.seconds[row] = from + row;
    rows.offset[row] = (from + row - BEGIN) * 1000 + 1_000_000;
  }
  return rows;
}

/** How many streams each push had, from a given one on. */
const streams = (fake: LokiFake, from = 0): number[] => fake.pushes.slice(from).map(({ length }) => length);

test("streams that are new go each in a push of its own, then they share", async (context) => {
  const fake = await start(context);
  const batch = { ...options.batch, maxWait: 60_000 };
  const { lane } = makeLane(context, lokiOutput(fake.url), { ...options, batch });
  for (let round = 0; round < 3; round++) {
    for (const app of ["a", "b", "c"]) lane.append(lines(app, BEGIN + round * 10, ["x"]), new Settled());
    await lane.flush();
  }
  assert.deepEqual(streams(fake).slice(0, 3), [1, 1, 1]);
  assert.deepEqual(streams(fake, 3), [3, 3]);
});

test("the limit of streams loses nothing of those that are refused", async (context) => {
  const fake = await start(context);
  fake.limits().maxStreams = 2;
  const { lane, folder } = makeLane(context, lokiOutput(fake.url), options);
  const receipts = ["a", "b", "c", "d"].map((app) => {
    const receipt = new Settled();
    lane.append(lines(app, BEGIN, ["1", "2"]), receipt);
    return receipt;
  });
  await until(
    () => fake.stored.length === 4 && fake.requests.length > 8,
    "two are stored, two refused again and again",
  );
  assert.deepEqual(
    receipts.map(({ shippedRows }) => shippedRows),
    [2, 2, 0, 0],
  );
  fake.limits().maxStreams = 10;
  await lane.flush();
  assert.deepEqual(
    receipts.map(({ shippedRows }) => shippedRows),
    [2, 2, 2, 2],
  );
  assert.equal(fake.stored.length, 8);
  assert.deepEqual(letters(folder), []);
});

test("one hot stream over its rate does not hold up quiet ones, and loses nothing", async (context) => {
  const fake = await start(context);
  const { lane, folder } = makeLane(context, lokiOutput(fake.url), options);
  for (const app of ["hot", "quiet"]) lane.append(lines(app, BEGIN, ["first"]), new Settled());
  await lane.flush();
  fake.limits().streamBytes = 100_000;
  const receipt = new Settled();
  const hot = Array.from({ length: 2000 }, (_, i) => `hot ${i} ${"x".repeat(90)}`);
  lane.append(lines("hot", BEGIN + 10, hot), receipt);
  lane.append(lines("quiet", BEGIN + 10, ["second"]), new Settled());
  await until(() => fake.lines().includes("second") && lane.state === "retrying", "the quiet one goes on");
  lane.append(lines("quiet", BEGIN + 20, ["third"]), new Settled());
  await until(() => fake.lines().includes("third"), "and on");
  assert.ok(receipt.shippedRows < 2000);
  const flushed = lane.flush();
  await until(() => {
    fake.refill();
    return receipt.shippedRows === 2000;
  }, "the hot one gets through as it may");
  await flushed;
  assert.deepEqual(
    fake
      .lines()
      .filter((line) => line.startsWith("hot"))
      .toSorted(),
    hot.toSorted(),
  );
  assert.deepEqual(letters(folder), []);
});

for (const [what, toldBytes] of [
  ["and named", 20_000],
  ["but a larger rate is named", 1_000_000],
] as const)
  test(`a burst that is smaller than a push, ${what}, is met by smaller pushes`, async (context) => {
    const fake = await start(context);
    fake.limits().tenantBytes = 20_000;
    fake.limits().toldBytes = toldBytes;
    const { lane, folder } = makeLane(context, lokiOutput(fake.url), options);
    const receipt = new Settled();
    const all = Array.from({ length: 1000 }, (_, i) => `${i} ${"x".repeat(90)}`);
    lane.append(lines("a", BEGIN, all), receipt);
    const flushed = lane.flush();
    await until(() => {
      fake.refill();
      return receipt.shippedRows === 1000;
    }, "all are stored");
    await flushed;
    assert.deepEqual(fake.lines(), all);
    assert.deepEqual(letters(folder), []);
  });

test("streams that the server may have forgotten travel apart again, also those that wait already", async (context) => {
  const fake = await start(context);
  const { lane, folder } = makeLane(context, lokiOutput(fake.url), options);
  const apps = ["a", "b", "c", "d"];
  const send = (round: number): void => {
    for (const app of apps) lane.append(lines(app, BEGIN + round * 10, [`${app} ${round}`]), new Settled());
  };
  send(0);
  await lane.flush();
  fake.forgetStreams();
  fake.limits().maxStreams = 3;
  fake.script.push({ kind: "reset-before-answer" });
  send(1);
  await until(() => fake.lines().filter((line) => line.endsWith(" 1")).length === 3, "three found room");
  await until(() => lane.state === "retrying", "and one waits for it");
  fake.limits().maxStreams = 4;
  await lane.flush();
  assert.deepEqual(
    fake.lines().toSorted(),
    apps.flatMap((app) => [`${app} 0`, `${app} 1`]),
  );
  assert.deepEqual(letters(folder), []);
});

test("lines older than what was sent travel apart, so that a refusal is seen and only they are dead letters", async (context) => {
  const fake = await start(context);
  const { lane, folder } = makeLane(context, lokiOutput(fake.url), options);
  for (const app of ["a", "b"]) lane.append(lines(app, BEGIN + 10_000, ["now"]), new Settled());
  await lane.flush();
  const receipt = new Settled();
  lane.append(lines("a", BEGIN, ["far behind", "as far"]), receipt);
  lane.append(lines("a", BEGIN + 7000, ["a little behind"]), receipt);
  lane.append(lines("b", BEGIN + 10_001, ["good"]), receipt);
  await lane.flush();
  assert.deepEqual(fake.lines().toSorted(), ["a little behind", "good", "now", "now"]);
  assert.deepEqual([receipt.shippedRows, receipt.droppedRows], [2, 2]);
  assert.deepEqual([...receipt.reasons], ["too_far_behind"]);
  assert.deepEqual(
    letters(folder).map(({ type }) => type),
    ["too_far_behind", "too_far_behind"],
  );
});

const step = fc.record({
  apps: fc.array(fc.constantFrom("a", "b", "c", "d", "e"), { minLength: 1, maxLength: 6 }),
  lines: fc.integer({ min: 1, max: 40 }),
  trouble: fc.constantFrom("none", "streams", "rate", "forgets", "reset", "store-and-reset", "503", "blocked"),
});

/** Streams that are close to their rate by pushes of their own, and then have a little in one that others share. */
const NEAR_THE_RATE = [
  { apps: ["a", "a", "d"], lines: 5, trouble: "streams" },
  { apps: ["e", "d", "e", "d", "e"], lines: 9, trouble: "none" },
  { apps: ["c", "d", "a", "b", "a"], lines: 2, trouble: "rate" },
];

test("whatever limits are met on the way: what was settled as shipped is stored, and all is in the end", async (context) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      const fake = await start(context);
      const { lane, folder } = makeLane(context, lokiOutput(fake.url, { unseenRate: 150 }), options);
      const limits = fake.limits();
      const expected: string[] = [];
      const receipts: Settled[] = [];
      let from = BEGIN;
      for (const { apps, lines: count, trouble } of steps) {
        if (trouble === "streams") limits.maxStreams = 2;
        if (trouble === "rate") limits.streamBytes = 600;
        if (trouble === "forgets") {
          fake.script.push({ kind: "reset-before-reading" });
          fake.forgetStreams();
        }
        if (trouble === "reset") fake.script.push({ kind: "reset-before-answer" });
        if (trouble === "store-and-reset") fake.script.push({ kind: "store-and-reset" });
        if (trouble === "503") fake.script.push({ kind: "status", status: 503 });
        if (trouble === "blocked") limits.blocked = true;
        for (const app of apps) {
          const texts = Array.from({ length: count }, (_, i) => `${app} ${from} ${i}`);
          expected.push(...texts);
          const receipt = new Settled();
          receipts.push(receipt);
          lane.append(lines(app, from, texts), receipt);
          from += 50;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
      Object.assign(limits, { maxStreams: 100, blocked: false });
      const flushed = lane.flush();
      await until(() => {
        fake.refill();
        const stored = new Set(fake.lines());
        const shipped = receipts.reduce((sum, { shippedRows }) => sum + shippedRows, 0);
        assert.ok(stored.size >= shipped, `${shipped} shipped, ${stored.size} stored`);
        return shipped === expected.length;
      }, "all is delivered");
      await flushed;
      assert.deepEqual(fake.lines().toSorted(), expected.toSorted());
      assert.deepEqual(letters(folder), []);
    }),
    { numRuns: 25, examples: [[NEAR_THE_RATE]] },
  );
});

test("a quiet node of 100 containers costs less than a request a second", async (context) => {
  const fake = await start(context);
  let tick = 0;
  const seconds = (): number => tick / 10;
  const clock: Clock = { monotonic: () => seconds() * 1000, wall: () => (BEGIN + seconds()) * 1000 };
  const output = lokiOutput(fake.url, { clock });
  context.after(() => output.close());
  let open = output.open();
  let since = 0;
  let warm = 0;
  // Most write every half minute, some every eleven minutes, so that each time they were away for long; as in a lane, a
  // request stays open for a second from its first row on.
  for (; tick < 18_000; tick++) {
    for (let app = 0; app < 100; app++) {
      if ((tick + app * 97) % (app < 80 ? 300 : 6600) !== 0) continue;
      if (open.rows === 0) since = tick;
      open.append(lines(`app-${app}`, BEGIN + Math.floor(seconds()), [`line at ${tick}`]), 0, 1e9, 1e9);
    }
    if (open.rows === 0 || tick - since < 10) continue;
    for (const { closed } of open.closeApart?.() ?? [])
      assert.equal((await output.send(closed, NEVER)).kind, "delivered");
    open = output.open();
    if (tick < 6600) warm = fake.requests.length;
  }
  const perSecond = (fake.requests.length - warm) / 1140;
  assert.ok(perSecond < 1, `${perSecond} requests a second`);
  assert.deepEqual([...fake.discarded], []);
});

test("what waits to be sent counts towards a stream's rate, so that no push has to be taken apart again", async (context) => {
  const fake = await start(context);
  const output = lokiOutput(fake.url, { unseenRate: 20_000 });
  context.after(() => output.close());
  const push = (round: number): readonly Piece[] => {
    const request = output.open();
    for (const app of ["a", "b", "c"])
      request.append(lines(app, BEGIN + round * 10, ["x".repeat(app === "a" ? 9000 : 10)]), 0, 1 << 20, 1000);
    return request.closeApart?.() ?? [];
  };
  for (const { closed } of push(0)) await output.send(closed, NEVER);
  const waiting = [1, 2, 3].map(push);
  assert.deepEqual(
    waiting.map((pieces) => pieces.map(({ runs }) => runs.length / 2)),
    [[3], [2, 1], [2, 1]],
    "streams of each push",
  );
  for (const { closed } of waiting.flat()) assert.equal((await output.send(closed, NEVER)).kind, "delivered");
});
