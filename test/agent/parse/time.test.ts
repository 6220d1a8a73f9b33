import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TimeParser } from "../../../agent/parse/time.ts";
import { parseTime, type Time } from "../../reference/time.ts";

function parse(text: string, parser = new TimeParser()): Time | undefined {
  // Bytes behind the end must not matter.
  const end = parser.parse(Buffer.from(`>${text}0Z+00:00`, "latin1"), 1, 1 + text.length);
  const { seconds, nanos, digits } = parser;
  return end === 1 + text.length ? { seconds, nanos, digits } : undefined;
}

const good: [string, number, number, number][] = [
  ["1970-01-01T00:00:00Z", 0, 0, 0],
  ["2026-03-01T10:00:00.123456789Z", 1772359200, 123456789, 9],
  ["2026-03-01T10:00:00.12Z", 1772359200, 120000000, 2],
  ["2026-03-01T10:00:01Z", 1772359201, 0, 0],
  ["2026-03-01T12:00:01.5+02:00", 1772359201, 500000000, 1],
  ["2026-03-01T10:00:00.000000001+00:00", 1772359200, 1, 9],
  ["2026-03-01T10:00:00.000000001-00:00", 1772359200, 1, 9],
  ["2026-03-01T15:30:00+05:30", 1772359200, 0, 0],
  ["2026-03-01T00:30:00-09:30", 1772359200, 0, 0],
  ["2026-03-01T10:00:00.1234567899Z", 1772359200, 123456789, 9],
  ["2024-02-29T23:59:59Z", 1709251199, 0, 0],
  ["2000-02-29T00:00:00Z", 951782400, 0, 0],
  ["1969-12-31T23:59:59.5Z", -1, 500000000, 1],
  ["0000-01-01T00:00:00Z", -62167219200, 0, 0],
  ["9999-12-31T23:59:59Z", 253402300799, 0, 0],
];
for (const [text, seconds, nanos, digits] of good) {
  test(`${text} is ${seconds} seconds and ${nanos} nanoseconds`, () => {
    assert.deepEqual(parse(text), { seconds, nanos, digits });
    assert.deepEqual(parseTime(text), { seconds, nanos, digits });
  });
}

const bad = [
  ...["", "2026-03-01", "2026-03-01T10:00:00", "2026-03-01T10:00:00z", "2026-03-01t10:00:00Z", "2026-03-01 10:00:00Z"],
  ...["2026-02-29T10:00:00Z", "1900-02-29T10:00:00Z", "2026-04-31T10:00:00Z", "2026-00-01T10:00:00Z"],
  ...["2026-13-01T10:00:00Z", "2026-03-00T10:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T10:60:00Z"],
  ...["2026-03-01T10:00:60Z", "2026-03-01T10:00:00.Z", "2026-03-01T10:00:00,5Z", "2026-03-01T10:00:00+24:00"],
  ...["2026-03-01T10:00:00+02:60", "2026-03-01T10:00:00+0200", "2026-03-01T10:00:00+02:0", "2026-03-01T10:00:00.5"],
  ...["026-03-01T10:00:00Z", "2026-3-01T10:00:00.1Z", "2026-03-01T10:00:00.5x", "-026-03-01T10:00:00Z"],
];
for (const text of bad) {
  test(`"${text}" is no time`, () => {
    assert.equal(parse(text), undefined);
    assert.equal(parseTime(text), undefined);
  });
}

test("a time that fails leaves the one before it untouched", () => {
  const parser = new TimeParser();
  parse("2026-03-01T10:00:00.5Z", parser);
  parse("2026-03-01T10:00:61.75Z", parser);
  parse("2026-03-99T10:00:61.75Z", parser);
  assert.deepEqual([parser.seconds, parser.nanos, parser.digits], [1772359200, 500000000, 1]);
});

const number = (max: number, width = 2) => fc.integer({ min: 0, max }).map((n) => String(n).padStart(width, "0"));
const times = fc
  .tuple(
    number(9999, 4),
    ...[number(13), number(32), number(24), number(60), number(60)],
    fc.oneof(fc.constant(""), fc.stringMatching(/^\.[0-9]{0,11}$/)),
    fc.oneof(fc.constant("Z"), fc.stringMatching(/^[+-][012][0-9]:[0-6][0-9]$/)),
  )
  .map(([y, mo, d, h, mi, s, fraction, zone]) => `${y}-${mo}-${d}T${h}:${mi}:${s}${fraction}${zone}`);
const damaged = fc
  .tuple(times, fc.nat(40), fc.constantFrom("", "0", "9", ":", "-", ".", "Z", " ", "\0", "\xff"))
  .map(([text, at, other]) => text.slice(0, at) + other + text.slice(at + 1));

test("times are what the slow twin says, whatever was parsed before", () => {
  const parser = new TimeParser();
  fc.assert(
    fc.property(fc.oneof(times, damaged), (text) => assert.deepEqual(parse(text, parser), parseTime(text))),
    { numRuns: 3000 },
  );
});
