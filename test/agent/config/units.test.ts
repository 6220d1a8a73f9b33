import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../../agent/config/units.ts";

const sizes: readonly (readonly [string | number, number | undefined])[] = [
  [0, 0],
  [1048576, 1048576],
  ["1048576", 1048576],
  ["10B", 10],
  ["500KB", 500_000],
  ["2MB", 2_000_000],
  ["1GB", 1e9],
  ["1KiB", 1024],
  ["4MiB", 4 * 1024 ** 2],
  ["1.5 GiB", 1.5 * 1024 ** 3],
  ["1Ki", 1024],
  ["3Mi", 3 * 1024 ** 2],
  ["2Gi", 2 * 1024 ** 3],
  ["", undefined],
  ["5.5", undefined],
  ["-1", undefined],
  [-1, undefined],
  [Number.NaN, undefined],
  [Number.POSITIVE_INFINITY, undefined],
  ["1e3", undefined],
  ["4mb", undefined],
  ["4M", undefined],
  ["MiB", undefined],
  ["4 MiB more", undefined],
  ["9999999999999GiB", undefined],
];

const durations: readonly (readonly [string | number, number | undefined])[] = [
  [0, 0],
  ["0", 0],
  ["250ms", 250],
  ["10s", 10_000],
  ["1.5s", 1500],
  ["5 m", 300_000],
  ["1h", 3_600_000],
  [10, undefined],
  ["10", undefined],
  ["1d", undefined],
  ["-1s", undefined],
  ["1h30m", undefined],
  ["", undefined],
];

test("sizes are read as bytes, and what is no size is told apart", () => {
  for (const [written, bytes] of sizes) assert.equal(parseSize(written), bytes, String(written));
});

test("durations are read as milliseconds, and what is no duration is told apart", () => {
  for (const [written, ms] of durations) assert.equal(parseDuration(written), ms, String(written));
});

test("what is printed is read as the same again", () => {
  for (const value of [0, 1, 999, 1000, 1024, 1500, 60_000, 90_000, 1024 ** 2, 3_600_000, 32 * 1024 ** 2, 1024 ** 3]) {
    assert.equal(parseSize(formatSize(value)), value);
    assert.equal(parseDuration(formatDuration(value)), value);
  }
  assert.equal(formatSize(32 * 1024 ** 2), "32MiB");
  assert.equal(formatDuration(10_000), "10s");
});
