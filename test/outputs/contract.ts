/**
 * The contract that every output over a network keeps: nothing is lost, repeated or given up, whatever its backend does
 * or fails to do. An output's test file calls `holdToContract` once, with a strict fake of its backend.
 */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { systemClock } from "../../agent/clock.ts";
import type { LaneOptions } from "../../outputs/lane.ts";
import type { Output } from "../../outputs/output.ts";
import { replayLetters } from "../../outputs/replay.ts";
import type { Backend, Misbehaviour } from "../support/backend.ts";
import { letters, makeLane, quick, Settled } from "../support/lane.ts";
import { until } from "../support/program.ts";
import { keepLog } from "../support/quiet-log.ts";
import { origin, rowsOf } from "../support/rows.ts";

/** An output and the fake that it talks to; both are closed by whoever made them. */
export interface Subject {
  readonly fake: Backend;
  /** A new output, as after a restart of the agent. The lane closes it. */
  output(): Output;
  /** The messages that the backend has, repeats that it does not recognise included, in any order. */
  stored(): string[];
  /** From now on the backend refuses the records with this message for good, and only them. */
  refuse(message: string): void;
  /** From now on it refuses bodies over this many bytes in the way of the real one; undefined: as by default. */
  limit(maxBytes: number | undefined): void;
  /** Whether it takes the output's credentials. */
  authorize(accepted: boolean): void;
}

const NEVER = new AbortController().signal;
/** A minute and more, so that nobody waits for it by mistake; and beyond what is believed of a server. */
const LONG_SECONDS = 3600;
const MOST_MS = 300_000;
const patient: LaneOptions = { ...quick, batch: { maxBytes: 1 << 20, maxRecords: 1000, maxWait: 1 } };

