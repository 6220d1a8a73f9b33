import assert from "node:assert/strict";
import { test } from "node:test";
import { giveBody, takeBody } from "../../outputs/spare.ts";

const bytes = (length: number, fill: string): Buffer => Buffer.alloc(length, fill);

test("a body has room of its own until it is given back, and the next one that fits takes that", () => {
  const first = takeBody([bytes(100_000, "a")]);
  const second = takeBody([bytes(100_000, "b")]);
  assert.notEqual(first.buffer, second.buffer);
  giveBody(first);
  const larger = takeBody([bytes(200_000, "c")]);
  assert.notEqual(larger.buffer, first.buffer);
  const third = takeBody([bytes(120_000, "d")]);
  assert.equal(third.buffer, first.buffer);
  assert.deepEqual(
    [second, larger, third],
    [bytes(100_000, "b"), bytes(200_000, "c"), bytes(120_000, "d")],
    "whole, each with its own bytes",
  );
  for (const body of [second, larger, third]) giveBody(body);
});

test("a body that is given back twice serves one at a time, and one of another make never", () => {
  const twice = takeBody([bytes(50_000, "a")]);
  giveBody(twice);
  giveBody(twice);
  const other = bytes(50_000, "x");
  giveBody(other);
  const taken = Array.from({ length: 20 }, (_, i) => takeBody([bytes(50_000, String.fromCharCode(97 + i))]));
  assert.equal(new Set(taken.map(({ buffer }) => buffer)).size, 20);
  assert.ok(taken.every(({ buffer }) => buffer !== other.buffer));
  for (const body of taken) giveBody(body);
});
