/**
 * Real containers' logs, through the shipped program, into a strict Cloud Logging: every message byte by byte. Project,
 * cluster and token come from a metadata server that does not answer at first.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MetadataFake } from "../support/google.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";
import { sampleCases, unpackSample } from "../support/samples.ts";
import { type StoredEntry, startStackdriver } from "../support/stackdriver.ts";

buildBundle();

/** Beyond the times of all samples. */
const LATE = 4e9;

const structuredCases = sampleCases.filter((name) => name.endsWith("apps"));

for (const structured of [false, true])
  for (const name of structured ? structuredCases : sampleCases) {
    test(`every message of the sample ${name} arrives once, ${structured ? "objects as such" : "byte by byte"}`, {
      timeout: 120_000,
    }, async (context) => {
      const root = temporaryFolder(context);
      const containers = unpackSample(name, root);
      // Of what a runtime has deleted nobody knows; the Elasticsearch tests look at what is left of it.
      if (containers.some(({ lossy }) => lossy)) return;
      const metadata = await new MetadataFake().start();
      const cloud = await startStackdriver("my-project");
      context.after(() => Promise.all([metadata.close(), cloud.close()]));
      cloud.nowSeconds = LATE;
      for (const status of [503, 404]) metadata.script.push({ kind: "status", status });
      const config = writeConfig(
        root,
        `  - { name: gcl, type: stackdriver, endpoint: "${cloud.url}", structured: ${structured}, retry: { initialDelay: 10ms }, batch: { maxWait: 100ms } }`,
        "  maxRecordBytes: 4MiB\n  partialTimeout: 500ms\n",
      );
      const program = new Program(["run", "-c", config], { env: { GCE_METADATA_HOST: metadata.host } });
      context.after(() => void program.child.kill("SIGKILL"));
      const { metrics } = await program.running();
      const expected = containers.reduce(
        (sum, { messages }) => sum + messages.stdout.length + messages.stderr.length,
        0,
      );
      await until(async () => {
        const text = await (await fetch(metrics)).text();
        return Number(/tailrace_output_records_total\{output="gcl"\} (\d+)/.exec(text)?.[1] ?? 0) >= expected;
      }, `${expected} records, there are ${cloud.entries.length} entries`);
      assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
      assert.match(program.stderr, /is not set, and the metadata server/);
      for (const stream of ["stdout", "stderr"] as const) {
        // To Cloud Logging the runs of a container are one.
        const runs = Map.groupBy(containers, ({ namespace, pod, container }) => `${namespace}/${pod}/${container}`);
        for (const [place, all] of runs) {
          const entries = cloud.entries.filter(
            ({ resource: { labels }, logName }) =>
              `${labels.namespace_name}/${labels.pod_name}/${labels.container_name}` === place &&
              logName === `projects/my-project/logs/${stream}`,
          );
          const inTurn = all.toSorted((a, b) => a.attempt - b.attempt);
          assertSame(
            joined(entries),
            inTurn.flatMap(({ messages }) => messages[stream]),
          );
        }
      }
    });
  }

/** By id, which begins with the time and sorts like the offset; parts of one message are joined. */
function joined(entries: readonly StoredEntry[]): (string | object)[] {
  const all: (string | object)[] = [];
  for (const { textPayload, jsonPayload = {}, split } of entries.toSorted((a, b) =>
    a.insertId < b.insertId ? -1 : 1,
  )) {
    const index = (split as { index?: number } | undefined)?.index ?? 0;
    if (index > 0) all.push(`${String(all.pop())}${textPayload}`);
    else all.push(textPayload ?? jsonPayload);
  }
  return all;
}

/** Not deepEqual of all: it would print megabytes. */
function assertSame(actual: readonly (string | object)[], expected: readonly string[]): void {
  assert.equal(actual.length, expected.length);
  for (const [i, message] of expected.entries()) {
    const found = actual[i];
    if (typeof found === "object") {
      // Special fields have left; what is there must be what was written.
      const written = JSON.parse(message, cleaned) as Record<string, unknown>;
      for (const [key, value] of Object.entries(found)) assert.deepEqual(value, written[key], `message ${i}`);
    } else if (found !== message)
      assert.equal(found, (JSON.parse(message) as { message: unknown }).message, `message ${i}`);
  }
}

/** Whole numbers that no double holds become texts, and half a character becomes U+FFFD. */
function cleaned(_: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value === "string") return value.toWellFormed();
  const isWhole = /^-?\d+$/.test(context?.source ?? "");
  return isWhole && typeof value === "number" && !Number.isSafeInteger(value) ? context?.source : value;
}
