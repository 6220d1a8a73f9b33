import assert from "node:assert/strict";
import { test } from "node:test";
import { Scanner } from "../../../agent/parse/scanner.ts";
import { flushRows, type ScannedRow, scanBytes } from "../../support/scanning.ts";

const TIME = "2026-03-01T10:00:00.123456789Z";

function newScanner(format: "auto" | "cri" | "docker" = "auto"): Scanner {
  return new Scanner({ format, maxRecordBytes: 1024 });
}

/** Rows of a text whose characters are bytes. */
function scanText(text: string, scanner = newScanner(), final = false): ScannedRow[] {
  return scanBytes(scanner, Buffer.from(text, "latin1"), { final });
}

const messages: [name: string, line: string, stream: string, message: string][] = [
  ["a plain line", `${TIME} stdout F hello\n`, "stdout", "hello"],
  ["a line of stderr", `${TIME} stderr F hello\n`, "stderr", "hello"],
  ["containerd's empty line", "2026-03-01T10:00:00.12Z stdout F \n", "stdout", ""],
  ["a line without the blank after its tag", `${TIME} stdout F\n`, "stdout", ""],
  ["a time without a fraction", "2026-03-01T10:00:01Z stdout F hello\n", "stdout", "hello"],
  ["a lone CR inside", "2026-03-01T12:00:01.5+02:00 stdout F 10%\r20%\n", "stdout", "10%\r20%"],
  ["conmon's CR before the newline", "2026-03-01T10:00:00.123456789+00:00 stdout F hello\r\n", "stdout", "hello"],
  ["two CRs before the newline", `${TIME} stdout F hello\r\r\n`, "stdout", "hello\r"],
  ["nothing but a CR", `${TIME} stdout F \r\n`, "stdout", ""],
  ["a tag behind F", `${TIME} stdout F:x hello\n`, "stdout", "hello"],
  ["several tags behind F", `${TIME} stdout F:x:yz hello\n`, "stdout", "hello"],
  ["an unknown tag", `${TIME} stdout X hello\n`, "stdout", "hello"],
  ["tags and no content", `${TIME} stdout F:x\n`, "stdout", ""],
  ["blanks around the content", `${TIME} stdout F  hello \t\n`, "stdout", " hello \t"],
  ["content that looks like a CRI line", `${TIME} stdout F ${TIME} stderr P x\n`, "stdout", `${TIME} stderr P x`],
  ["a NUL in the content", `${TIME} stdout F a\0b\n`, "stdout", "a\0b"],
  ["NULs before the line", `\0\0\0${TIME} stdout F hello\n`, "stdout", "hello"],
  ["invalid UTF-8", `${TIME} stdout F a\xffb\n`, "stdout", "a\ufffdb"],
  ["a byte order mark", `${TIME} stdout F \xef\xbb\xbfa\n`, "stdout", "\ufeffa"],
];
for (const [name, line, stream, message] of messages) {
  test(`CRI: ${name} is a message`, () => {
    const [row, ...others] = scanText(line);
    assert.ok(row !== undefined && others.length === 0);
    assert.deepEqual([row.stream, row.message, row.unparsed], [stream, message, false]);
    assert.deepEqual([row.offset, row.size], [0, line.length]);
  });
}

const unparsable: [name: string, line: string, counter: string, message?: string][] = [
  ["a line of another kind", "panic: runtime error\n", "unknownErrors"],
  ["an empty line", "\n", "unknownErrors"],
  ["a line of nothing but NULs", "\0\0\0\n", "unknownErrors", ""],
  ["a line without tag", `${TIME} stdout hello world\n`, "criErrors"],
  ["two blanks after the stream", `${TIME} stdout  hello\n`, "criErrors"],
  ["a lower-case word for a tag", `${TIME} stdout f hello\n`, "criErrors"],
  ["a time alone", `${TIME}\n`, "criErrors"],
  ["a time and a blank", `${TIME} \n`, "criErrors"],
  ["a time and a stream", `${TIME} stdout\n`, "criErrors"],
  ["a time, a stream and a blank", `${TIME} stdout \n`, "criErrors"],
  ["another stream", `${TIME} stdlog F hello\n`, "criErrors"],
  ["a stream that goes on", `${TIME} stdoutx F hello\n`, "criErrors"],
  ["a bad time", "2026-02-30T10:00:00Z stdout F hello\n", "criErrors"],
  ["a partial line with a bad time", "2026-03-01T10:00 stdout P hello\n", "criErrors"],
  ["a tab after the time", `${TIME}\tstdout F hello\n`, "criErrors"],
  ["a JSON object", '{"level":"info"}\n', "dockerErrors"],
  ["NULs and then no line", "\0\0hello\n", "unknownErrors", "hello"],
  ["a CR before the newline", "hello\r\n", "unknownErrors", "hello"],
  ["invalid UTF-8", "\xc3\n", "unknownErrors", "\ufffd"],
];
for (const [name, line, counter, message = line.slice(0, -1)] of unparsable) {
  test(`${name} becomes an unparsed row with the last good time, and is counted`, () => {
    const scanner = newScanner();
    const good = `${TIME} stderr F good\n`;
    const [first, row, third, ...others] = scanText(good + line + good, scanner);
    assert.ok(first !== undefined && row !== undefined && third !== undefined && others.length === 0);
    const { seconds, nanos, digits } = first;
    const { originalBytes, generation, ...rest } = row;
    const place = { offset: good.length, size: line.length };
    assert.deepEqual(rest, { message, unparsed: true, stream: "stdout", ...place, seconds, nanos, digits });
    assert.deepEqual(third, { ...first, offset: good.length + line.length });
    const none = { criErrors: 0, dockerErrors: 0, unknownErrors: 0, truncated: 0 };
    assert.deepEqual(scanner.counts, { ...none, [counter]: 1 });
  });
}

