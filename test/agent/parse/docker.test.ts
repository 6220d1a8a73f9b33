import assert from "node:assert/strict";
import { test } from "node:test";
import { Scanner } from "../../../agent/parse/scanner.ts";
import { flushRows, type ScannedRow, scanBytes } from "../../support/scanning.ts";

const TIME = "2026-03-01T10:00:00.123456789Z";
const TAIL = `"stream":"stdout","time":"${TIME}"}\n`;

/** Rows of a text whose characters are bytes. */
function scanText(text: string, scanner = new Scanner({ format: "auto", maxRecordBytes: 1024 })): ScannedRow[] {
  return scanBytes(scanner, Buffer.from(text, "latin1"));
}

const messages: [name: string, line: string, stream: string, message: string][] = [
  ["a plain line", String.raw`{"log":"hello\n",${TAIL}`, "stdout", "hello"],
  ["a line of stderr", String.raw`{"log":"a\n","stream":"stderr","time":"${TIME}"}`, "stderr", "a"],
  ["an empty line", String.raw`{"log":"\n",${TAIL}`, "stdout", ""],
  [
    "a line with attrs and a CR",
    String.raw`{"log":"a\r\n","stream":"stderr","attrs":{"tag":"x","env":"prod"},"time":"${TIME}"}`,
    "stderr",
    "a",
  ],
  [
    "a line with escapes",
    String.raw`{"log":"\u003ca href=\"x\"\u003e\u0026 \ufffd\u0000\u001b[0m\u2028\n",${TAIL}`,
    "stdout",
    '<a href="x">& \ufffd\0\x1b[0m\u2028',
  ],
  ["every simple escape", String.raw`{"log":"\"\\\/\b\f\n\r\t\n",${TAIL}`, "stdout", '"\\/\b\f\n\r\t'],
  ["a backslash before an n", String.raw`{"log":"C:\\new\\n\n",${TAIL}`, "stdout", "C:\\new\\n"],
  ["a newline escaped by its number", String.raw`{"log":"a\u000a",${TAIL}`, "stdout", "a"],
  ["upper-case digits", String.raw`{"log":"\u00E9\u00e9\n",${TAIL}`, "stdout", "éé"],
  ["a surrogate pair", String.raw`{"log":"\ud83d\ude00\n",${TAIL}`, "stdout", "😀"],
  [
    "lone surrogates",
    String.raw`{"log":"\ud83dx\ude00\ude00\ud83d\ud83d\ude00\n",${TAIL}`,
    "stdout",
    "\ufffdx\ufffd\ufffd\ufffd😀",
  ],
  ["raw UTF-8", `{"log":"\xc3\xa9\\n",${TAIL}`, "stdout", "é"],
  ["raw bytes that are no UTF-8", `{"log":"\xc3\\n",${TAIL}`, "stdout", "\ufffd"],
  ["raw control bytes", `{"log":"a\0\tb\\n",${TAIL}`, "stdout", "a\0\tb"],
  [
    "another order and blanks",
    String.raw` { "time" : "${TIME}" , "log":"a\n", "stream":"stderr"} `.trimStart(),
    "stderr",
    "a",
  ],
  ["no stream", String.raw`{"log":"a\n","time":"${TIME}"}`, "stdout", "a"],
  ["an empty stream", String.raw`{"log":"a\n","stream":"","time":"${TIME}"}`, "stdout", "a"],
  [
    "unknown keys",
    String.raw`{"a":[1,{"b":"]}\""}],"c":-1e3,"d":null,"log":"a\n","e":true,"time":"${TIME}"}`,
    "stdout",
    "a",
  ],
  ["a key twice", String.raw`{"log":1,"log":"a\n","time":"x","time":"${TIME}"}`, "stdout", "a"],
  ["NULs before it", `\0\0{"log":"a\\n",${TAIL}`, "stdout", "a"],
  [
    "a time of another zone",
    String.raw`{"log":"a\n","stream":"stdout","time":"2026-03-01T10:00:00+00:00"}`,
    "stdout",
    "a",
  ],
];
for (const [name, text, stream, message] of messages) {
  test(`docker: ${name} is a message`, () => {
    const line = text.endsWith("\n") ? text : `${text}\n`;
    const [row, ...others] = scanText(line);
    assert.ok(row !== undefined && others.length === 0);
    assert.deepEqual([row.stream, row.message, row.unparsed], [stream, message, false]);
    assert.deepEqual([row.offset, row.size], [0, line.length]);
  });
}

