/** Following real files: growth, rotation, restart, deletion, and resuming, from the folder to the lane's door. */
import assert from "node:assert/strict";
import { appendFileSync, renameSync, statSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { ConsumerOptions } from "../../../agent/consumer.ts";
import { criLine, LogNode } from "../../support/node.ts";
import { temporaryFolder, until } from "../../support/program.ts";
import { Reader } from "../../support/reader.ts";

async function follow(
  context: TestContext,
  root: string,
  options: Partial<ConsumerOptions> = {},
  accepting = true,
): Promise<Reader> {
  const reader = await Reader.start(root, options, accepting);
  context.after(() => reader.stop());
  return reader;
}

function setUp(context: TestContext): { root: string; node: LogNode } {
  const root = temporaryFolder(context);
  return { root, node: new LogNode(root) };
}

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `line ${from + i}`);

test("lines that are there, lines that come, and files that appear later are all read from their beginning", async (context) => {
  const { root, node } = setUp(context);
  const early = node.container("early");
  early.write(...numbers(0, 3));
  const reader = await follow(context, root);
  early.write(...numbers(3, 5));
  const late = node.container("late");
  late.write(...numbers(5, 7));
  await until(() => reader.records.length >= 7, "seven lines");
  assert.deepEqual(reader.messages.toSorted(), numbers(0, 7));
  reader.ledger();
});

test("what is written between the look at a file's size and its reading is read once", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  const reader = await follow(context, root);
  let between: string | undefined;
  reader.beforeRead = () => {
    if (between !== undefined) container.write(between);
    between = undefined;
  };
  for (let line = 0; line < 10; line += 2) {
    between = `line ${line + 1}`;
    container.write(`line ${line}`);
    await until(() => reader.messages.includes(`line ${line + 1}`), "the line in between");
  }
  assert.deepEqual(reader.messages, numbers(0, 10));
  reader.ledger();
});

test("a line that is not finished yet is read when its end is there", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  const line = criLine("whole");
  container.raw(line.slice(0, 30));
  const reader = await follow(context, root);
  container.raw(line.slice(30));
  container.write("next");
  await until(() => reader.records.length === 2, "two lines");
  assert.deepEqual(reader.messages, ["whole", "next"]);
});

test("rotations lose nothing and keep the order, also when several come at once", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  const reader = await follow(context, root);
  for (let i = 0; i < 6; i++) {
    container.write(...numbers(i * 10, i * 10 + 10));
    container.rotate({ gzip: true });
  }
  container.write("line 60");
  await until(() => reader.records.length >= 61, "all lines");
  assert.deepEqual(reader.messages, numbers(0, 61));
  reader.ledger();
});

test("the runtime's late writes to a renamed file are read before its successor", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.write("first");
  const reader = await follow(context, root);
  await until(() => reader.records.length === 1, "the first line");
  renameSync(container.file, `${container.file}.20261122-100000`);
  appendFileSync(container.file, criLine("in the new file"));
  appendFileSync(`${container.file}.20261122-100000`, criLine("late"));
  await until(() => reader.records.length === 3, "three lines");
  assert.deepEqual(reader.messages, ["first", "late", "in the new file"]);
});

test("a rename that is taken back repeats nothing", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.write("one");
  const reader = await follow(context, root);
  await until(() => reader.records.length === 1, "one line");
  const rotated = `${container.file}.20261122-100000`;
  renameSync(container.file, rotated);
  await until(() => [...reader.tailer.chains.values()][0]?.files[0]?.path === rotated, "the rename is seen");
  renameSync(rotated, container.file);
  container.write("two");
  await until(() => reader.records.length === 2, "two lines");
  assert.deepEqual(reader.messages, ["one", "two"]);
});

test("a message that a rotation cuts is one message, under the id of its beginning", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.raw(criLine("begin ", "stdout", "P"));
  const reader = await follow(context, root);
  container.rotate();
  container.raw(criLine("other stream", "stderr"));
  container.raw(criLine("end", "stdout", "F"));
  await until(() => reader.records.length === 2, "two messages");
  assert.deepEqual(reader.messages, ["other stream", "begin end"]);
  assert.match(reader.records[1]?.id ?? "", /-0$/);
  assert.notEqual(reader.records[0]?.id.slice(0, 16), reader.records[1]?.id.slice(0, 16));
  reader.ledger();
});

