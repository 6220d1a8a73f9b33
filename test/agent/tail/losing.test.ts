/** What can't be read any more, or is not wanted any more: it is counted to the byte, told, and reading goes on behind it. */
import assert from "node:assert/strict";
import {
  appendFileSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { gzipSync } from "node:zlib";
import { chunkBytesOf } from "../../../agent/lines.ts";
import { Descriptors } from "../../../agent/tail/descriptors.ts";
import { checkHold } from "../../../agent/tail/hold.ts";
import { criLine, LogNode } from "../../support/node.ts";
import { temporaryFolder, until } from "../../support/program.ts";
import { Reader } from "../../support/reader.ts";

function setUp(context: TestContext): { root: string; node: LogNode } {
  const root = temporaryFolder(context);
  return { root, node: new LogNode(root) };
}

async function follow(context: TestContext, ...args: Parameters<typeof Reader.start>): Promise<Reader> {
  const reader = await Reader.start(...args);
  context.after(() => reader.stop());
  return reader;
}

const lines = (count: number, size = 1000): string =>
  Array.from({ length: count }, (_, i) => criLine(`${i} ${"x".repeat(size)}`)).join("");

test("a file that was cut and grew past the place that was read is read from its beginning", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.write("old one", "old two");
  const reader = await follow(context, root);
  await until(() => reader.records.length === 2, "two lines");
  const size = statSync(container.file).size;
  writeFileSync(container.file, criLine("new one") + criLine("new two, which is longer than what stood there before"));
  assert.ok(statSync(container.file).size > size);
  await until(() => reader.records.length === 4, "four lines");
  assert.deepEqual(reader.messages.slice(2), ["new one", "new two, which is longer than what stood there before"]);
  assert.deepEqual(reader.losses, [{ bytes: 0, reason: "truncated" }]);
  reader.ledger();
});

test("copytruncate: what is unread is read from the copy, and then the new lines", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.raw(lines(300));
  const reader = await follow(context, root, { memory: 128 * 1024 }, false);
  await until(() => !reader.consumer.budget.fits(chunkBytesOf(128 * 1024)), "the budget is full");
  copyFileSync(container.file, container.stamped());
  truncateSync(container.file, 0);
  container.write("after");
  await reader.look();
  reader.accept();
  await until(() => reader.records.length === 301, "all lines");
  assert.equal(reader.messages.at(-1), "after");
  assert.deepEqual(reader.losses, []);
  reader.ledger();
});

test("a writer that goes on at its old offset leaves a hole, and its lines are read all the same", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.raw(lines(20));
  const reader = await follow(context, root);
  await until(() => reader.records.length === 20, "the first lines");
  const size = statSync(container.file).size;
  truncateSync(container.file, 0);
  truncateSync(container.file, size);
  appendFileSync(container.file, criLine("behind the hole"));
  await until(() => reader.messages.includes("behind the hole"), "the line behind the hole");
});

test("after a power loss a file that is shorter, or ends in NULs, is read on where its new lines begin", async (context) => {
  for (const damage of ["shorter", "NULs", "shorter and grown again"]) {
    const root = join(temporaryFolder(context), "node");
    const container = new LogNode(root).container("web");
    container.write("one", "two", "three");
    const first = await Reader.start(root);
    await until(() => first.records.length === 3, "three lines");
    await first.stop();
    const kept = criLine("").length + 3;
    const whole = readFileSync(container.file);
    const size = whole.length;
    truncateSync(container.file, kept);
    if (damage === "NULs") truncateSync(container.file, size);
    if (damage === "shorter and grown again") container.write("four", "five", "six", "seven");
    const second = await follow(context, root);
    container.write("last");
    await until(() => second.messages.includes("last"), `the last line: ${damage}`);
    const expected = damage === "shorter and grown again" ? ["four", "five", "six", "seven", "last"] : ["last"];
    assert.deepEqual(second.messages, expected, damage);
    second.ledger();
  }
});

