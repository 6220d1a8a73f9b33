import assert from "node:assert/strict";
import { test } from "node:test";
import { DROPPED, type Rows, SUMMARY } from "../../../agent/batch.ts";
import { Filter, Sample } from "../../../agent/process/filter.ts";
import { compileMatch } from "../../../agent/process/match.ts";
import { messagesOf } from "../../support/fields.ts";
import { rowsOf } from "../../support/rows.ts";

const left = (rows: Rows): string[] =>
  messagesOf(rows).filter((_, row) => ((rows.flags[row] as number) & DROPPED) === 0);
const noise = compileMatch({ message: ["/noise/"] });

test("drop drops what matches, keep what does not, and each drop is counted with its bytes", () => {
  const drop = rowsOf(["noise 1", "a", "noise 2"]);
  new Filter("drop", noise, true).process(drop);
  assert.deepEqual(left(drop), ["a"]);
  assert.deepEqual([...drop.drops], [["drop", { rows: 2, bytes: 2 * 47 }]]);
  const keep = rowsOf(["noise 1", "a", "noise 2"]);
  new Filter("keep", noise, false).process(keep);
  assert.deepEqual(left(keep), ["noise 1", "noise 2"]);
  assert.deepEqual([...keep.drops], [["keep", { rows: 1, bytes: 41 }]]);
});

test("what is dropped already is not dropped again, and the agent's own words never are", () => {
  const rows = rowsOf(["a", "b", "c"]);
  rows.drop(0, "drop");
  rows.flags[1] = SUMMARY;
  new Filter("drop", undefined, true).process(rows);
  new Sample(0, undefined).process(rows);
  assert.deepEqual(left(rows), ["b"]);
  assert.deepEqual([...rows.drops], [["drop", { rows: 2, bytes: 82 }]]);
});

test("a sample is the same part of the records at every reading, and as large as the rate", () => {
  const count = 20_000;
  const messages = Array.from({ length: count }, (_, i) => String(i));
  for (const rate of [0, 0.01, 0.1, 0.5, 1]) {
    const sampled = (): string[] => {
      const rows = rowsOf(messages);
      new Sample(rate, undefined).process(rows);
      return left(rows);
    };
    const first = sampled();
    assert.deepEqual(sampled(), first);
    // Four standard deviations: ids are fixed, so this can't fail by chance.
    const tolerance = 4 * Math.sqrt(count * rate * (1 - rate));
    assert.ok(Math.abs(first.length - count * rate) <= tolerance, `${first.length} of ${count} at ${rate}`);
  }
});

test("a record's id decides, not its neighbours: the same offset in another file is another record", () => {
  const decided = (key: string): string => {
    const rows = rowsOf(Array.from({ length: 200 }, (_, i) => String(i)));
    rows.generation = { key };
    new Sample(0.5, undefined).process(rows);
    return left(rows).join();
  };
  assert.equal(decided("one"), decided("one"));
  assert.notEqual(decided("one"), decided("two"));
});
