import assert from "node:assert/strict";
import { test } from "node:test";
import { DROPPED, type Rows, SEVERITIES, SUMMARY } from "../../../agent/batch.ts";
import type { Origin } from "../../../agent/pods/origin.ts";
import { Throttle, type ThrottleOptions } from "../../../agent/process/throttle.ts";
import { messagesOf } from "../../support/fields.ts";
import { origin, rowsOf } from "../../support/rows.ts";

const perRecord: ThrottleOptions = { per: "container", unit: "records", rate: 2, burst: 2 };

/** Rows of the given seconds. */
function rowsAt(seconds: readonly number[], of: Origin = origin): Rows {
  const rows = rowsOf(seconds.map(String), of);
  seconds.forEach((second, row) => {
    rows.seconds[row] = Math.floor(second);
    rows.nanos[row] = (second % 1) * 1e9;
  });
  return rows;
}

const passed = (rows: Rows): string[] =>
  messagesOf(rows).filter((_, row) => ((rows.flags[row] as number) & (DROPPED | SUMMARY)) === 0);

test("a burst passes, then as many records as the rate allows by the records' own times", () => {
  const processor = new Throttle(perRecord, undefined).create();
  const rows = rowsAt([100, 100, 100, 100.5, 100.5, 101, 200, 200, 200]);
  processor.process(rows, 0);
  assert.deepEqual(passed(rows), ["100", "100", "100.5", "101", "200", "200"]);
  assert.deepEqual(
    [...rows.drops],
    [
      [
        "throttle",
        {
          rows: 3,
          bytes: rows.size
            .subarray(0, 9)
            .filter((_, i) => ((rows.flags[i] as number) & DROPPED) !== 0)
            .reduce((a, b) => a + b),
        },
      ],
    ],
  );
});

test("a backlog that is read at once is no flood", () => {
  const processor = new Throttle(perRecord, undefined).create();
  const rows = rowsAt(Array.from({ length: 1000 }, (_, i) => 100 + i / 2));
  processor.process(rows, 0);
  assert.equal(passed(rows).length, 1000);
});

test("bytes count as they stand in the file, and a record larger than the burst passes when the bucket is full", () => {
  const processor = new Throttle({ per: "container", unit: "bytes", rate: 10, burst: 20 }, undefined).create();
  const rows = rowsAt([100, 101, 110]);
  processor.process(rows, 0);
  // Each stands for 43 bytes: the first one overdraws by 23, which takes 4.3 s to be full again.
  assert.deepEqual(passed(rows), ["100", "110"]);
});

test("pods and namespaces share a rate among their containers, containers do not", () => {
  const side = { ...origin, container: "side" };
  const other = { ...origin, pod: "web-1", uid: "other" };
  for (const [per, expected] of [
    ["container", [2, 2, 2]],
    ["pod", [2, 0, 2]],
    ["namespace", [2, 0, 0]],
  ] as const) {
    const throttle = new Throttle({ ...perRecord, per }, undefined);
    const counts = [origin, side, other].map((of) => {
      const rows = rowsAt([100, 100], of);
      throttle.create().process(rows, 0);
      return passed(rows).length;
    });
    assert.deepEqual(counts, expected, per);
  }
});

test("one summary a minute at most says what was dropped, under an id of its own", () => {
  const processor = new Throttle(perRecord, undefined).create();
  const holder = processor.holder;
  assert.ok(holder);
  assert.equal(holder.dueAt, Number.POSITIVE_INFINITY);
  const flood = rowsAt([100, 100, 100, 100, 100]);
  processor.process(flood, 1000);
  assert.equal(flood.rows, 5);
  assert.equal(holder.dueAt, 61_000);
  const later = rowsAt([300]);
  processor.process(later, 61_000);
  assert.equal(later.rows, 2);
  assert.equal(
    messagesOf(later)[1],
    "tailrace: throttle dropped 3 records (129 bytes) of this container: more than 2 records per second from one container",
  );
  assert.equal(later.flags[1], SUMMARY);
  assert.equal(later.size[1], 0);
  assert.equal(SEVERITIES[later.severity?.[1] ?? 0], "warn");
  assert.equal(later.offset[1], 200);
  assert.equal(later.extra?.get(1)?.generation?.key, `${later.generation.key}-throttled`);
  assert.equal(holder.dueAt, Number.POSITIVE_INFINITY);
  // A minute after the first drop since.
  processor.process(rowsAt([300, 300, 300]), 62_000);
  assert.equal(holder.dueAt, 122_000);
});

test("a summary comes out when the log has ended, and none when nothing was dropped", () => {
  const processor = new Throttle(perRecord, undefined).create();
  const quiet = rowsAt([100]);
  processor.process(quiet, 0);
  processor.holder?.release(quiet, Number.POSITIVE_INFINITY);
  assert.equal(quiet.rows, 1);
  const flood = rowsAt([100, 100, 100]);
  processor.process(flood, 0);
  processor.holder?.release(flood, Number.POSITIVE_INFINITY);
  assert.equal(flood.rows, 4);
});