test("a checkpoint never splits a message: after a restart it is read whole again", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.write("before");
  container.raw(criLine("begin ", "stdout", "P"));
  container.raw(criLine("between", "stderr"));
  const first = await Reader.start(root);
  await until(() => first.records.length === 2, "two lines");
  await first.stop();
  container.raw(criLine("end"));
  const second = await follow(context, root);
  container.write("after");
  await until(() => second.records.length === 2, "the rest");
  assert.deepEqual(second.messages, ["begin end", "after"], "the other stream was ahead, and does not come again");
});

test("a restart goes on where acceptance ended, through rotations and compression meanwhile", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.write(...numbers(0, 5));
  const first = await Reader.start(root);
  await until(() => first.records.length === 5, "five lines");
  await first.stop();
  container.write(...numbers(5, 8));
  for (let i = 0; i < 3; i++) {
    container.rotate({ gzip: true });
    container.write(...numbers(8 + i * 2, 10 + i * 2));
  }
  const second = await follow(context, root);
  await until(() => second.records.length >= 9, "the rest");
  assert.deepEqual(second.messages, numbers(5, 14));
});

test("what was not accepted is read again under the same ids", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.write(...numbers(0, 4));
  const first = await Reader.start(root, {}, false);
  await until(() => first.records.length === 4, "four lines");
  first.records[0]?.settle("shipped");
  first.records[2]?.settle("shipped");
  await first.stop();
  const second = await follow(context, root);
  await until(() => second.records.length === 4, "four lines again");
  assert.deepEqual(
    second.records.map(({ id }) => id),
    first.records.map(({ id }) => id),
  );
});

test("a container that restarts goes on in its next file, and its unfinished last line is complete", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.write("run 0");
  container.raw(criLine("no newline at exit", "stdout", "P"));
  const reader = await follow(context, root);
  container.restart();
  container.write("run 1");
  await until(() => reader.records.length === 3, "three messages");
  assert.deepEqual(
    reader.records.map(({ message, restart }) => [restart, message]),
    [
      [0, "run 0"],
      [0, "no newline at exit"],
      [1, "run 1"],
    ],
  );
});

test("runs that are there together are read from the first, in whatever order their links are found", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  for (let run = 0; run < 4; run++) {
    container.write(`run ${run}`);
    renameSync(container.link, join(root, "containers", `${9 - run}.log`));
    if (run < 3) container.restart();
  }
  const reader = await follow(context, root);
  await until(() => reader.records.length >= 4, "four lines");
  assert.deepEqual(reader.messages, ["run 0", "run 1", "run 2", "run 3"]);
});

test("a deleted pod is read to its end from the open file, and then let go", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.write("seen");
  const reader = await follow(context, root);
  await until(() => reader.records.length === 1, "one line");
  container.write("last words");
  container.raw(criLine("unfinished", "stderr", "P"));
  container.delete();
  await until(() => reader.tailer.chains.size === 0, "the pod is let go");
  assert.deepEqual(reader.messages, ["seen", "last words", "unfinished"]);
  assert.equal(reader.consumer.cursors.size, 0);
  assert.equal(reader.consumer.budget.used, 0);
});

test("a pod that is deleted before its end was accepted keeps its checkpoint until it is", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.write("slow");
  const reader = await follow(context, root, {}, false);
  await until(() => reader.records.length === 1, "one line");
  container.delete();
  await until(() => [...reader.consumer.cursors.values()][0]?.done === true, "all is read");
  assert.equal(reader.consumer.cursors.size, 1);
  reader.accept();
  await until(() => reader.tailer.chains.size === 0, "the pod is let go");
});

test("an unfinished message of a container that no longer writes is shipped after partialTimeout", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.raw(criLine("prompt> ", "stdout", "P"));
  const reader = await follow(context, root, { partialTimeout: 300 });
  await until(() => reader.records.length === 1, "the prompt");
  assert.deepEqual(reader.messages, ["prompt> "]);
  await until(() => reader.ledger().pending === 0, "nothing is pending");
});

