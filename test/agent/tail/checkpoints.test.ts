import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { FatalError } from "../../../agent/errors.ts";
import { Checkpoints, type SavedPosition } from "../../../agent/tail/checkpoints.ts";
import { temporaryFolder, until } from "../../support/program.ts";
import { keepLog } from "../../support/quiet-log.ts";

const at = (offset: number): SavedPosition => ({
  restart: 0,
  fingerprint: "f",
  offset,
  time: [1, 2, 9],
  marker: "m",
  size: 100,
  done: [],
  path: "/p/0.log",
});

async function saved(folder: string, ...offsets: number[]): Promise<void> {
  const checkpoints = await Checkpoints.open(folder, keepLog().log);
  checkpoints.add("es");
  for (const offset of offsets) {
    checkpoints.set("es", "a/b", at(offset));
    await checkpoints.save();
  }
}

test("what was saved is there after a restart, in a file that others can't read", async (context) => {
  const folder = temporaryFolder(context);
  await saved(folder, 17);
  const again = await Checkpoints.open(folder, keepLog().log);
  assert.ok(again.has("es"));
  assert.ok(!again.has("loki"));
  assert.deepEqual(again.get("es", "a/b"), at(17));
  assert.equal(statSync(join(folder, "checkpoints.json")).mode & 0o027, 0);
});

test("nothing is written when nothing has changed", async (context) => {
  const folder = temporaryFolder(context);
  const checkpoints = await Checkpoints.open(folder, keepLog().log);
  const { writes } = checkpoints;
  await checkpoints.save();
  assert.equal(checkpoints.writes, writes);
});

test("once started, what changes is saved by itself, again where that fails, and no timer is left when it stops", async (context) => {
  const folder = temporaryFolder(context);
  const checkpoints = await Checkpoints.open(folder, keepLog().log);
  checkpoints.add("es");
  const { writes } = checkpoints;
  checkpoints.start(1);
  await until(() => checkpoints.writes > writes, "what had changed before");
  const file = join(folder, "checkpoints.json.tmp");
  mkdirSync(file);
  checkpoints.set("es", "a/b", at(17));
  await until(() => checkpoints.failures > 1, "more than one attempt");
  rmdirSync(file);
  await until(() => checkpoints.failures === 0, "the next attempt");
  assert.deepEqual(checkpoints.durable("es", "a/b"), at(17));
  checkpoints.delete("es", "a/b");
  await until(() => checkpoints.durable("es", "a/b") === undefined, "what is deleted");
  checkpoints.stop();
  const before = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  checkpoints.set("es", "a/b", at(18));
  assert.equal(process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length, before);
});

for (const [what, damage] of [
  ["empty", ""],
  ["cut", '{"version":1,"outp'],
  ["full of NULs", "\0".repeat(100)],
  ["of another version", '{"version":99,"outputs":{}}'],
  ["incomplete", '{"version":1,"outputs":{"es":{"a/b":{"offset":-1}}}}'],
] as const) {
  test(`a checkpoint file that is ${what} is put aside with one error, and its fallback is used`, async (context) => {
    const folder = temporaryFolder(context);
    await saved(folder, 1, 2, 3);
    writeFileSync(join(folder, "checkpoints.json"), damage);
    const { log, lines } = keepLog();
    const again = await Checkpoints.open(folder, log);
    assert.deepEqual(again.get("es", "a/b"), at(2));
    assert.equal(lines.filter(({ level }) => level === "error").length, 1);
    assert.equal(readFileSync(join(folder, "checkpoints.json.damaged"), "utf8"), damage);
  });

  test(`when the fallback is ${what} too, no output counts as new, so none starts at the end`, async (context) => {
    const folder = temporaryFolder(context);
    await saved(folder, 1, 2);
    writeFileSync(join(folder, "checkpoints.json"), damage);
    writeFileSync(join(folder, "checkpoints.json.bak"), damage);
    const again = await Checkpoints.open(folder, keepLog().log);
    assert.equal(again.get("es", "a/b"), undefined);
    assert.ok(again.has("es"));
  });
}

