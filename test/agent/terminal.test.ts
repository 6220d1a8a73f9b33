/** What people read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { columns, printable, sayBytes, saySeconds } from "../../agent/terminal.ts";

test("bytes are said in the largest unit that they fill", () => {
  const CASES: [number, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [150_000, "146 KiB"],
    [32 * 1024 ** 2, "32.0 MiB"],
    [5 * 1024 ** 3, "5.0 GiB"],
    [7 * 1024 ** 4, "7.0 TiB"],
  ];
  for (const [bytes, said] of CASES) assert.equal(sayBytes(bytes), said);
});

test("seconds are said in at most two units", () => {
  const CASES: [number, string][] = [
    [-1, "0 s"],
    [0.4, "0 s"],
    [119, "119 s"],
    [120, "2 min"],
    [3600, "1 h 0 min"],
    [100_000, "27 h 46 min"],
    [200_000, "2 d 7 h"],
  ];
  for (const [seconds, said] of CASES) assert.equal(saySeconds(seconds), said);
});

test("a log can't steer the terminal it is shown in", () => {
  assert.equal(printable("a\x1b[2J\tb\r\n\x7f\u009bc é"), "a\\x1b[2J\tb\\x0d\\x0a\\x7f\\x9bc é");
});

test("columns are as wide as their widest cell, and lines end with their text", () => {
  assert.equal(
    columns([
      ["A", "LONG", "C"],
      ["wide", "", ""],
      ["x", "y", "zz"],
    ]),
    "A     LONG  C\nwide\nx     y     zz\n",
  );
});
