import assert from "node:assert/strict";
import { test } from "node:test";
import { Turns } from "../../agent/turns.ts";

test("who needs one turn goes before backlogs, which still have every second turn, each kind in its order", () => {
  const turns = new Turns<string>();
  for (const name of ["A", "B", "C"]) turns.push(name, false);
  for (const name of ["a", "b", "c", "d", "e"]) turns.push(name, true);
  const order = Array.from({ length: 9 }, () => turns.take());
  assert.deepEqual(order, ["a", "A", "b", "B", "c", "C", "d", "e", undefined]);
});

test("a line that comes in the middle of backlogs has the next turn but one at most", () => {
  const turns = new Turns<string>();
  for (const name of ["A", "B", "C"]) turns.push(name, false);
  assert.equal(turns.take(), "A");
  turns.push("a", true);
  assert.equal(turns.take(), "a");
  assert.equal(turns.take(), "B");
});

test("a backlog that is put back at once keeps its place for four turns, lines in between or not", () => {
  const turns = new Turns<string>();
  for (const name of ["A", "B"]) turns.push(name, false);
  const order = Array.from({ length: 14 }, (_, i) => {
    if (i === 1) turns.push("a", true);
    const name = turns.take();
    if (name !== undefined && name !== "a") turns.push(name, false);
    return name;
  });
  assert.equal(order.join(""), "AaAAABBBBAAAAB");
});
