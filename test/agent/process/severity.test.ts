import assert from "node:assert/strict";
import { test } from "node:test";
import { SEVERITIES, STDERR } from "../../../agent/batch.ts";
import { SeverityFinder, severityOfMessage, severityOfValue } from "../../../agent/process/severity.ts";
import { rowsOf } from "../../support/rows.ts";

test("a field's value is a word, a letter or a number of pino, bunyan or syslog", () => {
  for (const [value, expected] of [
    ['"error"', "error"],
    ['"WARNING"', "warn"],
    ['"Information"', "info"],
    ['"fatal"', "critical"],
    ['"emerg"', "emergency"],
    ['"NOTICE"', "notice"],
    ['"trace"', "trace"],
    ['"E"', "error"],
    ['"w"', "warn"],
    ["10", "trace"],
    ["30", "info"],
    ["35", "info"],
    ["50", "error"],
    ["60", "critical"],
    ['"40"', "warn"],
    ["0", "emergency"],
    ["3", "error"],
    ["7", "debug"],
    ["8", ""],
    ["-1", ""],
    ["1.5", ""],
    ["1e400", ""],
    ["null", ""],
    ["true", ""],
    ["{}", ""],
    ['""', ""],
    ['"errors"', ""],
    ['"notaseverityatall"', ""],
  ] as const) {
    const bytes = Buffer.from(value);
    assert.equal(SEVERITIES[severityOfValue(bytes, 0, bytes.length)], expected, value);
  }
});

test("a message tells its severity by the usual words at the usual places", () => {
  for (const [message, expected] of [
    ["E0924 12:00:00.000000       1 main.go:12] boom", "error"],
    ["I0924 12:00:00.000000       1 main.go:12] ERROR is only text", "info"],
    ["W0924 12:00:00.000000 1 a.go:1] x", "warn"],
    ["F0924 12:00:00.000000 1 a.go:1] x", "critical"],
    ["2026-09-24 12:00:00,123 WARN  [main] c.e.App: slow", "warn"],
    ["2026-09-24T12:00:00Z ERROR boom", "error"],
    ["ERROR: boom", "error"],
    ["error: boom", "error"],
    ["[error] 12#12: *1 open() failed", "error"],
    ["2026/09/24 12:00:00 [notice] 1#1: start", "notice"],
    ["[INFO] ready", "info"],
    ["time=2026 level=debug msg=x", "debug"],
    ['time=2026 level="warning" msg=x', "warn"],
    ['{"level":"error","msg":"x"}', "error"],
    ['{"ts":1,"severity" : "INFO"}', "info"],
    ["lvl=crit x", "critical"],
    ["FATAL exception in thread main", "critical"],
    ["<PANIC> x", "critical"],
    ["DEBUG a.b", "debug"],
    ["no error here", ""],
    ["an errors list", ""],
    ["fine, thanks", ""],
    ["HTTP/1.1 200 OK", ""],
    ["x=ERROR", ""],
    ["ERROR_CODE 5", ""],
    ["MY-ERROR x", ""],
    ["Alert the press", ""],
    ["ALERT the press", ""],
    ["", ""],
    [`${"x".repeat(200)} ERROR`, ""],
  ] as const) {
    const bytes = Buffer.from(message);
    assert.equal(SEVERITIES[severityOfMessage(bytes, 0, bytes.length)], expected, message);
  }
});

test("a word that is cut by the end of the message or of what is looked at is no other word", () => {
  const bytes = Buffer.from(`${"x".repeat(120)} WARN${"ED".repeat(20)}`);
  assert.equal(severityOfMessage(bytes, 0, bytes.length), 0);
  const longer = Buffer.from("ERRORS");
  assert.equal(SEVERITIES[severityOfMessage(longer, 0, 5)], "error");
});

test("what a parser found stays, then come fields, the message, and the default of the stream", () => {
  const rows = rowsOf(["ERROR x", "ERROR x", "plain", "plain"]);
  rows.severities()[0] = SEVERITIES.indexOf("debug");
  const fields = rows.members();
  const text = Buffer.from('level"warn"');
  rows.reserve(text.length);
  const at = rows.used;
  rows.used += text.copy(rows.bytes, at);
  fields.add(at, at + 5, at + 5, at + 11);
  fields.assign(rows.bytes, 1, 0);
  rows.flags[3] = STDERR;
  new SeverityFinder("notice", "alert", undefined).process(rows);
  assert.deepEqual(
    [...rows.severities().subarray(0, 4)].map((level) => SEVERITIES[level]),
    ["debug", "warn", "notice", "alert"],
  );
});
