/** Presets on what real runtimes print: which lines make a record together. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Preset } from "../../../agent/process/presets.ts";
import { joinLines } from "../../support/joining.ts";

const tests = join(import.meta.dirname, "..", "..");
const lines = (path: string): string[] => readFileSync(join(tests, path), "utf8").replace(/\n$/, "").split("\n");

/** By text: how many lines each record has. */
const TRACES: readonly [preset: Preset, text: string, records: readonly number[]][] = [
  ["java", "java.txt", [1, 17, 1, 54, 25, 1, 1, 17, 1, 6, 2]],
  ["python", "python.txt", [1, 1, 19, 1, 13, 1, 1, 14, 1, 1, 15, 8, 1, 13, 1, 5, 1, 1, 14]],
  ["go", "go-map.txt", [1, 7]],
  ["go", "go-nil.txt", [1, 6]],
  ["go", "go-error.txt", [1, 6]],
  ["go", "go-repanic.txt", [1, 10]],
  ["go", "go-overflow.txt", [1, 280]],
  ["go", "go-deadlock.txt", [13]],
  ["go", "go-quit.txt", [1, 130]],
  ["go", "go-http.txt", [1, 16, 1]],
  ["go", "go-stack.txt", [1, 5, 1]],
  ["go", "go-writes.txt", [1, 9]],
  ["node", "node-errors.txt", [1, 5, 12, 1, 8, 18, 1, 5, 1, 11]],
  ["node", "node-uncaught.txt", [1, 16]],
  ["node", "node-uncaught-text.txt", [1, 1, 7]],
  ["ruby", "ruby.txt", [1, 4, 1, 7, 1, 5, 1, 5, 1, 7]],
  ["php", "php.txt", [1, 10, 1, 1, 1, 1, 11]],
  ["php", "php-display.txt", [1, 10, 1, 1, 1, 1, 11]],
  ["dotnet", "dotnet-core.txt", [2, 10, 2, 12, 1]],
  ["dotnet", "dotnet-mono.txt", [1, 9, 1, 30, 1, 1, 1, 10, 9]],
];

for (const [preset, text, records] of TRACES) {
  test(`${preset} joins ${text} into ${records.length} records`, () => {
    const printed = lines(`traces/${text}`);
    const messages = joinLines(preset, printed);
    assert.deepEqual(
      messages.map((message) => message.split("\n").length),
      records,
    );
    assert.equal(messages.join("\n"), printed.join("\n"), "no line is lost, doubled or moved");
  });
}

const APPS = "samples/apps/printed/";
const SAMPLES: readonly [preset: Preset, text: string, joined: readonly string[]][] = [
  [
    "java",
    "report-7b6d5c4f8-n3p5r.java.stderr",
    ["Report$ReportException: cannot load row", "java.lang.NumberFormatException: For", "java.lang.Exception: outer"],
  ],
  [
    "python",
    "report-7b6d5c4f8-n3p5r.python.stderr",
    [
      "Traceback (most recent call last):",
      "  + Exception Group Traceback (most recent call last):",
      "Traceback (most recent call last):",
    ],
  ],
  ["go", "api-6c8f9d7b5d-q9zlk.panicking.stderr", ["panic: assignment to entry in nil map"]],
  ["node", "report-7b6d5c4f8-n3p5r.node.stderr", ["Error: something failed", "/srv/app/server.js:4"]],
];

for (const [preset, text, joined] of SAMPLES) {
  test(`${preset} joins the traces of ${text}, and nothing else`, () => {
    const printed = lines(APPS + text);
    const messages = joinLines(preset, printed);
    const found = messages.filter((message) => message.includes("\n")).map((message) => message.split("\n")[0] ?? "");
    for (const [i, head] of joined.entries()) assert.ok(found[i]?.startsWith(head), `${found[i]} begins with ${head}`);
    assert.equal(messages.join("\n"), printed.join("\n"));
  });
}

const APART: readonly [preset: Preset, name: string, lines: readonly string[]][] = [
  ["java", "log lines", ["10:00 INFO a", "10:00 INFO java.lang.Exception: mentioned", "", "10:01 INFO b"]],
  ["python", "a header that nothing follows", ["Traceback (most recent call last):", "10:00 INFO other"]],
  ["python", "a warning's source line", ["/srv/a.py:1: UserWarning: x", "  warnings.warn('x')"]],
  ["go", "a log line about a panic", ["2026/11/24 10:00:00 recovered from panic: x", "2026/11/24 10:00:00 next"]],
  ["go", "an indented line", ["level=info", "\tindented", "next"]],
  ["node", "a line that ends with a number", ["GET /healthz:200", "GET /a:200", "^"]],
  ["ruby", "a raise below a log line", ["I, INFO -- : x", "a.rb:1:in `f': boom (RuntimeError)"]],
  ["php", "warnings", ["PHP Warning:  x in a.php on line 7", "PHP Warning:  y in a.php on line 8"]],
  ["dotnet", "text with dashes", ["a", "--- b", "c"]],
];

for (const [preset, name, printed] of APART) {
  test(`${preset} leaves ${name} alone`, () => {
    assert.deepEqual(joinLines(preset, printed), printed);
  });
}