test("a generation that kubelet deleted while the agent was away counts as lost, with its bytes where they are known", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.raw(lines(300));
  const first = await Reader.start(root, { memory: 128 * 1024 }, false);
  await until(() => !first.consumer.budget.fits(chunkBytesOf(128 * 1024)), "the budget is full");
  const size = statSync(container.file).size;
  first.records[0]?.settle("shipped");
  const read = first.records[0]?.size ?? 0;
  await first.checkpoints.save();
  for (const record of first.records) record.settle("shipped");
  const settled = [...first.consumer.cursors.values()][0]?.acks.committed?.offset ?? 0;
  await first.stop();
  container.rotate();
  for (const name of readdirSync(container.folder)) if (name !== "0.log") rmSync(join(container.folder, name));
  container.write("next");
  const second = await follow(context, root);
  await until(() => second.records.length === 1, "what is there");
  assert.ok(settled >= read);
  assert.deepEqual(second.losses, [{ bytes: size - settled, reason: "deleted" }]);
  const [cursor] = second.consumer.cursors.values();
  assert.equal(cursor?.ledger.lostTotal, size - settled);
  assert.ok(second.kept.lines.some(({ level, from, to }) => level === "error" && from === settled && to === size));
});

test("the place in a container that is gone altogether is forgotten, and its unread bytes are counted", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.raw(lines(300));
  const first = await Reader.start(root, { memory: 128 * 1024 }, false);
  await until(() => !first.consumer.budget.fits(chunkBytesOf(128 * 1024)), "the budget is full");
  for (const record of first.records) record.settle("shipped");
  await first.stop();
  container.delete();
  const second = await follow(context, root);
  assert.deepEqual(second.checkpoints.entries("out"), []);
  assert.deepEqual(
    second.losses.map(({ reason }) => reason),
    ["deleted"],
  );
});

test("deleted files over hold.maxBytes are given up, oldest first, and the rest is delivered", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  const reader = await follow(context, root, { memory: 128 * 1024 }, false);
  const sizes: number[] = [];
  for (let i = 0; i < 4; i++) {
    container.raw(lines(200));
    sizes.push(statSync(container.file).size);
    await reader.look();
    container.rotate();
  }
  await reader.look();
  for (const name of readdirSync(container.folder)) if (name !== "0.log") rmSync(join(container.folder, name));
  container.write("the end");
  await reader.look();
  await until(
    () => [...reader.tailer.chains.values()][0]?.files.filter(({ isHeld }) => isHeld).length === 4,
    "four are held",
  );
  const limit = (sizes[2] ?? 0) + (sizes[3] ?? 0);
  const held = checkHold(reader.tailer.chains.values(), [reader.consumer], limit);
  assert.equal(held, limit);
  const [cursor] = reader.consumer.cursors.values();
  const read = cursor?.offset ?? 0;
  assert.deepEqual(reader.losses, [
    { bytes: (sizes[0] ?? 0) - read, reason: "hold" },
    { bytes: sizes[1], reason: "hold" },
  ]);
  reader.accept();
  await until(() => reader.messages.includes("the end"), "the rest");
  assert.equal(reader.records.length - reader.records.findIndex(({ message }) => message === "the end"), 1);
  assert.equal(cursor?.ledger.lostTotal, (sizes[0] ?? 0) - read + (sizes[1] ?? 0));
  await until(() => reader.ledger().pending === 0, "nothing is pending");
});

test("a held file that has a compressed copy is read from that instead of being given up", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  container.raw(lines(300));
  const reader = await follow(context, root, { memory: 128 * 1024 }, false);
  await reader.look();
  container.rotate();
  await reader.look();
  container.rotate({ gzip: true });
  await until(() => [...reader.tailer.chains.values()][0]?.files[0]?.unlinked === true, "the plain file is deleted");
  assert.equal(checkHold(reader.tailer.chains.values(), [reader.consumer], 0), 0);
  reader.accept();
  await until(() => reader.records.length === 300, "all lines");
  assert.deepEqual(reader.losses, []);
  reader.ledger();
});

