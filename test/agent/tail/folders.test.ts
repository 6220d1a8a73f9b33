/** What folders hold, whether they are read or remembered. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Folders } from "../../../agent/tail/folders.ts";

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "tailrace-folders-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** As if nothing had changed in it for a minute. */
function age(folder: string): void {
  const then = Date.now() / 1000 - 60;
  utimesSync(folder, then, then);
}

const quiet = new Folders(() => assert.fail("trouble"));
const said = (folders: Folders, folder: string, all = false): Record<string, string> =>
  Object.fromEntries(folders.entries(folder, 0, all).map(({ path, text }) => [path.slice(folder.length + 1), text]));

test("names that come, go and lead elsewhere are seen at the next look, whether the folder was at rest before or not", (context) => {
  const folder = folderOf(context);
  for (const rested of [true, false]) {
    const rest = (): void => (rested ? age(folder) : undefined);
    symlinkSync("/a", join(folder, "one"));
    writeFileSync(join(folder, "plain"), "");
    mkdirSync(join(folder, "sub"));
    rest();
    assert.deepEqual(said(quiet, folder), { one: "/a", plain: "" });
    assert.deepEqual(said(quiet, folder), { one: "/a", plain: "" });
    symlinkSync("/b", join(folder, "two"));
    assert.deepEqual(said(quiet, folder), { one: "/a", plain: "", two: "/b" });
    rest();
    assert.deepEqual(said(quiet, folder), { one: "/a", plain: "", two: "/b" });
    symlinkSync("/c", join(folder, "one.new"));
    renameSync(join(folder, "one.new"), join(folder, "one"));
    assert.deepEqual(said(quiet, folder), { one: "/c", plain: "", two: "/b" });
    rest();
    said(quiet, folder);
    for (const name of ["one", "two", "plain"]) rmSync(join(folder, name));
    rmSync(join(folder, "sub"), { recursive: true });
    assert.deepEqual(said(quiet, folder), {});
  }
});

test("a folder at rest is not read again, unless all is to be read", (context) => {
  const folder = folderOf(context);
  symlinkSync("/a", join(folder, "one"));
  const then = Date.now() / 1000 - 60;
  utimesSync(folder, then, then);
  assert.deepEqual(said(quiet, folder), { one: "/a" });
  // A change that leaves the time as it was, which no file system makes by itself.
  symlinkSync("/b", join(folder, "two"));
  utimesSync(folder, then, then);
  assert.deepEqual(said(quiet, folder), { one: "/a" });
  assert.deepEqual(said(quiet, folder, true), { one: "/a", two: "/b" });
});

test("folders within folders are looked through down to the depth that is asked for", (context) => {
  const folder = folderOf(context);
  mkdirSync(join(folder, "a", "b"), { recursive: true });
  for (const name of ["0", "a/1", "a/b/2"]) writeFileSync(join(folder, name), "");
  age(folder);
  const paths = (depth: number): string[] =>
    quiet.entries(folder, depth, false).map(({ path }) => path.slice(folder.length + 1));
  assert.deepEqual(paths(1).sort(), ["0", "a/1"]);
  writeFileSync(join(folder, "a", "3"), "");
  age(folder);
  assert.deepEqual(paths(1).sort(), ["0", "a/1", "a/3"]);
});

test("a folder that is missing is told each time, and read once it is there", (context) => {
  const folder = join(folderOf(context), "later");
  let told = 0;
  const folders = new Folders(() => told++);
  assert.deepEqual(said(folders, folder), {});
  assert.deepEqual(said(folders, folder), {});
  assert.equal(told, 2);
  mkdirSync(folder);
  symlinkSync("/a", join(folder, "one"));
  assert.deepEqual(said(folders, folder), { one: "/a" });
});
