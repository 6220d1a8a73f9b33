import assert from "node:assert/strict";
import { test } from "node:test";
import { Descriptors, openFilesLimit } from "../../../agent/tail/descriptors.ts";
import { LogNode } from "../../support/node.ts";
import { temporaryFolder, until } from "../../support/program.ts";
import { Reader } from "../../support/reader.ts";

test("the limit leaves room for what else a process opens", () => {
  const limits = (soft: string): string =>
    `Limit   Soft Limit  Hard Limit  Units\nMax open files            ${soft}   1048576   files\n`;
  assert.equal(openFilesLimit(limits("1024")), 768);
  assert.equal(openFilesLimit(limits("64")), 16);
  assert.equal(openFilesLimit(limits("10000000")), 65_536);
  assert.equal(openFilesLimit(limits("unlimited")), 768);
  assert.equal(openFilesLimit(""), 768);
});

test("the file that was used longest ago is closed, but never one without a name", () => {
  const descriptors = new Descriptors(2);
  const released: string[] = [];
  const file = (name: string, named = true) => ({ named, release: () => void released.push(name) });
  const [a, b, c, d] = [file("a"), file("b", false), file("c"), file("d")];
  descriptors.use(a);
  descriptors.use(b);
  descriptors.use(a);
  descriptors.use(c);
  assert.deepEqual(released, ["a"]);
  descriptors.use(d);
  assert.deepEqual(released, ["a", "c"]);
  descriptors.forget(d);
  assert.equal(descriptors.size, 1);
});

test("many more files than may be open are all followed, through growth and rotation", async (context) => {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const containers = Array.from({ length: 60 }, (_, i) => node.container(`pod-${i}`));
  for (const [i, container] of containers.entries()) container.write(`a ${i}`);
  const descriptors = new Descriptors(8);
  const reader = await Reader.start(root, {}, true, descriptors);
  context.after(() => reader.stop());
  await until(() => reader.records.length === 60, "the first lines");
  for (const [i, container] of containers.entries()) {
    container.write(`b ${i}`);
    if (i % 3 === 0) container.rotate({ gzip: i % 2 === 0 });
    container.write(`c ${i}`);
    if (i % 6 === 0) container.rotate({ gzip: true });
  }
  await until(() => reader.records.length === 180, "all lines");
  assert.ok(descriptors.size <= 8, String(descriptors.size));
  assert.deepEqual(
    reader.messages.toSorted(),
    ["a", "b", "c"].flatMap((letter) => containers.map((_, i) => `${letter} ${i}`)).toSorted(),
  );
  assert.deepEqual(reader.losses, []);
  reader.ledger();
});