test("startAt end leaves out what an output's first run finds, and nothing that comes later", async (context) => {
  const { root, node } = setUp(context);
  const old = node.container("old");
  old.write("history");
  old.rotate();
  old.write("more history");
  const first = await Reader.start(root, { startAt: "end" });
  old.write("news");
  node.container("new").write("from its beginning");
  await until(() => first.records.length === 2, "two lines");
  assert.deepEqual(first.messages.toSorted(), ["from its beginning", "news"]);
  await first.stop();
  node.container("while away").write("also from its beginning");
  const second = await follow(context, root, { startAt: "end" });
  await until(() => second.records.length === 1, "the one line");
  assert.deepEqual(second.messages, ["also from its beginning"]);
});

test("a line longer than any record may be is cut and marked, and the next one is intact", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.write("a".repeat(500_000), "after it");
  container.write("b".repeat(90_000));
  const reader = await follow(context, root, { maxRecordBytes: 70_000 });
  await until(() => reader.records.length === 3, "three lines");
  assert.deepEqual(
    reader.records.map(({ message, truncated }) => [message.length, truncated]),
    [
      [70_000, true],
      [8, false],
      [70_000, true],
    ],
  );
  reader.ledger();
});

test("a hole of NULs, however long, costs no memory and no line", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.write("before");
  const holeBytes = 40 << 20;
  truncateSync(container.file, statSync(container.file).size + holeBytes);
  container.write("after", "and after");
  const reader = await follow(context, root, { maxRecordBytes: 70_000 });
  await until(() => reader.records.length === 3, "three lines");
  assert.deepEqual(reader.messages, ["before", "after", "and after"]);
  assert.ok((reader.records[1]?.size ?? 0) > holeBytes);
  reader.ledger();
});

test("lines that fit no format are records too, and what they cost is counted", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.raw("neither\n{broken\n");
  container.write("good");
  const reader = await follow(context, root);
  await until(() => reader.records.length === 3, "three records");
  assert.deepEqual(reader.messages, ["neither", "{broken", "good"]);
  assert.deepEqual(
    reader.records.map(({ unparsed }) => unparsed),
    [true, true, false],
  );
});

test("reading stops at the byte budget and goes on when something is accepted", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  for (let i = 0; i < 40; i++) container.write(...Array.from({ length: 100 }, () => "x".repeat(100)));
  const memory = 128 * 1024;
  const reader = await follow(context, root, { memory }, false);
  await until(() => reader.consumer.budget.used + 64 * 1024 > memory, "the budget is full");
  assert.ok(reader.consumer.budget.used <= memory);
  assert.ok(reader.records.length < 4000);
  reader.accept();
  await until(() => reader.records.length === 4000, "all lines");
});

test("a dangling link, a link out of the roots, a foreign folder: told once each, and the rest goes on", async (context) => {
  const { root, node } = setUp(context);
  const outside = temporaryFolder(context);
  writeFileSync(join(outside, "secret.log"), "secret\n");
  symlinkSync(join(outside, "secret.log"), join(root, "containers", "outside.log"));
  symlinkSync(join(root, "pods", "nowhere"), join(root, "containers", "dangling.log"));
  writeFileSync(join(root, "foreign.log"), "foreign\n");
  symlinkSync(join(root, "foreign.log"), join(root, "containers", "foreign.log"));
  const reader = await follow(context, root);
  node.container("web").write("fine");
  await until(() => reader.records.length === 1, "the good pod's line");
  assert.deepEqual(reader.messages, ["fine"]);
  const states = reader.tailer.states();
  assert.deepEqual([states.get("outside"), states.get("dangling"), states.get("foreign")], [1, 1, 1]);
  assert.equal(reader.kept.lines.filter(({ level }) => level === "warn").length, 3);
});

test("a link that dangled at first is followed once its file is there", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  const away = join(root, "away.log");
  renameSync(container.file, away);
  const reader = await follow(context, root);
  assert.equal(reader.tailer.states().get("dangling"), 1);
  renameSync(away, container.file);
  container.write("here");
  await until(() => reader.records.length === 1, "the line");
});
