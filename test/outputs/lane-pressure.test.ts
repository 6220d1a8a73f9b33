/** How a lane meets a backend that pushes back, or that closes the connection on what is too large for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../../outputs/output.ts";
import { letters, makeLane, quick, Settled } from "../support/lane.ts";
import { until } from "../support/program.ts";
import { rowsOf } from "../support/rows.ts";
import { ScriptedOutput } from "../support/scripted-output.ts";

const ok: Outcome = { kind: "delivered", code: "200" };
const busy: Outcome = { kind: "retry", code: "429", reason: "busy" };
const cut: Outcome = { kind: "retry", code: "UND_ERR_SOCKET", reason: "other side closed", cut: true };

const messages = (count: number): string[] => Array.from({ length: count }, (_, i) => `message ${i}`);

test("requests in flight are halved when the backend pushes back, and become more one round after the other", async (context) => {
  let refuse = true;
  const output = new ScriptedOutput(() => (refuse ? busy : ok));
  const options = { ...quick, request: { ...quick.request, concurrency: 8 }, batch: { ...quick.batch, maxRecords: 1 } };
  const { lane } = makeLane(context, output, options);
  output.hold = true;
  lane.append(rowsOf(messages(60)), new Settled());
  await until(() => output.inFlight === 8, "all slots are taken");
  output.release();
  await until(() => output.inFlight === 1 && output.sent.length > 8, "one asks whether it is over");
  refuse = false;
  const rounds: number[] = [];
  for (;;) {
    const before = output.sent.length;
    output.release();
    await until(() => output.sent.length > before || output.stored.length === 60, "the next round");
    await new Promise((resolve) => setImmediate(resolve));
    if (output.stored.length === 60) break;
    rounds.push(output.inFlight);
  }
  assert.equal(Math.max(...rounds), 8, rounds.join(" "));
  assert.ok(rounds.indexOf(8) >= 5, `grows step by step: ${rounds.join(" ")}`);
  assert.ok(
    rounds.slice(1, rounds.indexOf(8)).every((now, i) => now - (rounds[i] as number) <= 1),
    rounds.join(" "),
  );
});

test("a large request whose connection is closed again and again is halved, a small one goes on as it is", async (context) => {
  const most = 2 << 20;
  const size = (sent: readonly string[]): number => sent.reduce((sum, message) => sum + message.length + 1, 0);
  const output = new ScriptedOutput((sent) => (size(sent) > most ? cut : ok));
  const options = { ...quick, batch: { maxBytes: 8 << 20, maxRecords: 1000, maxWait: 1 } };
  const { lane, folder } = makeLane(context, output, options);
  const receipt = new Settled();
  lane.append(rowsOf(Array.from({ length: 60 }, (_, i) => `${i} ${"x".repeat(100_000)}`)), receipt);
  await lane.flush();
  assert.equal(receipt.shippedRows, 60);
  assert.equal(output.stored.length, 60);
  assert.deepEqual(letters(folder), []);
  let failures = 20;
  const small = new ScriptedOutput(() => (failures-- > 0 ? cut : ok));
  const second = makeLane(context, small);
  second.lane.append(rowsOf(messages(8)), new Settled());
  await second.lane.flush();
  assert.deepEqual(new Set(small.sent.map((sent) => sent.length)), new Set([8]));
});

test("one record alone is never given up for connections that are closed", async (context) => {
  let failures = 10;
  const output = new ScriptedOutput(() => (failures-- > 0 ? cut : ok));
  const options = { ...quick, batch: { maxBytes: 8 << 20, maxRecords: 1000, maxWait: 1 } };
  const { lane, folder } = makeLane(context, output, options);
  lane.append(rowsOf(["x".repeat(2 << 20)]), new Settled());
  await lane.flush();
  assert.equal(output.stored.length, 1);
  assert.deepEqual(letters(folder), []);
});

test("records that the backend takes but puts aside are delivered, counted and told", async (context) => {
  const answers: Outcome[] = [
    { kind: "mixed", code: "200", reason: "busy", retry: [0], rejected: [], putAside: 2 },
    { kind: "delivered", code: "200", putAside: 1 },
  ];
  const output = new ScriptedOutput(() => answers.shift() ?? ok);
  const { lane, events, lines } = makeLane(context, output);
  const receipt = new Settled();
  lane.append(rowsOf(messages(4)), receipt);
  await lane.flush();
  assert.deepEqual([receipt.shippedRows, events.delivered, events.putAside], [4, 4, 3]);
  assert.equal(lines.filter(({ msg }) => String(msg).includes("put them aside")).length, 1);
});

test("a lane has enough once a full round of requests waits, and asks for more when it is sent", async (context) => {
  const output = new ScriptedOutput(() => ok);
  const options = { ...quick, request: { ...quick.request, concurrency: 2 }, batch: { ...quick.batch, maxRecords: 1 } };
  const { lane, events } = makeLane(context, output, options);
  output.hold = true;
  lane.append(rowsOf(messages(3)), new Settled());
  assert.equal(output.inFlight, 2);
  assert.ok(!events.sated, "one waits, two could be sent");
  lane.append(rowsOf(messages(1)), new Settled());
  assert.ok(events.sated);
  output.release();
  await until(() => !events.sated, "the waiting ones are sent");
  output.hold = false;
  output.release();
  await lane.flush();
  assert.equal(output.stored.length, 4);
});
