import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { buildBundle, Program, temporaryFolder } from "../support/program.ts";

before(() => buildBundle());

const LINES = `2026-09-24T12:00:00Z stdout F one\n2026-09-24T12:00:01Z stderr F caf\u00e9 two\n`;

test("explain tells of every record of a file, plain or compressed, and sends nothing", async (context) => {
  const folder = temporaryFolder(context);
  const config = join(folder, "config.yaml");
  writeFileSync(
    config,
    "processors: [{ drop: { match: { stream: stdout } } }]\noutputs: [{ name: es, type: elasticsearch, endpoints: [http://127.0.0.1:1] }]\n",
  );
  // Bytes that are no UTF-8 move no offset.
  const bytes = Buffer.concat([Buffer.from("2026-09-24T12:00:00Z stdout F \xe9\xff\n", "latin1"), Buffer.from(LINES)]);
  writeFileSync(join(folder, "0.log"), bytes);
  writeFileSync(join(folder, "0.log.gz"), gzipSync(bytes));
  for (const name of ["0.log", "0.log.gz"]) {
    const program = new Program(["explain", "-c", config, join(folder, name)]);
    assert.deepEqual(await program.exited, { code: 0, signal: null });
    assert.match(program.stdout, /^33 stdout "one"\n {2}es: drop: dropped$/m);
    assert.match(program.stdout, /^67 stderr "café two"\n {2}es: sends \{"create"/m);
    assert.equal(program.stderr, "");
  }
});

test("explain prints all of much, and says what it can't read or does not understand", async (context) => {
  const folder = temporaryFolder(context);
  const config = join(folder, "config.yaml");
  writeFileSync(config, "outputs: [{ name: screen, type: console }]\n");
  writeFileSync(join(folder, "0.log"), "2026-09-24T12:00:00Z stdout F message\n".repeat(20_000));
  const much = new Program(["explain", "-c", config, join(folder, "0.log")]);
  assert.equal((await much.exited).code, 0);
  assert.equal(much.stdout.split("\n").length, 40_001);
  const missing = new Program(["explain", "-c", config, join(folder, "missing.log")]);
  assert.equal((await missing.exited).code, 1);
  assert.match(missing.stderr, /can't read .*missing\.log/);
  assert.equal((await new Program(["explain", "-c", config]).exited).code, 2);
  writeFileSync(config, "outputs: []\n");
  assert.equal((await new Program(["explain", "-c", config, "x"]).exited).code, 2);
});
