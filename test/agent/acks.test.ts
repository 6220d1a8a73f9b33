import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Acks, type Position } from "../../agent/acks.ts";
import type { LogFile } from "../../agent/tail/file.ts";

const file = {} as LogFile;

/** Spans of random sizes, whose rows are settled in random order, as shipped or dropped. */
const history = fc.array(fc.array(fc.record({ bytes: fc.nat(1000), dropped: fc.boolean() }), { maxLength: 5 }), {
  minLength: 1,
  maxLength: 12,
});

test("a checkpoint never passes an unsettled byte, never moves back, and the ledger adds up at any moment", () => {
  fc.assert(
    fc.property(history, fc.infiniteStream(fc.nat()), (spans, order) => {
      const commits: Position[] = [];
      let given = 0;
      const acks = new Acks(
        undefined,
        (bytes) => {
          given += bytes;
        },
        (position) => commits.push(position),
      );
      const unsettled: { span: number; settle: () => void }[] = [];
      const left = spans.map((rows) => rows.length);
      spans.forEach((rows, i) => {
        acks.ledger.read += rows.reduce((sum, { bytes }) => sum + bytes, 0);
        const span = acks.open({ file, offset: i + 1, time: [0, 0, 0] }, rows.length);
        for (const { bytes, dropped } of rows)
          unsettled.push({
            span: i,
            settle: () => (dropped ? span.dropped(1, bytes, "test") : span.shipped(1, bytes)),
          });
        span.seal();
      });
      const check = (): void => {
        const { ledger } = acks;
        assert.equal(ledger.read, ledger.shipped + ledger.pending + ledger.droppedTotal);
        assert.equal(given, ledger.shipped + ledger.droppedTotal);
        const settled = left.findIndex((rows) => rows > 0);
        const head = settled < 0 ? spans.length : settled;
        assert.equal(acks.committed?.offset ?? 0, head);
      };
      check();
      while (unsettled.length > 0) {
        const at = (order.next().value ?? 0) % unsettled.length;
        const [next] = unsettled.splice(at, 1);
        if (next === undefined) break;
        left[next.span] = (left[next.span] ?? 0) - 1;
        next.settle();
        check();
      }
      assert.ok(acks.idle);
      const offsets = commits.map(({ offset }) => offset);
      assert.deepEqual(
        offsets,
        offsets.toSorted((a, b) => a - b),
      );
    }),
  );
});

test("a row that is settled twice is a bug that is told", () => {
  const acks = new Acks(
    undefined,
    () => {},
    () => {},
  );
  const span = acks.open({ file, offset: 1, time: [0, 0, 0] }, 1);
  span.seal();
  span.shipped(1, 10);
  assert.throws(() => span.shipped(1, 10), /settled twice/);
});
