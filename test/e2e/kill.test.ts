/** The agent is killed again and again while numbered lines are written and rotated: none is missing, none is there twice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startElasticsearch } from "../support/elasticsearch.ts";
import { LogNode } from "../support/node.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";

buildBundle();

/** More by hand: TAILRACE_KILLS=100. */
const KILLS = Number(process.env.TAILRACE_KILLS ?? 20);

test("twenty kills with SIGKILL during writing and rotation lose nothing and store nothing twice", {
  timeout: 30_000 * KILLS,
}, async (context) => {
  const root = temporaryFolder(context);
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  const node = new LogNode(root);
  const containers = [node.container("web-0"), node.container("web-1"), node.container("api-0", { namespace: "prod" })];
  const config = writeConfig(
    root,
    `  - { name: es, type: elasticsearch, endpoints: ["${elasticsearch.url}"], batch: { maxWait: 50ms }, retry: { initialDelay: 20ms } }`,
  );
  let written = 0;
  let rounds = 0;
  const writing = setInterval(() => {
    for (const container of containers) {
      for (let i = 0; i < 20; i++) container.write(`line ${written++}`);
      if (rounds % 7 === 0) container.rotate({ gzip: rounds % 14 === 0 });
    }
    rounds++;
  }, 15);
  context.after(() => clearInterval(writing));
  for (let kill = 0; kill < KILLS; kill++) {
    const program = new Program(["run", "-c", config]);
    const seen = elasticsearch.documents().length;
    await until(() => elasticsearch.documents().length > seen + 50, "records arrive again");
    const { signal } = await program.end("SIGKILL");
    assert.equal(signal, "SIGKILL");
  }
  clearInterval(writing);
  const program = new Program(["run", "-c", config]);
  const messages = (): string[] => elasticsearch.documents().map((document) => String(document.message));
  await until(() => new Set(messages()).size >= written, `all ${written} lines arrive`);
  assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
  const all = messages();
  context.diagnostic(
    `${written} lines, ${elasticsearch.received - written} of them came again under the ids that they had`,
  );
  assert.equal(all.length, written, "a line is stored once");
  assert.deepEqual(new Set(all), new Set(Array.from({ length: written }, (_, i) => `line ${i}`)));
});
