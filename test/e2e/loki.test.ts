/** The shipped program against a strict Loki: hours of backlog of pods that share a stream, with kills in the middle. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startLoki } from "../support/loki.ts";
import { type LogContainer, LogNode } from "../support/node.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";

buildBundle();

const HOURS = 6;

/** Lines from some hours ago until now, over several generations. */
function backlog(container: LogContainer, pod: string, now: number, everyMs: number, rotations: number): string[] {
  const begin = now - HOURS * 3_600_000;
  const total = Math.floor((HOURS * 3_600_000) / everyMs);
  const perFile = Math.ceil(total / (rotations + 1));
  const messages: string[] = [];
  for (let from = 0; from < total; from += perFile) {
    if (from > 0) container.rotate({ gzip: true });
    let lines = "";
    for (let i = from; i < Math.min(total, from + perFile); i++) {
      const message = `${pod} ${i} ${"x".repeat(i % 120)}`;
      messages.push(message);
      lines += `${new Date(begin + i * everyMs).toISOString().replace("Z", "000001Z")} stdout F ${message}\n`;
    }
    container.raw(lines);
  }
  return messages;
}

test("a backlog of six hours of three pods that share a stream arrives whole, through kills and a failing backend", async (context) => {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const now = Date.now();
  // They write at paces so different that a chunk of one spans minutes, and one of another the whole backlog.
  const expected = [
    ...backlog(node.container("web-0"), "web-0", now, 250, 3),
    ...backlog(node.container("web-1"), "web-1", now, 5_000, 1),
    ...backlog(node.container("web-2"), "web-2", now, 300_000, 0),
  ];
  const fake = await startLoki();
  context.after(() => fake.close());
  fake.now = now / 1000;
  const config = writeConfig(
    root,
    `  - { name: loki, type: loki, endpoint: "${fake.url}", retry: { initialDelay: 10ms, maxDelay: 50ms }, request: { concurrency: 4 }, batch: { maxBytes: 256KiB } }`,
  );
  fake.script.push({ kind: "status", status: 503 }, { kind: "store-and-reset" }, { kind: "reset-before-reading" });
  for (const part of [0.2, 0.6]) {
    const program = new Program(["run", "-c", config]);
    await until(
      () => {
        if (program.child.exitCode !== null) throw new Error(program.stderr);
        return fake.stored.length > expected.length * part;
      },
      `${part * 100} % are stored`,
    );
    fake.script.push({ kind: "store-and-reset" }, { kind: "status", status: 500 });
    await program.end("SIGKILL");
  }
  const program = new Program(["run", "-c", config]);
  context.after(() => program.end("SIGKILL"));
  await until(() => fake.stored.length >= expected.length, "all is stored");
  const { code } = await program.end("SIGTERM");
  assert.equal(code, 0, program.stderr);
  assert.deepEqual(fake.lines().toSorted(), expected.toSorted());
  assert.deepEqual([...fake.discarded], [], "nothing was refused, seen or unseen");
  assert.ok(!existsSync(join(root, "state", "dead-letter", "loki")), "there are no dead letters");
  assert.equal(new Set(fake.stored.map(({ labels }) => JSON.stringify(labels))).size, 1, "it is one stream");
});
