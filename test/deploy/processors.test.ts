/** The examples of docs/processors.md are what `tailrace explain` prints. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import { explain } from "../../agent/explain.ts";
import { loadGood } from "../support/config.ts";
import { REPOSITORY } from "./kubernetes.ts";

const page = readFileSync(join(REPOSITORY, "docs", "processors.md"), "utf8");
const EXAMPLE = /```yaml\n([^`]*)```\n\n```log\n([^`]*)```\n\n```explain\n([^`]*)```/g;
const examples = [...page.matchAll(EXAMPLE)];

test("every block of a log in docs/processors.md belongs to an example", () => {
  assert.equal(examples.length, page.split("```log\n").length - 1);
  assert.ok(examples.length >= 9);
});

for (const [, processors = "", log = "", expected = ""] of examples)
  test(`docs/processors.md: ${processors.split("\n")[0]}`, async (context) => {
    const text = `nodeName: node-a\nprocessors:\n${processors}outputs: [{ name: out, type: console }]\n`;
    let printed = "";
    await explain(
      loadGood(context, text).config,
      "-",
      Readable.from([Buffer.from(log)]),
      1_790_000_000,
      {},
      (line) => {
        printed += line;
      },
      async () => true,
    );
    assert.equal(printed, expected);
  });

test("the configuration at the beginning of docs/processors.md is valid", (context) => {
  loadGood(context, /```yaml\n([^`]*)```/.exec(page)?.[1] ?? "");
});