test("the fallback alone is enough", async (context) => {
  const folder = temporaryFolder(context);
  await saved(folder, 1, 2);
  rmSync(join(folder, "checkpoints.json"));
  const again = await Checkpoints.open(folder, keepLog().log);
  assert.deepEqual(again.get("es", "a/b"), at(1));
});

test("a data folder that can't be written is told in one sentence", async (context) => {
  const folder = temporaryFolder(context);
  writeFileSync(join(folder, "file"), "");
  await assert.rejects(Checkpoints.open(join(folder, "file", "state"), keepLog().log), (error) => {
    assert.ok(error instanceof FatalError);
    assert.match(error.message, /can't write to dataDir .* mount a writable folder/);
    return true;
  });
});

test("a save that fails later is told once and tried again", async (context) => {
  const folder = temporaryFolder(context);
  const { log, lines } = keepLog();
  const checkpoints = await Checkpoints.open(join(folder, "state"), log);
  checkpoints.add("es");
  renameSync(join(folder, "state"), join(folder, "away"));
  await checkpoints.save();
  await checkpoints.save();
  assert.equal(checkpoints.failures, 2);
  assert.equal(lines.filter(({ level }) => level === "error").length, 1);
  renameSync(join(folder, "away"), join(folder, "state"));
  await checkpoints.save();
  assert.equal(checkpoints.failures, 0);
  assert.ok(existsSync(join(folder, "state", "checkpoints.json")));
});

/** What a crash leaves behind when it comes right after each step of a save of 3, on top of saves of 1 and 2. */
const STEPS: readonly (readonly [string, (folder: string, text: string) => void, number])[] = [
  ["the new file is made", (folder) => writeFileSync(join(folder, "checkpoints.json.tmp"), ""), 2],
  [
    "half of it is written",
    (folder, text) => writeFileSync(join(folder, "checkpoints.json.tmp"), text.slice(0, text.length / 2)),
    2,
  ],
  ["all of it is written", (folder, text) => writeFileSync(join(folder, "checkpoints.json.tmp"), text), 2],
  ["the former fallback is gone", (folder) => rmSync(join(folder, "checkpoints.json.bak")), 2],
  [
    "the file is its own fallback",
    (folder) => linkSync(join(folder, "checkpoints.json"), join(folder, "checkpoints.json.bak")),
    2,
  ],
  [
    "the new file has taken its place",
    (folder) => renameSync(join(folder, "checkpoints.json.tmp"), join(folder, "checkpoints.json")),
    3,
  ],
];

test("a crash after any step of a save leaves a whole file, never one that runs ahead", async (context) => {
  for (let count = 1; count <= STEPS.length; count++) {
    const folder = temporaryFolder(context);
    await saved(folder, 1, 2);
    const text = readFileSync(join(folder, "checkpoints.json"), "utf8").replace('"offset": 2', '"offset": 3');
    for (const [, step] of STEPS.slice(0, count)) step(folder, text);
    const [what, , expected] = STEPS[count - 1] ?? ["", undefined, 0];
    const { log, lines } = keepLog();
    const again = await Checkpoints.open(folder, log);
    assert.deepEqual(again.get("es", "a/b"), at(expected), what);
    assert.deepEqual(
      lines.filter(({ level }) => level === "error"),
      [],
      what,
    );
  }
});

test("kill -9 in the middle of saving never loses a save that was reported, nor shows one that was not begun", async (context) => {
  const folder = temporaryFolder(context);
  const saver = fileURLToPath(new URL("../../support/saver.ts", import.meta.url));
  for (let round = 0; round < 15; round++) {
    const child = spawn(process.execPath, [saver, folder], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    const wanted = 3 + round;
    await until(() => output.split("\n").filter((line) => line.startsWith("saved ")).length > wanted, "some saves");
    child.kill("SIGKILL");
    await once(child, "close");
    const last = (word: string): number =>
      Number(
        output
          .split("\n")
          .findLast((line) => new RegExp(`^${word} \\d+$`).test(line))
          ?.split(" ")[1],
      );
    const again = await Checkpoints.open(folder, keepLog().log);
    const offset = again.get("es", "a/b")?.offset ?? -1;
    assert.ok(offset >= last("saved") && offset <= last("begun"), `${last("saved")} <= ${offset} <= ${last("begun")}`);
  }
});
