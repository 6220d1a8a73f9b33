import { equal } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isoTime } from "../../agent/clock.ts";

test("a time is written as Date's own toISOString writes it, in all years that RFC 3339 has", () => {
  const [first, last] = [Date.parse("0001-01-01T00:00:00Z"), Date.parse("9999-12-31T23:59:59.999Z")];
  for (const ms of [first, -1, 0, 951_782_400_000, last]) equal(isoTime(ms), new Date(ms).toISOString());
  fc.assert(fc.property(fc.integer({ min: first, max: last }), (ms) => equal(isoTime(ms), new Date(ms).toISOString())));
});
