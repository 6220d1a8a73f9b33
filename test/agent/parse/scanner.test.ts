import assert from "node:assert/strict";
import { test } from "node:test";
import { Rows } from "../../../agent/batch.ts";
import { Scanner } from "../../../agent/parse/scanner.ts";
import { flushRows, generationOf, readRows, type ScannedRow, scanBytes, scanHead } from "../../support/scanning.ts";

const TIME = "2026-03-01T10:00:00Z";
const HEADER = `${TIME} stdout F `;

function newScanner(maxRecordBytes: number): Scanner {
  return new Scanner({ format: "auto", maxRecordBytes });
}

function scanText(scanner: Scanner, text: string, place: Parameters<typeof scanBytes>[2] = {}): ScannedRow[] {
  return scanBytes(scanner, Buffer.from(text), place);
}

const cuts: [name: string, content: string, max: number, message: string, originalBytes: number | undefined][] = [
  ["of just the limit", "abcd", 4, "abcd", undefined],
  ["of the limit and a CR", "abcd\r", 4, "abcd", undefined],
  ["one byte over", "abcde", 4, "abcd", 5],
  ["one byte and a CR over", "abcde\r", 4, "abcd", 5],
  ["with a CR at the limit", "abc\rxyz", 4, "abc\r", 7],
  ["with a character of two bytes across the limit", "abcéé", 4, "abc", 7],
  ["with a character of three bytes across the limit", "ab€", 4, "ab", 5],
  ["with a character of four bytes across the limit", "a😀", 4, "a", 5],
  ["with a character of four bytes before the limit", "😀a", 4, "😀", 5],
];
for (const [name, content, max, message, originalBytes] of cuts) {
  test(`a message ${name} is cut between characters, whole or in parts`, () => {
    const whole = newScanner(max);
    const [row] = scanText(whole, `${HEADER}${content}\n`);
    assert.deepEqual([row?.message, row?.originalBytes], [message, originalBytes]);
    assert.equal(row?.size, Buffer.byteLength(`${HEADER}${content}\n`));
    const bytes = Buffer.from(content);
    for (let at = 0; at <= bytes.length; at++) {
      const split = newScanner(max);
      const head = [Buffer.from(`${TIME} stdout P `), bytes.subarray(0, at), Buffer.from("\n")];
      const tail = [Buffer.from(HEADER), bytes.subarray(at), Buffer.from("\n")];
      const [joined] = scanBytes(split, Buffer.concat([...head, ...tail]));
      assert.deepEqual([joined?.message, joined?.originalBytes], [message, originalBytes]);
      assert.equal(split.counts.truncated, originalBytes === undefined ? 0 : 1);
    }
    assert.equal(whole.counts.truncated, originalBytes === undefined ? 0 : 1);
  });
}

test("an unparsable line over the limit is cut too", () => {
  const [row] = scanText(newScanner(4), "no line\r\n");
  assert.deepEqual([row?.message, row?.unparsed, row?.originalBytes, row?.size], ["no l", true, 7, 9]);
});

test("a message far over the limit holds no more memory than the limit, and counts all its bytes", () => {
  const scanner = newScanner(10_000);
  const part = `${TIME} stdout P ${"x".repeat(999)}\n${TIME} stderr P ${"y".repeat(999)}\n`;
  for (let i = 0; i < 50; i++) scanText(scanner, part, { offset: i * part.length });
  assert.equal(scanner.pendingBytes, 50 * part.length);
  assert.ok(scanner.heldBytes <= 20_000);
  const rows = flushRows(scanner);
  assert.deepEqual(
    rows.map((row) => [row.message.length, row.originalBytes, row.size]),
    [
      [10_000, 49_950, 25 * part.length],
      [10_000, 49_950, 25 * part.length],
    ],
  );
  assert.deepEqual([scanner.pendingBytes, scanner.heldBytes], [0, 0]);
});

