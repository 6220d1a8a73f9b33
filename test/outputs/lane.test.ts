/** The lane against a backend that does whatever a script says. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { segmentsOf } from "../../outputs/dead-letter.ts";
import type { Outcome } from "../../outputs/output.ts";
import { letters, makeLane, quick, Settled } from "../support/lane.ts";
import { until } from "../support/program.ts";
import { rowsOf } from "../support/rows.ts";
import { ScriptedOutput } from "../support/scripted-output.ts";

const ok: Outcome = { kind: "delivered", code: "200" };

const messages = (count: number): string[] => Array.from({ length: count }, (_, i) => `message ${i}`);

test("rows arrive in requests no larger than configured, and every row is settled once", async (context) => {
  const backend = new ScriptedOutput(() => ok);
  const { lane, events } = makeLane(context, backend);
  const receipt = new Settled();
  const batch = rowsOf(messages(95));
  lane.append(batch, receipt);
  await lane.flush();
  assert.deepEqual(backend.stored.toSorted(), messages(95).toSorted());
  assert.ok(backend.sent.every((sent) => sent.length <= 10));
  assert.equal(receipt.shippedRows, 95);
  assert.equal(
    receipt.bytes,
    batch.size.slice(0, 95).reduce((sum, size) => sum + size, 0),
  );
  assert.equal(events.delivered, 95);
  assert.ok(backend.mostInFlight <= 2);
});

test("a request waits for more rows no longer than maxWait", async (context) => {
  const backend = new ScriptedOutput(() => ok);
  const { lane } = makeLane(context, backend);
  lane.append(rowsOf(["alone"]), new Settled());
  await until(() => backend.stored.length === 1, "the row is sent by itself");
});

test("batches of different keys never share a request", async (context) => {
  const backend = new ScriptedOutput(() => ok);
  const { lane } = makeLane(context, backend);
  lane.append(rowsOf(["a"]), new Settled());
  const other = rowsOf(["b"]);
  other.origin = { ...other.origin, namespace: "other" };
  lane.append(other, new Settled());
  await lane.flush();
  assert.deepEqual(backend.sent.toSorted(), [["a"], ["b"]]);
});

test("where keys are many, the largest of their requests is sent before more are begun, and small ones wait", async (context) => {
  const backend = new ScriptedOutput(() => ok);
  const batch = { maxBytes: 1 << 20, maxRecords: 10, maxWait: 3_600_000 };
  const { lane } = makeLane(context, backend, { ...quick, batch });
  const add = (namespace: string, length: number): void => {
    const rows = rowsOf([namespace.repeat(length)]);
    rows.origin = { ...rows.origin, namespace };
    lane.append(rows, new Settled());
  };
  add("a", 270_000);
  add("b", 300_000);
  for (const small of ["c", "d", "e"]) add(small, 200_000);
  await until(() => backend.stored.length > 0, "the largest is sent");
  lane.append(rowsOf(["f"]), new Settled());
  await until(() => backend.stored.length === 2, "the second is sent, too");
  assert.deepEqual(
    backend.sent.map(([line]) => line?.[0]),
    ["b", "a"],
  );
  await lane.flush();
  assert.equal(backend.stored.length, 6);
});

test("a retry goes on until it is accepted, is told, and the output counts as retrying meanwhile", async (context) => {
  const states: string[] = [];
  const backend: ScriptedOutput = new ScriptedOutput(() => {
    states.push(lane.state);
    return states.length < 6 ? { kind: "retry", code: "503", reason: "busy" } : ok;
  });
  const { lane, events, lines } = makeLane(context, backend);
  lane.append(rowsOf(messages(3)), new Settled());
  await lane.flush();
  assert.deepEqual(states, ["ok", "retrying", "retrying", "retrying", "retrying", "retrying"]);
  assert.equal(lane.state, "ok");
  assert.equal(lane.lastError, "busy");
  assert.equal(events.retried, 5);
  assert.equal(lines.filter(({ level }) => level === "warn").length, 1);
});

test("what the backend asks for is waited for, by all requests of the output", async (context) => {
  let first = true;
  const backend = new ScriptedOutput(() => {
    if (!first) return ok;
    first = false;
    return { kind: "retry", code: "429", reason: "slow down", afterMs: 60_000 };
  });
  const { lane } = makeLane(context, backend);
  lane.append(rowsOf(["a"]), new Settled());
  await until(() => lane.retryAfterMs > 0, "the gate is shut");
  lane.append(rowsOf(["b"]), new Settled());
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(backend.sent, [["a"]]);
  assert.ok(lane.retryAfterMs > 30_000);
});

test("of a mixed answer only the rows that ask for it go again, and the refused ones are dead letters", async (context) => {
  let first = true;
  const backend = new ScriptedOutput((sent) => {
    if (!first) return ok;
    first = false;
    assert.equal(sent.length, 4);
    return {
      kind: "mixed",
      code: "200",
      reason: "busy",
      retry: [1],
      rejected: [{ row: 2, type: "mapping", reason: "no number" }],
    };
  });
  const { lane, folder, events } = makeLane(context, backend);
  const receipt = new Settled();
  lane.append(rowsOf(messages(4)), receipt);
  await lane.flush();
  assert.deepEqual(backend.sent[1], ["message 1"]);
  assert.deepEqual([receipt.shippedRows, receipt.droppedRows], [3, 1]);
  assert.deepEqual([...receipt.reasons], ["mapping"]);
  assert.equal(events.dropped.get("mapping"), 1);
  const [letter] = letters(folder);
  const { time = "", ...rest } = letter ?? {};
  assert.deepEqual(rest, { type: "mapping", reason: "no number", key: "shop", entry: "message 2" });
  assert.ok(!Number.isNaN(Date.parse(time)));
  for (const path of segmentsOf(folder)) assert.equal(statSync(path).mode & 0o027, 0);
});

test("a request that is refused as a whole is halved until the record at fault is alone", async (context) => {
  const backend = new ScriptedOutput((sent) =>
    sent.includes("poison") ? { kind: "split", code: "400", type: "malformed", reason: "can't read it" } : ok,
  );
  const { lane, folder } = makeLane(context, backend);
  const receipt = new Settled();
  lane.append(rowsOf([...messages(6), "poison", "last"]), receipt);
  await lane.flush();
  assert.deepEqual(backend.stored.toSorted(), [...messages(6), "last"].toSorted());
  assert.deepEqual([receipt.shippedRows, receipt.droppedRows], [7, 1]);
  assert.deepEqual(
    letters(folder).map(({ entry }) => entry),
    ["poison"],
  );
  assert.ok(backend.sent.length <= 8, `${backend.sent.length} requests`);
});

test("requests become smaller for a while after one was too large", async (context) => {
  const backend = new ScriptedOutput((sent) =>
    sent.length > 3 ? { kind: "split", code: "413", type: "too_large", reason: "" } : ok,
  );
  const options = { ...quick, batch: { maxBytes: 1 << 20, maxRecords: 1000, maxWait: 1 } };
  const { lane } = makeLane(context, backend, options);
  const large = Array.from({ length: 40 }, () => "x".repeat(30_000));
  lane.append(rowsOf(large), new Settled());
  await lane.flush();
  const first = backend.sent[0]?.length ?? 0;
  const before = backend.sent.length;
  lane.append(rowsOf(large), new Settled());
  await lane.flush();
  assert.ok((backend.sent[before]?.length ?? 0) <= first / 2);
});

test("dead letters never take more than their limit, and none are written when it is 0", async (context) => {
  const backend = new ScriptedOutput(() => ({ kind: "split", code: "400", type: "bad", reason: "r" }));
  const { lane, folder } = makeLane(context, backend, quick, 2000);
  for (let i = 0; i < 20; i++) lane.append(rowsOf(messages(5)), new Settled());
  await lane.flush();
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  assert.ok(bytes > 1000 && bytes <= 2000, `${bytes} bytes`);
  const none = makeLane(context, backend, quick, 0);
  const receipt = new Settled();
  none.lane.append(rowsOf(["a"]), receipt);
  await none.lane.flush();
  assert.equal(receipt.droppedRows, 1);
  assert.ok(!existsSync(none.folder));
});

test("closing gives up what is in flight without settling it", async (context) => {
  const backend = new ScriptedOutput(() => ok);
  backend.hold = true;
  const { lane } = makeLane(context, backend);
  const receipt = new Settled();
  lane.append(rowsOf(["a"]), receipt);
  const flushed = lane.flush();
  await until(() => backend.inFlight === 1, "a request is in flight");
  await lane.close();
  await flushed;
  assert.equal(receipt.shippedRows + receipt.droppedRows, 0);
  assert.equal(lane.state, "stopped");
});

const verdict = fc.constantFrom("delivered", "retry", "split", "mixed");

test("whatever a backend answers: rows = shipped + dropped, each stored or in a dead letter, none of them twice", async (context) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
      fc.array(fc.tuple(verdict, fc.nat(7), fc.nat(7)), { maxLength: 25 }),
      async (batches, script) => {
        let step = 0;
        const backend = new ScriptedOutput((sent): Outcome => {
          const [kind, a, b] = script[step++] ?? ["delivered", 0, 0];
          if (kind === "retry") return { kind, code: "503", reason: "busy" };
          if (kind === "split") return { kind, code: "413", type: "large", reason: "too large" };
          if (kind === "delivered") return ok;
          const retry = sent.map((_, row) => row).filter((row) => row % (a + 2) === 0);
          const rejected = sent
            .map((_, row) => ({ row, type: "bad", reason: "bad" }))
            .filter(({ row }) => !retry.includes(row) && row % (b + 2) === 1);
          return { kind: "mixed", code: "200", reason: "busy", retry, rejected };
        });
        const { lane, folder } = makeLane(context, backend);
        const receipts = batches.map((count, i) => {
          const receipt = new Settled();
          lane.append(rowsOf(Array.from({ length: count }, (_, row) => `${i}/${row}`)), receipt);
          return receipt;
        });
        await lane.flush();
        await lane.close();
        receipts.forEach((receipt, i) => {
          assert.equal(receipt.shippedRows + receipt.droppedRows, batches[i]);
        });
        const dead = letters(folder).map(({ entry }) => entry);
        const all = batches.flatMap((count, i) => Array.from({ length: count }, (_, row) => `${i}/${row}`));
        assert.deepEqual([...backend.stored, ...dead].toSorted(), all.toSorted());
      },
    ),
    { numRuns: 60 },
  );
});
