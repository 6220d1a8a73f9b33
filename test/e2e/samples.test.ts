/** Real containers' logs, through the shipped program, into a strict Elasticsearch: every message byte by byte. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startElasticsearch } from "../support/elasticsearch.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";
import { type SampleContainer, sampleCases, unpackSample } from "../support/samples.ts";

buildBundle();

interface EcsDocument {
  readonly "@timestamp": string;
  readonly message: string;
  readonly stream: string;
  readonly log: { readonly offset: number; readonly file: { readonly path: string } };
  readonly container?: { readonly id?: string };
  readonly kubernetes: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

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
    for (const container of containers) compare(container, documents());
  });

function compare(container: SampleContainer, all: readonly EcsDocument[]): void {
  const { namespace, pod, uid, container: name, link } = container;
  const mine = all
    .filter(({ log }) => log.file.path === link)
    .sort((a, b) => (a["@timestamp"] < b["@timestamp"] ? -1 : a["@timestamp"] > b["@timestamp"] ? 1 : 0));
  for (const document of mine) {
    assert.equal(document.error, undefined);
    assert.equal(document.kubernetes.namespace, namespace);
    assert.deepEqual(document.kubernetes.pod, { name: pod, uid });
    assert.deepEqual(document.kubernetes.container, { name });
    assert.deepEqual(document.kubernetes.node, { name: "node-a" });
  }
  for (const stream of ["stdout", "stderr"] as const) {
    const messages = inOrder(mine.filter((document) => document.stream === stream)).map(({ message }) => message);
    const expected = container.messages[stream];
    if (!container.lossy) {
      // Not deepEqual: it would print megabytes.
      const at = expected.findIndex((message, i) => message !== messages[i]);
      assert.equal(at, -1, `${stream} message ${at} of ${link}: ${String(messages[at]).slice(0, 200)}`);
      assert.equal(messages.length, expected.length);
      continue;
    }
    // The runtime has deleted the oldest files, and cut the first message that is left.
    const tail = expected.slice(expected.length - messages.length);
    assert.deepEqual(messages.slice(1), tail.slice(1));
    assert.ok(messages.length === 0 || tail[0]?.endsWith(messages[0] ?? ""));
  }
}

/** By time, with all its digits; runtimes never give two lines of a stream the same one, docker's parts aside. */
function inOrder(documents: EcsDocument[]): EcsDocument[] {
  const key = ({ "@timestamp": time }: EcsDocument): string =>
    time
      .replace("Z", "")
      .padEnd(29, "0")
      .replace(/^(.{19})0/, "$1.");
  return documents
    .map((document, i) => ({ document, key: key(document), i }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.document.log.offset - b.document.log.offset))
    .map(({ document }) => document);
}
