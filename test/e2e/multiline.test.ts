/** The agent is killed again and again within stack traces of both streams: each is stored once, whole, and nothing else. */
import assert from "node:assert/strict";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startElasticsearch } from "../support/elasticsearch.ts";
import { LogNode } from "../support/node.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";

buildBundle();

const KILLS = 12;
/** A real trace: a head, frames, and a cause with its own. */
const TRACE = readFileSync(join(import.meta.dirname, "..", "traces", "java.txt"), "utf8")
  .split("\n")
  .slice(1, 18);

test("kills with SIGKILL within stack traces of two streams, with rotations, repeat each whole and in no pieces", {
  timeout: 240_000,
}, async (context) => {
  const root = temporaryFolder(context);
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  const container = new LogNode(root).container("web-0");
  const config = writeConfig(
    root,
    `  - { name: es, type: elasticsearch, endpoints: ["${elasticsearch.url}"], batch: { maxWait: 50ms }, retry: { initialDelay: 20ms } }`,
  );
  // A trace that stands still for as long as this would be two records: nothing here does, however slow the machine is.
  appendFileSync(config, "processors: [{ multiline: { preset: java, timeout: 60s } }]\n");
  const wanted: string[] = [];
  // One writer a stream, each a line at a time, so that traces of the two lie within each other.
  const writers = ["stdout", "stderr"].map((stream) => ({ stream, lines: [] as string[], traces: 0 }));
  let writing = true;
  let rounds = 0;
  const write = (): void => {
    for (const writer of writers) {
      if (writer.lines.length === 0) {
        if (!writing) continue;
        const [head, ...rest] = TRACE;
        writer.lines = [`${writer.stream} ${writer.traces++} ${head}`, ...rest];
        wanted.push(writer.lines.join("\n"));
      }
      container.raw(`${new Date().toISOString()} ${writer.stream} F ${writer.lines.shift()}\n`);
    }
    if (++rounds % 40 === 0) container.rotate({ gzip: rounds % 80 === 0 });
  };
  const timer = setInterval(write, 4);
  context.after(() => clearInterval(timer));
  for (let kill = 0; kill < KILLS; kill++) {
    const program = new Program(["run", "-c", config]);
    const seen = elasticsearch.documents().length;
    await until(() => elasticsearch.documents().length > seen + 4, "records arrive again");
    await until(() => writers.some(({ lines }) => lines.length > 0 && lines.length < TRACE.length), "within a trace");
    const { signal } = await program.end("SIGKILL");
    assert.equal(signal, "SIGKILL");
  }
  writing = false;
  await until(() => writers.every(({ lines }) => lines.length === 0), "the last traces are whole");
  clearInterval(timer);
  // What follows ends the last traces.
  for (const { stream } of writers) container.raw(`${new Date().toISOString()} ${stream} F the end\n`);
  const program = new Program(["run", "-c", config]);
  const messages = (): string[] => elasticsearch.documents().map(({ message }) => String(message));
  await until(() => new Set(messages()).size >= wanted.length, `all ${wanted.length} traces arrive`);
  assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
  assert.deepEqual(messages().sort(), wanted.sort());
});
