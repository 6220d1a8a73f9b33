/** The shipped program against what happens to log files on a bad day: every line arrives, once per id. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type ElasticsearchFake, startElasticsearch } from "../support/elasticsearch.ts";
import { type LogContainer, LogNode } from "../support/node.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";

buildBundle();

/** More by hand: TAILRACE_OUTAGE_SECONDS=120, TAILRACE_FILES=5000. */
const OUTAGE_SECONDS = Number(process.env.TAILRACE_OUTAGE_SECONDS ?? 0);
const FILES = Number(process.env.TAILRACE_FILES ?? 2000);

interface Node {
  readonly root: string;
  readonly node: LogNode;
  readonly elasticsearch: ElasticsearchFake;
  readonly config: string;
}

async function setUp(context: TestContext, more = "", source = ""): Promise<Node> {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  const output = `  - { name: es, type: elasticsearch, endpoints: ["${elasticsearch.url}"], batch: { maxWait: 50ms }, retry: { initialDelay: 20ms, maxDelay: 200ms }${more} }`;
  return { root, node, elasticsearch, config: writeConfig(root, output, source) };
}

function run(context: TestContext, config: string, nodeFlags: string[] = []): Program {
  const program = new Program(["run", "-c", config], { nodeFlags });
  context.after(() => void program.child.kill("SIGKILL"));
  return program;
}

/** All documents are there, each message once. */
async function complete({ elasticsearch }: Node, written: number): Promise<void> {
  const messages = (): string[] => elasticsearch.documents().map((document) => String(document.message));
  await until(() => new Set(messages()).size >= written, `${written} lines arrive`, 240_000);
  const all = messages();
  assert.equal(all.length, written, "each is stored once");
  assert.equal(new Set(all.map((message) => message.split(" ")[0])).size, written);
}

/** Writes numbered lines of some 120 bytes. @returns the next number. */
function write(container: LogContainer, from: number, count: number): number {
  container.write(...Array.from({ length: count }, (_, i) => `${from + i} ${"y".repeat(60)}`));
  return from + count;
}

/** Takes all the room that the file system has. */
function fill(file: string): void {
  try {
    for (;;) appendFileSync(file, Buffer.alloc(1024));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
  }
}

test("a storm of twenty rotations at full speed, compressed, loses nothing", { timeout: 300_000 }, async (context) => {
  const set = await setUp(context);
  const container = set.node.container("storm");
  const program = run(context, set.config);
  await program.running();
  let written = 0;
  for (let rotation = 0; rotation < 20; rotation++) {
    for (let i = 0; i < 10; i++) written = write(container, written, 300);
    container.rotate({ gzip: true, keep: 4 });
    // As kubelet, which looks at sizes no more than once in some seconds: the reader had a look at every file.
    const seen = written - 3000;
    await until(() => set.elasticsearch.documents().length >= seen, `${seen} lines`, 120_000);
  }
  await complete(set, written);
  assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
});

test("three rotations while the agent is down, two of them compressed, are read in order", {
  timeout: 300_000,
}, async (context) => {
  const set = await setUp(context);
  const container = set.node.container("down");
  let written = write(container, 0, 200);
  const first = run(context, set.config);
  await until(() => set.elasticsearch.documents().length >= 100, "some lines");
  await first.end("SIGKILL");
  for (let rotation = 0; rotation < 3; rotation++) {
    written = write(container, written, 200);
    container.rotate({ gzip: true });
  }
  written = write(container, written, 10);
  const second = run(context, set.config);
  await complete(set, written);
  assert.deepEqual(await second.end("SIGTERM"), { code: 0, signal: null });
});

