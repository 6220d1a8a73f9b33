/** Health and readiness of the shipped program, made to fail for real; and who may read what it writes. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { startElasticsearch } from "../support/elasticsearch.ts";
import { listen } from "../support/http.ts";
import { LogNode } from "../support/node.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";
import { Watched } from "../support/status.ts";

buildBundle();

test("an output that hangs in its own code makes it unhealthy; a backend that does not answer does not", {
  timeout: 240_000,
}, async (context) => {
  const root = temporaryFolder(context);
  const container = new LogNode(root).container("web-0");
  // Opening a pipe that nobody reads never ends, and nothing can break it off.
  mkdirSync(join(root, "copy"));
  execFileSync("mkfifo", [join(root, "copy", "web-0")]);
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  for (let i = 0; i < 100; i++) elasticsearch.script.push({ kind: "hang" });
  const small = "memory: 128KiB, batch: { maxBytes: 64KiB, maxWait: 10ms }";
  const config = writeConfig(
    root,
    `  - { name: es, type: elasticsearch, endpoints: ["${elasticsearch.url}"], setupTemplate: false, ${small}, request: { timeout: 1h } }
  - { name: copy, type: file, path: "${root}/copy/{pod}", ${small}, request: { timeout: 100ms } }`,
  );
  const program = new Program(["run", "-c", config]);
  context.after(() => void program.child.kill("SIGKILL"));
  const agent = await Watched.of(program);
  for (let i = 0; i < 100; i++) container.write("x".repeat(10_000));
  const { status, text } = await until(
    async () => {
      const response = await fetch(`${agent.admin}/healthz`);
      return response.status !== 200 && { status: response.status, text: await response.text() };
    },
    "it says that it is stuck",
    180_000,
  );
  assert.equal(status, 503);
  assert.match(text, /^output copy: bytes wait, the backend is not at fault, and nothing has moved for \d+ s\n$/);
});

test("it is ready once pod metadata is there or was waited for, with the reason until then", async (context) => {
  const root = temporaryFolder(context);
  new LogNode(root);
  const silent = createServer(() => {});
  const port = await listen(silent);
  context.after(() => {
    silent.close();
    silent.closeAllConnections();
  });
  const kubeconfig = join(root, "kubeconfig");
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      "current-context": "a",
      contexts: [{ name: "a", context: { cluster: "a", user: "a" } }],
      clusters: [{ name: "a", cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: "a", user: {} }],
    }),
  );
  const config = writeConfig(
    root,
    "  - { name: screen, type: console }",
    "",
    'uiListen: "127.0.0.1:0"',
    `{ kubeconfig: "${kubeconfig}", metadataTimeout: 3s }`,
  );
  const program = new Program(["run", "-c", config]);
  context.after(() => void program.child.kill("SIGKILL"));
  const agent = await Watched.of(program);
  const first = await fetch(`${agent.admin}/readyz`);
  assert.deepEqual([first.status, await first.text()], [503, "pod metadata is not there yet\n"]);
  assert.equal((await fetch(`${agent.admin}/healthz`)).status, 200);
  await until(async () => (await fetch(`${agent.admin}/readyz`)).status === 200, "it is ready");
});

test("files that it writes are for its user and group only", async (context) => {
  const root = temporaryFolder(context);
  const container = new LogNode(root).container("web-0");
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  elasticsearch.refuse = () => ({ status: 400, type: "document_parsing_exception", reason: "no" });
  const config = writeConfig(
    root,
    `  - { name: es, type: elasticsearch, endpoints: ["${elasticsearch.url}"], batch: { maxWait: 10ms } }
  - { name: copy, type: file, path: "${root}/state/copy/{pod}", batch: { maxWait: 10ms } }`,
  );
  const program = new Program(["run", "-c", config]);
  context.after(() => void program.child.kill("SIGKILL"));
  await program.running();
  container.write("one");
  const entries = (): string[] => readdirSync(join(root, "state"), { recursive: true }).map(String).sort();
  await until(
    () => ["checkpoints.json.bak", "copy/web-0", "dead-letter/es", "lock"].every((name) => entries().includes(name)),
    "all kinds of files are there",
  );
  for (const name of entries()) {
    const { mode } = lstatSync(join(root, "state", name));
    assert.equal(mode & 0o027, 0, `${name} ${mode.toString(8)}`);
  }
});
