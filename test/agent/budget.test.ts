import assert from "node:assert/strict";
import { test } from "node:test";
import { Budget } from "../../agent/budget.ts";

test("bytes in flight never exceed the budget", () => {
  const budget = new Budget(100);
  assert.ok(budget.fits(100));
  budget.take(100);
  assert.ok(!budget.fits(1));
  budget.give(60);
  assert.ok(budget.fits(60));
  assert.ok(!budget.fits(61));
});

test("a chunk larger than the whole budget passes when nothing else is in flight", () => {
  const budget = new Budget(10);
  assert.ok(budget.fits(1000));
});

test("unfinished messages alone never stop the reading that would finish them", () => {
  const budget = new Budget(100);
  budget.take(100);
  budget.hold(100);
  assert.ok(budget.fits(50));
  budget.take(10);
  assert.ok(!budget.fits(50));
});

test("whoever waits hears of it when something is given back", async () => {
  const budget = new Budget(10);
  budget.take(10);
  const changed = budget.changed();
  budget.give(10);
  await changed;
});

test("nothing more fits while whoever takes it has enough, but for what ends a message", async () => {
  const budget = new Budget(100);
  budget.take(10);
  budget.sate(true);
  assert.ok(!budget.fits(1));
  budget.hold(10);
  assert.ok(budget.fits(1));
  budget.hold(-10);
  const changed = budget.changed();
  budget.sate(false);
  await changed;
  assert.ok(budget.fits(90));
});

test("giving back more than was taken is a bug that is told", () => {
  assert.throws(() => new Budget(10).give(1), /given back twice/);
});
