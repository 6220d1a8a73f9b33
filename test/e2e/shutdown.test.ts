/** SIGTERM under load: the agent ends in time whatever its backend does, and the next start repeats only what was in flight. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startElasticsearch } from "../support/elasticsearch.ts";
import { LogNode } from "../support/node.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";

buildBundle();

test("SIGTERM while a backend never answers: it ends within shutdownTimeout, and the next start delivers the rest once", {
  timeout: 240_000,
}, async (context) => {
  const root = temporaryFolder(context);
  const container = new LogNode(root).container("web-0");
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  const config = writeConfig(
    root,
    `  - { name: es, type: elasticsearch, endpoints: ["${elasticsearch.url}"], setupTemplate: false, memory: 1MiB, batch: { maxWait: 50ms } }`,
    "shutdownTimeout: 2s\n",
  );
  let written = 0;
  const write = (lines: number): void =>
    container.write(...Array.from({ length: lines }, () => `line ${written++} ${"x".repeat(200)}`));
  write(2000);
  const first = new Program(["run", "-c", config]);
  await until(() => elasticsearch.documents().length === 2000, "the first lines");
  // From now on both requests hang for as long as the agent waits.
  elasticsearch.script.push({ kind: "hang" }, { kind: "hang" });
  write(20_000);
  const requests = elasticsearch.requests.length;
  await until(() => elasticsearch.requests.length >= requests + 2, "two requests hang");
  assert.deepEqual(await first.end("SIGTERM"), { code: 0, signal: null });
  const stopped = first.log.find(({ msg }) => String(msg).startsWith("stopped; what is pending"));
  assert.ok(Number(stopped?.pendingBytes) > 0, "some of it is pending");
  const second = new Program(["run", "-c", config]);
  await until(() => elasticsearch.documents().length >= written, "all lines", 120_000);
  assert.deepEqual(await second.end("SIGTERM"), { code: 0, signal: null });
  const messages = elasticsearch.documents().map(({ message }) => String(message));
  assert.equal(messages.length, written);
  assert.equal(new Set(messages).size, written);
});
