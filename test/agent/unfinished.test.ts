/** Unfinished messages that are given up while another container is being read. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { criLine, LogNode } from "../support/node.ts";
import { temporaryFolder, until } from "../support/program.ts";
import { Reader } from "../support/reader.ts";

const SILENT = 60;
const LINES = 100_000;

test("a message that is given up during the reading of another container changes nothing there, and is shipped once", {
  timeout: 120_000,
}, async (context) => {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const busy = node.container("busy");
  let text = "";
  for (let i = 0; i < LINES; i++) text += criLine(`busy ${i} ${randomBytes(60).toString("hex")}`);
  busy.raw(text);
  // Unpacking takes its time, other than reading a plain file.
  busy.rotate();
  busy.rotate({ gzip: true });
  for (let i = 0; i < SILENT; i++) node.container(`silent-${i}`).raw(criLine(`silent-${i} begins`, "stdout", "P"));
  const reader = await Reader.start(root, { partialTimeout: 1 });
  context.after(() => reader.stop());
  await until(() => reader.records.length >= LINES + SILENT, "all is read");
  for (let i = 0; i < SILENT; i++)
    assert.deepEqual(
      reader.records.filter(({ pod }) => pod === `silent-${i}`).map(({ message }) => message),
      [`silent-${i} begins`],
    );
  const read = reader.records.filter(({ pod }) => pod === "busy").map(({ message }) => message.split(" ", 2).join(" "));
  assert.equal(read.length, LINES);
  assert.ok(read.every((message, i) => message === `busy ${i}`));
  assert.equal(reader.consumer.budget.used, 0);
});
