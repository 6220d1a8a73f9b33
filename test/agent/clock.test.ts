import { equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isoTime, untilBeat } from "../../agent/clock.ts";

test("a time is written as Date's own toISOString writes it, in all years that RFC 3339 has", () => {
  const [first, last] = [Date.parse("0001-01-01T00:00:00Z"), Date.parse("9999-12-31T23:59:59.999Z")];
  for (const ms of [first, -1, 0, 951_782_400_000, last]) equal(isoTime(ms), new Date(ms).toISOString());
  fc.assert(fc.property(fc.integer({ min: first, max: last }), (ms) => equal(isoTime(ms), new Date(ms).toISOString())));
});

test("who rests until the same beat wakes up in the same millisecond, and never at once", () => {
  fc.assert(
    fc.property(fc.nat(1e9), fc.array(fc.double({ min: 0, max: 1999.5, noNaN: true })), (beat, moments) => {
      for (const moment of moments) {
        const now = beat * 2000 + moment;
        const rest = untilBeat(now, 2000);
        ok(rest >= 1 && rest <= 2000 && now + rest >= (beat + 1) * 2000 && now + rest < (beat + 1) * 2000 + 1.001);
      }
    }),
  );
});