const unparsable: [name: string, line: string][] = [
  ["half a line", '{"log":"abc'],
  ["a line cut in its time", '{"log":"a\\n","stream":"stdout","time":"2026-03-01T10:0'],
  ["two glued lines", `{"log":"abc{"log":"a\\n",${TAIL.trimEnd()}`],
  ["something behind the object", `{"log":"a\\n",${TAIL.trimEnd()}x`],
  ["no time", '{"log":"a\\n","stream":"stdout"}'],
  ["an empty object", "{}"],
  ["a bad time", '{"log":"a\\n","stream":"stdout","time":"2026-03-01T10:00:60Z"}'],
  ["a time with an escape", '{"log":"a\\n","time":"2026-03-01T10:00:00\\u005a"}'],
  ["another stream", `{"log":"a\\n","stream":"stdin","time":"${TIME}"}`],
  ["a stream that is no string", `{"log":"a\\n","stream":null,"time":"${TIME}"}`],
  ["a log that is no string", `{"log":1,"time":"${TIME}"}`],
  ["an escape that JSON has not", `{"log":"\\x41\\n",${TAIL.trimEnd()}`],
  ["an escape with too few digits", `{"log":"\\u00e\\n",${TAIL.trimEnd()}`],
  ["a trailing comma", `{"log":"a\\n","time":"${TIME}",}`],
  ["a missing colon", `{"log" "a\\n","time":"${TIME}"}`],
  ["a missing value", `{"log":,"time":"${TIME}"}`],
  ["an array that does not end", `{"x":[1,"time":"${TIME}"`],
];
for (const [name, line] of unparsable) {
  test(`docker: ${name} becomes an unparsed row`, () => {
    const scanner = new Scanner({ format: "auto", maxRecordBytes: 1024 });
    const next = '{"log":"next\\n","stream":"stdout","time":"2026-03-01T10:00:00Z"}\n';
    const [row, good, ...others] = scanText(`${line}\n${next}`, scanner);
    assert.ok(row !== undefined && good !== undefined && others.length === 0);
    assert.deepEqual([row.message, row.unparsed, row.size], [line, true, line.length + 1]);
    assert.deepEqual([good.message, good.unparsed, good.size], ["next", false, next.length]);
    assert.deepEqual(scanner.counts, { criErrors: 0, dockerErrors: 1, unknownErrors: 0, truncated: 0 });
  });
}

test("docker: parts without a newline are joined with what ends in one, for each stream", () => {
  const part = (log: string, stream: string) => `{"log":"${log}","stream":"${stream}","time":"${TIME}"}\n`;
  const scanner = new Scanner({ format: "auto", maxRecordBytes: 1024 });
  const lines = [
    part("a\\u003c", "stdout"),
    part("1", "stderr"),
    part("\\n", "stderr"),
    `{"time":"${TIME}"}\n`,
    part("b\\r\\n", "stdout"),
    part("end", "stdout"),
  ];
  assert.deepEqual(
    scanText(lines.join(""), scanner).map((row) => [row.message, row.stream, row.size]),
    [
      ["1", "stderr", lines[1]!.length + lines[2]!.length],
      ["a<b", "stdout", lines[0]!.length + lines[3]!.length + lines[4]!.length],
    ],
  );
  assert.equal(scanner.pendingBytes, lines[5]!.length);
  assert.deepEqual(
    flushRows(scanner).map((row) => row.message),
    ["end"],
  );
});
