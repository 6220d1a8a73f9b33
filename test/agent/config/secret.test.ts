import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import { Secret } from "../../../agent/config/secret.ts";
import { temporaryFolder } from "../../support/program.ts";
import { keepLog } from "../../support/quiet-log.ts";

/** A clock in the test's hand. */
function handClock() {
  let now = 0;
  return {
    clock: { monotonic: () => now, wall: () => now },
    advance: (ms: number) => {
      now += ms;
    },
  };
}

test("a secret never shows itself", () => {
  const secret = Secret.ofText("hunter2");
  const { log, lines } = keepLog();
  log.info({ secret, auth: { password: secret } }, `with ${secret}`);
  for (const text of [`${secret}`, JSON.stringify({ secret }), inspect({ secret }), JSON.stringify(lines)]) {
    assert.doesNotMatch(text, /hunter2/);
    assert.match(text, /\*\*\*/);
  }
  assert.equal(secret.value(), "hunter2");
});

test("a file gives its text without one trailing newline", (context) => {
  const file = join(temporaryFolder(context), "token");
  for (const [content, value] of [
    ["abc", "abc"],
    ["abc\n", "abc"],
    ["abc\r\n", "abc"],
    ["abc\n\n", "abc\n"],
    [" abc ", " abc "],
  ] as const) {
    writeFileSync(file, content);
    assert.equal(Secret.ofFile(file).value(), value);
  }
});

test("a file is read again once it has changed, looked at no more than once a second", (context) => {
  const file = join(temporaryFolder(context), "token");
  const { clock, advance } = handClock();
  writeFileSync(file, "one");
  const secret = Secret.ofFile(file, clock);
  assert.equal(secret.value(), "one");
  writeFileSync(file, "second");
  advance(999);
  assert.equal(secret.value(), "one");
  advance(1);
  assert.equal(secret.value(), "second");
});

test("a mounted Secret is followed through the swap of its ..data link", (context) => {
  const folder = temporaryFolder(context);
  const { clock, advance } = handClock();
  for (const [version, value] of [
    ["..1", "aaa"],
    ["..2", "bbb"],
  ] as const) {
    mkdirSync(join(folder, version));
    writeFileSync(join(folder, version, "token"), value);
  }
  symlinkSync("..1", join(folder, "..data"));
  symlinkSync(join("..data", "token"), join(folder, "token"));
  const secret = Secret.ofFile(join(folder, "token"), clock);
  assert.equal(secret.value(), "aaa");
  symlinkSync("..2", join(folder, "..new"));
  renameSync(join(folder, "..new"), join(folder, "..data"));
  advance(1000);
  assert.equal(secret.value(), "bbb");
});

test("the last good value stays while the file is missing or empty", (context) => {
  const file = join(temporaryFolder(context), "token");
  const { clock, advance } = handClock();
  writeFileSync(file, "good");
  const secret = Secret.ofFile(file, clock);
  assert.equal(secret.value(), "good");
  rmSync(file);
  advance(1000);
  assert.equal(secret.value(), "good");
  writeFileSync(file, "");
  advance(1000);
  assert.equal(secret.value(), "good");
  writeFileSync(file, "better");
  advance(1000);
  assert.equal(secret.value(), "better");
});