export function holdToContract(name: string, start: (context: TestContext) => Promise<Subject>): void {
  const texts = (count: number): string[] => Array.from({ length: count }, (_, i) => `message ${i}`);
  const same = (actual: readonly string[], expected: readonly string[]): void =>
    assert.deepEqual(actual.toSorted(), expected.toSorted());
  const contract = (sentence: string, check: (subject: Subject, context: TestContext) => Promise<void>): void => {
    test(`${name}: ${sentence}`, async (context) => check(await start(context), context));
  };

  contract("every record arrives once, whatever bytes it has", async (subject, context) => {
    const { lane } = makeLane(context, subject.output());
    const receipt = new Settled();
    const odd = [
      "",
      " ",
      'quote " back \\ slash',
      "tab\tnul\0bell\x07",
      "äöü 😀 \u2028",
      "{}",
      "a\nb\r\nc",
      "x".repeat(9000),
    ];
    lane.append(rowsOf([...odd, ...texts(50)]), receipt);
    await lane.flush();
    same(subject.stored(), [...odd, ...texts(50)]);
    assert.equal(receipt.shippedRows, odd.length + 50);
  });

  contract("Retry-After is honoured in both forms, and nothing more is sent meanwhile", async (subject, context) => {
    const date = new Date(Date.now() + LONG_SECONDS * 1000).toUTCString();
    for (const value of [String(LONG_SECONDS), date]) {
      subject.fake.script.push({ kind: "status", status: 429, headers: { "retry-after": value } });
      const output = subject.output();
      const open = output.open(output.requestKey(rowsOf(["a"])));
      open.append(rowsOf(["a"]), 0, 1e9, 1e9);
      const outcome = await output.send(open.close(), NEVER);
      await output.close();
      assert.deepEqual([outcome.kind, outcome.kind === "retry" && outcome.afterMs], ["retry", MOST_MS], value);
    }
    subject.fake.script.push({ kind: "status", status: 429, headers: { "retry-after": date } });
    const before = subject.fake.requests.length;
    const { lane } = makeLane(context, subject.output());
    lane.append(rowsOf(["a"]), new Settled());
    await until(() => lane.retryAfterMs > 0, "the gate is shut");
    lane.append(rowsOf(["b"]), new Settled());
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(subject.fake.requests.length, before + 1);
    assert.ok(lane.retryAfterMs > MOST_MS / 2);
    assert.equal(lane.state, "retrying");
  });

  contract(
    "whatever a server or a proxy answers that does not take records, they go again",
    async (subject, context) => {
      const html = "<html><body>no</body></html>";
      const { lane, events, folder } = makeLane(context, subject.output());
      const statuses = [500, 502, 503, 504, 403, 404, 407, 408, 418, 429, 302, 202, 260];
      for (const status of statuses) subject.fake.script.push({ kind: "status", status, body: html });
      const receipt = new Settled();
      lane.append(rowsOf(texts(3)), receipt);
      await lane.flush();
      same(subject.stored(), texts(3));
      assert.deepEqual(events.codes.slice(0, statuses.length), statuses.map(String));
      assert.deepEqual([receipt.shippedRows, letters(folder)], [3, []]);
    },
  );

  contract("no answer, or half of one, loses and repeats nothing", async (subject, context) => {
    const { lane, events } = makeLane(context, subject.output(), patient);
    const kinds: Misbehaviour["kind"][] = [
      "reset-before-reading",
      "reset-before-answer",
      "store-and-reset",
      "cut-answer",
    ];
    for (const kind of kinds) subject.fake.script.push({ kind } as Misbehaviour);
    const receipt = new Settled();
    lane.append(rowsOf(texts(5)), receipt);
    await lane.flush();
    same(subject.stored(), texts(5));
    assert.equal(events.retried, kinds.length);
    assert.equal(receipt.shippedRows, 5);
  });

  contract("a connection that the server has closed is no trouble", async (subject, context) => {
    const { lane, events } = makeLane(context, subject.output());
    for (const [i, text] of texts(3).entries()) {
      lane.append(later(rowsOf([text]), i), new Settled());
      await lane.flush();
      subject.fake.closeIdle();
    }
    same(subject.stored(), texts(3));
    assert.equal(events.retried, 0);
  });

  contract("what is too large for a proxy or the backend goes in pieces", async (subject, context) => {
    const { lane, folder } = makeLane(context, subject.output(), patient);
    subject.fake.script.push({ kind: "status", status: 413, body: "<html>too large</html>" });
    lane.append(rowsOf(texts(9)), new Settled());
    await lane.flush();
    same(subject.stored(), texts(9));
    subject.limit(20_000);
    const large = Array.from({ length: 30 }, (_, i) => `${i} ${"x".repeat(3000)}`);
    lane.append(later(rowsOf(large), 1), new Settled());
    await lane.flush();
    same(subject.stored(), [...texts(9), ...large]);
    assert.deepEqual(letters(folder), []);
  });

  contract(
    "a record too large for the backend is a dead letter, and those beside it arrive",
    async (subject, context) => {
      const { lane, folder } = makeLane(context, subject.output(), patient);
      subject.limit(20_000);
      const receipt = new Settled();
      lane.append(rowsOf(["a", "b", "x".repeat(30_000), "c"]), receipt);
      await lane.flush();
      same(subject.stored(), ["a", "b", "c"]);
      assert.deepEqual([receipt.shippedRows, receipt.droppedRows], [3, 1]);
      assert.ok(letters(folder)[0]?.entry.includes("x".repeat(30_000)));
    },
  );

  contract(
    "of a request that is refused in part only the refused records are dead letters",
    async (subject, context) => {
      const { lane, folder, events } = makeLane(context, subject.output(), patient);
      subject.refuse("message 3");
      const receipt = new Settled();
      lane.append(rowsOf(texts(8)), receipt);
      await lane.flush();
      same(subject.stored(), texts(8).toSpliced(3, 1));
      assert.deepEqual([receipt.shippedRows, receipt.droppedRows], [7, 1]);
      const dead = letters(folder);
      assert.equal(dead.length, 1);
      assert.ok(dead[0]?.entry.includes("message 3"));
      assert.notEqual(dead[0]?.reason, "");
      assert.deepEqual([...events.dropped.values()], [1]);
    },
  );

  contract("dead letters arrive when they are sent again, from whichever containers", async (subject, context) => {
    const { lane, folder } = makeLane(context, subject.output(), patient);
    subject.refuse('bad "message"');
    const bad = ['bad "message"', ...texts(2)];
    lane.append(rowsOf(bad), new Settled());
    const busy = rowsOf(Array(250).fill('bad "message"'), { ...origin, pod: "busy-0" });
    busy.generation = { key: "fedcba9876543210" };
    lane.append(busy, new Settled());
    await lane.flush();
    assert.equal(letters(folder).length, 251);
    subject.refuse("nothing");
    const output = subject.output();
    assert.ok(output.restore !== undefined);
    const options = { ...patient, name: "out", folder, maxBytes: 1 << 20 };
    const replayed = await replayLetters(output, output.restore, options, systemClock, keepLog().log, NEVER);
    assert.deepEqual(replayed, { accepted: 251, refused: 0, unanswered: 0, damaged: 0, trouble: "" });
    assert.equal(subject.stored().length, 253);
    assert.deepEqual(letters(folder), []);
  });

  contract("a slow backend is waited for, one that hangs is left and asked again", async (subject, context) => {
    const gate = Promise.withResolvers<void>();
    subject.fake.script.push({ kind: "delay", until: gate.promise });
    const { lane, events } = makeLane(context, subject.output());
    lane.append(rowsOf(["slow"]), new Settled());
    await until(() => subject.fake.requests.length === 1, "the request was read");
    gate.resolve();
    await lane.flush();
    assert.equal(events.retried, 0);
    subject.fake.script.push({ kind: "hang" });
    const hurried = makeLane(context, subject.output(), { ...quick, request: { timeout: 500, concurrency: 1 } });
    hurried.lane.append(later(rowsOf(["late"]), 1), new Settled());
    await hurried.lane.flush();
    assert.ok(hurried.events.codes.includes("TIMEOUT"));
    same(subject.stored(), ["slow", "late"]);
  });

  contract("credentials that are refused drop nothing, and work once they are accepted", async (subject, context) => {
    const { lane, folder } = makeLane(context, subject.output());
    subject.authorize(false);
    const receipt = new Settled();
    lane.append(rowsOf(texts(3)), receipt);
    await until(() => lane.state === "retrying", "it was refused");
    assert.match(lane.lastError, /401|credential/);
    assert.deepEqual(subject.stored(), []);
    subject.authorize(true);
    await lane.flush();
    same(subject.stored(), texts(3));
    assert.deepEqual([receipt.shippedRows, letters(folder)], [3, []]);
  });

  contract("a stop settles nothing of what is in flight, and the next run stores it once", async (subject, context) => {
    subject.fake.script.push({ kind: "hang" }, { kind: "hang" });
    const { lane } = makeLane(context, subject.output());
    const receipt = new Settled();
    lane.append(rowsOf(texts(3)), receipt);
    const flushed = lane.flush();
    await until(() => subject.fake.requests.length > 0, "a request is in flight");
    await lane.close();
    await flushed;
    assert.equal(receipt.shippedRows + receipt.droppedRows, 0);
    subject.fake.script.length = 0;
    const next = makeLane(context, subject.output());
    next.lane.append(rowsOf(texts(3)), receipt);
    await next.lane.flush();
    same(subject.stored(), texts(3));
  });
}

/** The same rows further on in their file and in time. */
function later(rows: ReturnType<typeof rowsOf>, hours: number): ReturnType<typeof rowsOf> {
  for (let row = 0; row < rows.rows; row++) {
    rows.offset[row] = (rows.offset[row] as number) + 1e6 * hours;
    rows.seconds[row] = (rows.seconds[row] as number) + 3600 * hours;
  }
  return rows;
}