test("a dead backend: memory stays under a limit of 128 MiB while files rotate away, and all arrives when it is back", {
  timeout: 300_000,
}, async (context) => {
  const set = await setUp(context);
  const { port } = set.elasticsearch;
  await set.elasticsearch.close();
  const container = set.node.container("dead");
  const program = run(context, set.config, ["--max-old-space-size=64", "--max-semi-space-size=1"]);
  const { metrics } = await program.running();
  let written = 0;
  const begun = Date.now();
  for (let rotation = 0; rotation < 12 || Date.now() - begun < OUTAGE_SECONDS * 1000; rotation++) {
    for (let i = 0; i < 20; i++) written = write(container, written, 1000);
    container.rotate({ gzip: true });
    await until(
      async () => /tailrace_output_up\{output="es"\} 0/.test(await (await fetch(metrics)).text()),
      "it is down",
    );
    if (OUTAGE_SECONDS > 0) await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const status = readFileSync(`/proc/${program.child.pid}/status`, "utf8");
  const peak = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
  context.diagnostic(`peak RSS ${peak.toFixed(0)} MiB with ${written} lines behind`);
  assert.ok(peak < 128, `peak RSS is ${peak} MiB`);
  const back = await startElasticsearch({ port });
  context.after(() => back.close());
  await complete({ ...set, elasticsearch: back }, written);
  await program.end("SIGTERM");
});

test("two outputs, one dead: the living one goes on, and the dead one catches up to the last line", {
  timeout: 300_000,
}, async (context) => {
  const set = await setUp(
    context,
    `, memory: 1MiB }\n  - { name: screen, type: console, format: json, batch: { maxWait: 50ms }`,
  );
  const { port } = set.elasticsearch;
  await set.elasticsearch.close();
  const container = set.node.container("half");
  const program = run(context, set.config);
  await program.running();
  let written = 0;
  for (let rotation = 0; rotation < 5; rotation++) {
    written = write(container, written, 3000);
    container.rotate({ gzip: true });
    await until(() => program.stdout.split("\n").length > written, "the living output has all", 60_000);
  }
  const back = await startElasticsearch({ port });
  context.after(() => back.close());
  await complete({ ...set, elasticsearch: back }, written);
  await program.end("SIGTERM");
});

test("a full disk under the data folder stops no record, is told, and is over when there is room again", {
  skip: process.getuid?.() !== 0 && "needs root, to mount a small file system",
  timeout: 300_000,
}, async (context) => {
  const set = await setUp(context);
  const state = join(set.root, "state");
  mkdirSync(state);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", state], { stdio: "pipe" });
  } catch {
    context.skip("no right to mount a file system here");
    return;
  }
  try {
    await fillAndEmpty(context, set, state);
  } finally {
    execFileSync("umount", ["-l", state]);
  }
});

async function fillAndEmpty(context: TestContext, set: Node, state: string): Promise<void> {
  const container = set.node.container("full");
  const program = run(context, set.config);
  await program.running();
  let written = write(container, 0, 50);
  await until(() => set.elasticsearch.documents().length === written, "the first lines");
  fill(join(state, "fill"));
  written = write(container, written, 50);
  await until(() => set.elasticsearch.documents().length === written, "lines go on");
  await until(() => program.stderr.includes("can't write the checkpoints"), "it is told");
  rmSync(join(state, "fill"));
  await until(() => program.stderr.includes("checkpoints are written again"), "it is over");
  await complete(set, written);
  assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
}

test("thousands of files under a limit of 1,024 descriptors: every line arrives", {
  timeout: 300_000,
}, async (context) => {
  const set = await setUp(context);
  const containers = Array.from({ length: FILES }, (_, i) => set.node.container(`many-${i}`));
  let written = 0;
  for (const container of containers) written = write(container, written, 2);
  const program = new Program(["run", "-c", set.config], { openFiles: 1024 });
  context.after(() => void program.child.kill("SIGKILL"));
  const { metrics } = await program.running();
  for (const [i, container] of containers.entries()) {
    written = write(container, written, 1);
    if (i % 10 === 0) container.rotate();
    if (i % 10 === 0) written = write(container, written, 1);
  }
  await complete(set, written);
  const open = Number(/tailrace_source_open_files (\d+)/.exec(await (await fetch(metrics)).text())?.[1]);
  assert.ok(open > 0 && open <= 768, `${open} are open`);
  assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
});