test("a compressed file that is damaged is delivered as far as it can be unpacked, and the rest is counted", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  const text = lines(2000, 200);
  const packed = gzipSync(text);
  writeFileSync(`${container.file}.20260101-000000.gz`, packed.subarray(0, packed.length >> 1));
  writeFileSync(`${container.file}.20260101-000001.gz`, "no gzip at all");
  writeFileSync(
    `${container.file}.20260101-000002.gz`,
    Buffer.concat([gzipSync(criLine("good")), Buffer.from("garbage")]),
  );
  writeFileSync(`${container.file}.20260101-000003.gz`, gzipSync(""));
  container.write("after all");
  const reader = await follow(context, root);
  await until(() => reader.messages.includes("after all"), "the live file");
  assert.deepEqual(reader.messages.slice(-2), ["good", "after all"]);
  assert.ok(reader.records.length > 500, `${reader.records.length} lines`);
  assert.deepEqual(
    reader.losses.map(({ reason }) => reason),
    ["damaged", "damaged"],
  );
  reader.ledger();
});

test("a compressed bomb takes no memory", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  const bomb = gzipSync(
    Buffer.concat([Buffer.from(criLine("before")), Buffer.alloc(200 << 20), Buffer.from(criLine("after"))]),
  );
  writeFileSync(`${container.file}.20260101-000000.gz`, bomb);
  const before = process.memoryUsage().rss;
  const reader = await follow(context, root, { maxRecordBytes: 70_000 });
  await until(() => reader.records.length === 2, "two lines");
  assert.deepEqual(reader.messages, ["before", "after"]);
  assert.ok(process.memoryUsage().rss - before < 100 << 20);
});

test("maxBacklog by size leaves out the oldest and keeps what is within", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  for (let i = 0; i < 3; i++) {
    container.raw(lines(100));
    container.rotate();
  }
  container.raw(lines(100));
  const bytes = statSync(container.file).size * 1.5;
  const reader = await follow(context, root, { memory: 128 * 1024, maxBacklog: { bytes } }, false);
  await until(() => reader.consumer.unreadBytes <= bytes, "the oldest is left out");
  reader.accept();
  await until(() => reader.consumer.unreadBytes === 0 && reader.ledger().pending === 0, "all is read");
  const [cursor] = reader.consumer.cursors.values();
  const lost = reader.losses.reduce((sum, loss) => sum + loss.bytes, 0);
  assert.equal(lost, cursor?.ledger.lost.get("backlog"));
  const all = readdirSync(container.folder).reduce((sum, name) => sum + statSync(join(container.folder, name)).size, 0);
  assert.equal(lost + (cursor?.ledger.read ?? 0), all);
  assert.ok(all - lost >= bytes - 2000, `${all - lost} bytes are kept`);
});

test("maxBacklog by age leaves out old lines, and counts their bytes", async (context) => {
  const { root, node } = setUp(context);
  const container = node.container("web");
  const old = "2020-01-01T00:00:00.000000001Z stdout F old\n".repeat(50);
  container.raw(old);
  container.write("young");
  const reader = await follow(context, root, { memory: 128 * 1024, maxBacklog: { ms: 3_600_000 } }, false);
  await until(() => reader.losses.length === 1 || reader.messages.includes("young"), "it is looked at");
  reader.accept();
  await until(() => reader.messages.includes("young"), "the young line");
  const [cursor] = reader.consumer.cursors.values();
  assert.equal((cursor?.ledger.read ?? 0) + (cursor?.ledger.lostTotal ?? 0), statSync(container.file).size);
});

test("a file that was closed for want of descriptors and is deleted then counts as lost", async (context) => {
  const { root, node } = setUp(context);
  const first = node.container("a");
  first.raw(lines(300));
  const reader = await follow(context, root, { memory: 128 * 1024 }, false, new Descriptors(1));
  await until(() => !reader.consumer.budget.fits(chunkBytesOf(128 * 1024)), "the budget is full");
  node.container("b").write("takes the only descriptor");
  await reader.look();
  first.delete();
  await reader.look();
  reader.accept();
  await until(() => reader.losses.length === 1, "the loss is told");
  assert.equal(reader.losses[0]?.reason, "deleted");
});