test("a message that began in an earlier file has that file's generation and offset", () => {
  const scanner = newScanner(1024);
  const [old, next] = [generationOf("old"), generationOf("new")];
  scanText(scanner, `${TIME} stdout P a\n${TIME} stderr P 1\n`, { generation: old, offset: 100 });
  assert.deepEqual(scanner.pendingFrom, { generation: old, offset: 100 });
  const line = `${TIME} stdout P a\n`.length;
  const first = scanText(scanner, `${HEADER}b\n${TIME} stdout P c\n`, { generation: next });
  assert.deepEqual(
    first.map((row) => [row.message, row.generation, row.offset, row.size]),
    [["ab", "old", 100, 2 * line]],
  );
  assert.deepEqual(scanner.pendingFrom, { generation: old, offset: 100 });
  assert.equal(scanner.pendingBytes, 2 * line);
  const rest = flushRows(scanner, next);
  assert.deepEqual(
    rest.map((row) => [row.message, row.generation, row.offset]),
    [
      ["1", "old", 100 + line],
      ["c", "new", line],
    ],
  );
  assert.equal(scanner.pendingFrom, undefined);
});

test("while messages overlap, the place to go back to is the first one's beginning: from there none comes in pieces", () => {
  const scanner = newScanner(1024);
  const line = HEADER.length + 2;
  scanText(scanner, `${TIME} stderr P 1\n${TIME} stdout P a\n${TIME} stdout F b\n`);
  assert.equal(scanner.pendingFrom?.offset, 0);
  scanText(scanner, `${TIME} stdout P a\n${TIME} stderr F 2\n`, { offset: 3 * line });
  assert.equal(scanner.pendingFrom?.offset, 0);
  scanText(scanner, `${TIME} stdout F b\n`, { offset: 5 * line });
  scanText(scanner, `${TIME} stdout P a\n`, { offset: 6 * line });
  assert.equal(scanner.pendingFrom?.offset, 6 * line);
});

test("the head of a huge CRI line is a cut message, and the next line is untouched", () => {
  const scanner = newScanner(4);
  const [row] = scanHead(scanner, Buffer.from(`${HEADER}abcdef`), 1_000_000, 50);
  assert.deepEqual([row?.message, row?.offset, row?.size], ["abcd", 50, 1_000_000]);
  assert.equal(row?.originalBytes, 1_000_000 - HEADER.length - 1);
  assert.equal(scanText(scanner, `${HEADER}ok\n`)[0]?.message, "ok");
});

test("the head of a huge partial line is joined, and what is missing is counted", () => {
  const scanner = newScanner(4);
  assert.deepEqual(scanHead(scanner, Buffer.from(`${TIME} stdout P abé`), 1_000_000), []);
  assert.equal(scanner.pendingBytes, 1_000_000);
  const [row] = scanText(scanner, `${HEADER}xyz\n`, { offset: 1_000_000 });
  assert.deepEqual([row?.message, row?.size], ["abé", 1_000_000 + HEADER.length + 4]);
  assert.equal(row?.originalBytes, 1_000_000 - HEADER.length - 1 + 3);
});

test("the head of a huge docker line, or of one of no format, is an unparsed row", () => {
  const scanner = newScanner(8);
  for (const head of ['{"log":"abcdef', "garbage and more"]) {
    const [row] = scanHead(scanner, Buffer.from(head), 1_000_000);
    assert.deepEqual([row?.message, row?.unparsed, row?.originalBytes], [head.slice(0, 8), true, 999_999]);
  }
  assert.deepEqual(scanner.counts, { criErrors: 0, dockerErrors: 1, unknownErrors: 1, truncated: 2 });
});

test("NULs that the caller skipped belong to the line behind them, or to a row of their own at the end", () => {
  const scanner = newScanner(1024);
  const rows = new Rows();
  rows.reset({} as Rows["origin"], generationOf("g"));
  const text = `${HEADER}a\n${HEADER}b\n`;
  rows.used = rows.bytes.write(text);
  scanner.scan(rows, 0, rows.used, 1000, false, 600);
  scanner.scan(rows, rows.used, rows.used, 5000, true, 300);
  const line = text.length / 2;
  assert.deepEqual(
    readRows(rows).map((row) => [row.message, row.offset, row.size, row.unparsed]),
    [
      ["a", 400, line + 600, false],
      ["b", 1000 + line, line, false],
      ["", 4700, 300, true],
    ],
  );
});

test("messages that lie whole in the chunk are not copied", () => {
  const rows = new Rows(4096);
  rows.reset({} as Rows["origin"], generationOf("g"));
  const docker = `{"log":"b\\n","stream":"stdout","time":"${TIME}"}\n`;
  rows.used = rows.bytes.write(`${HEADER}a\n${docker}`);
  const end = rows.used;
  newScanner(1024).scan(rows, 0, end, 0, false);
  assert.equal(rows.used, end);
  assert.deepEqual(
    readRows(rows).map((row) => row.message),
    ["a", "b"],
  );
});
