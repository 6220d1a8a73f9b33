/** Choosing rows of a request, again and again, against lists that hold each row. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Receipt } from "../../agent/acks.ts";
import { DROPPED } from "../../agent/batch.ts";
import { choose, type Part } from "../../outputs/parts.ts";
import { OpenSizes } from "../../outputs/sizes.ts";
import { rowsOf } from "../support/rows.ts";

/** A row as the lists have it: its batch, and the raw bytes that it stands for. */
type Listed = readonly [batch: number, bytes: number];

const anyBatch = fc.array(fc.record({ bytes: fc.nat(100_000), dropped: fc.boolean() }), {
  minLength: 1,
  maxLength: 20,
});
/** Shares of what is there, so that they name rows whatever is left of them. */
const anyRuns = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(9)), { maxLength: 6 });

test("rows that are chosen keep their batch and their bytes, however often and in whatever order they are chosen", () => {
  fc.assert(
    fc.property(fc.array(anyBatch, { maxLength: 5 }), fc.array(anyRuns, { maxLength: 3 }), (batches, picks) => {
      const open = new OpenSizes();
      // What an earlier request left must not be seen.
      open.add(rowsOf(["before"]), 0, 1);
      open.take();
      const numbers = new Map<Receipt, number>();
      let parts: readonly Part[] = [];
      let listed: Listed[] = [];
      batches.forEach((rows, batch) => {
        const made = rowsOf(rows.map(() => ""));
        rows.forEach(({ bytes, dropped }, row) => {
          made.size[row] = bytes;
          made.flags[row] = dropped ? DROPPED : 0;
        });
        const kept = rows.filter(({ dropped }) => !dropped).map(({ bytes }): Listed => [batch, bytes]);
        const bytes = open.add(made, 0, rows.length);
        listed.push(...kept);
        const receipt: Receipt = { shipped: () => {}, dropped: () => {} };
        numbers.set(receipt, batch);
        if (kept.length > 0) parts = [...parts, { receipt, rows: kept.length, bytes, newest: batch }];
      });
      let sizes = open.take();
      const sum = (rows: readonly Listed[]): number => rows.reduce((total, [, bytes]) => total + bytes, 0);
      const check = (): void => {
        let row = 0;
        for (const { receipt, rows, bytes } of parts) {
          const own = listed.slice(row, row + rows);
          assert.ok(rows > 0 && own.length === rows && own.every(([batch]) => batch === numbers.get(receipt)));
          assert.equal(bytes, sum(own));
          row += rows;
        }
        assert.equal(row, listed.length);
      };
      check();
      for (const pick of picks) {
        const runs = pick.flatMap(([at, length]) => {
          const from = Math.floor(at * listed.length);
          return [from, Math.min(from + length, listed.length)];
        });
        const next: Listed[] = [];
        for (let i = 0; i < runs.length; i += 2) next.push(...listed.slice(runs[i], runs[i + 1]));
        ({ parts, sizes } = choose(parts, sizes, runs));
        listed = next;
        check();
        for (let row = 0; row < listed.length; row += 3)
          assert.equal(sizes.sum(row, listed.length), sum(listed.slice(row)));
      }
    }),
  );
});