test("the time of an unparsable line can be given to a scanner that starts in the middle", () => {
  const scanner = newScanner();
  scanner.lastSeconds = 7;
  scanner.lastNanos = 120;
  scanner.lastDigits = 8;
  const [row] = scanText("x\n", scanner);
  assert.deepEqual([row?.seconds, row?.nanos, row?.digits], [7, 120, 8]);
});

test("format cri takes a JSON object for a broken CRI line, format docker a CRI line for a broken docker line", () => {
  const cri = newScanner("cri");
  const docker = newScanner("docker");
  const dockerLine = '{"log":"x\\n","stream":"stdout","time":"2026-03-01T10:00:00Z"}\n';
  assert.equal(scanText(dockerLine, cri)[0]?.message, dockerLine.slice(0, -1));
  assert.equal(scanText(`${TIME} stdout F x\n`, docker)[0]?.message, `${TIME} stdout F x`);
  assert.deepEqual([cri.counts.criErrors, docker.counts.dockerErrors], [1, 1]);
});

test("CRI and docker lines in one file are told apart line by line", () => {
  const dockerLine = '{"log":"b\\n","stream":"stdout","time":"2026-03-01T10:00:00Z"}\n';
  const rows = scanText(`${TIME} stdout F a\n${dockerLine}${TIME} stdout F c\n`);
  assert.deepEqual(
    rows.map((row) => row.message),
    ["a", "b", "c"],
  );
});

test("CRI: parts of both streams in turn are joined each with its own, under the time and place of the first", () => {
  const lines = [
    "2026-03-01T10:00:01Z stdout P a\n",
    "2026-03-01T10:00:02Z stderr P:x 1\n",
    "2026-03-01T10:00:03Z stdout P \n",
    "not a line\n",
    "2026-03-01T10:00:04Z stderr F 2\n",
    "2026-03-01T10:00:05Z stdout F b\r\n",
  ];
  const scanner = newScanner();
  const rows = scanText(lines.join(""), scanner);
  const size = (...which: number[]) => which.reduce((sum, line) => sum + lines[line]!.length, 0);
  assert.deepEqual(
    rows.map((row) => [row.message, row.stream, row.seconds - 1772359200, row.offset, row.size]),
    [
      ["not a line", "stdout", 3, size(0, 1, 2), size(3)],
      ["12", "stderr", 2, size(0), size(1, 4)],
      ["ab", "stdout", 1, 0, size(0, 2, 5)],
    ],
  );
  assert.deepEqual([scanner.pendingBytes, scanner.heldBytes, scanner.pendingFrom], [0, 0, undefined]);
});

test("CRI: a character that was split between parts is whole again", () => {
  const rows = scanText(`${TIME} stdout P a\xc3\n${TIME} stdout F \xa9b\n${TIME} stdout F \xc3\n`);
  assert.deepEqual(
    rows.map((row) => row.message),
    ["aéb", "\ufffd"],
  );
});

test("CRI: a P line with nothing after it is a message when the container has ended", () => {
  const scanner = newScanner();
  assert.deepEqual(scanText(`${TIME} stdout P bye\r\n`, scanner), []);
  const [row] = flushRows(scanner);
  assert.deepEqual([row?.message, row?.size], ["bye", TIME.length + 15]);
  assert.deepEqual(flushRows(scanner), []);
});

test("the rest of a file that ends without a newline is a line", () => {
  const [row, ...others] = scanText(`${TIME} stdout F hel`, newScanner(), true);
  assert.deepEqual([row?.message, row?.size, others.length], ["hel", TIME.length + 13, 0]);
});

test("half a line may not be given", () => {
  assert.throws(() => scanText("x"));
});
