import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { FatalError } from "../../../agent/errors.ts";
import { acquireLock } from "../../../agent/tail/lock.ts";
import { temporaryFolder } from "../../support/program.ts";

test("only one instance works on a data folder; the next one gets it when the first lets go", async (context) => {
  const folder = temporaryFolder(context);
  const lock = await acquireLock(folder);
  await assert.rejects(
    acquireLock(folder),
    (error) => error instanceof FatalError && /another tailrace/.test(error.message),
  );
  lock.release();
  (await acquireLock(folder)).release();
  assert.ok(!existsSync(join(folder, "lock")));
});

test("what a killed instance left behind does not keep the next one out, also in a very deep folder", async (context) => {
  const folder = join(temporaryFolder(context), "d".repeat(120));
  mkdirSync(folder);
  const path = join(folder, "lock");
  // A socket that nobody listens on any more: made under a short name, since the deep one is too long for a socket.
  spawnSync(process.execPath, [
    "-e",
    `process.chdir(${JSON.stringify(folder)});require("net").createServer().listen("lock",()=>process.kill(process.pid,"SIGKILL"))`,
  ]);
  assert.ok(existsSync(path));
  (await acquireLock(folder)).release();
});
