/** Real containers' logs, through the shipped program, into a strict Elasticsearch: every message byte by byte. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertArrived, type EcsDocument } from "../support/arrived.ts";
import { startElasticsearch } from "../support/elasticsearch.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";
import { sampleCases, unpackSample } from "../support/samples.ts";

buildBundle();

for (const name of sampleCases)
  test(`every message of the sample ${name} arrives once, byte by byte, under its pod's name`, {
    timeout: 120_000,
  }, async (context) => {
    const root = temporaryFolder(context);
    const containers = unpackSample(name, root);
    const elasticsearch = await startElasticsearch();
    context.after(() => elasticsearch.close());
    const config = writeConfig(
      root,
      `  - { name: es, type: elasticsearch, endpoints: ["${elasticsearch.url}"], batch: { maxWait: 100ms } }`,
      "  maxRecordBytes: 4MiB\n  partialTimeout: 500ms\n",
    );
    const program = new Program(["run", "-c", config]);
    context.after(() => void program.child.kill("SIGKILL"));
    await program.running();
    const expected = containers.reduce((sum, { messages }) => sum + messages.stdout.length + messages.stderr.length, 0);
    const lossy = containers.some((container) => container.lossy);
    const documents = (): EcsDocument[] => elasticsearch.documents() as unknown as EcsDocument[];
    await until(async () => {
      if (!lossy) return documents().length >= expected;
      const { metrics } = await program.running();
      const text = await (await fetch(metrics)).text();
      return documents().length > 0 && /tailrace_output_pending_bytes\{output="es"\} 0\n/.test(text);
    }, `${expected} records, there are ${documents().length}`);
    assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
    if (!lossy) assert.equal(documents().length, expected);
    for (const container of containers)
      assertArrived(
        container,
        documents().filter(({ log }) => log.file.path === container.link),
      );
  });
