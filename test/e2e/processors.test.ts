/** Processors in the shipped program: what reaches an output, and what is counted. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { criLine, LogNode } from "../support/node.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";

before(() => buildBundle());

test("records are joined, parsed, redacted, dropped and routed, and every byte is accounted for", async (context) => {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const web = node.container("web");
  const noisy = node.container("noisy");
  web.raw(criLine('{"level":"warn","message":"mail to ann@example.org","n":9007199254740993}'));
  web.raw(criLine("GET /health"));
  web.raw(criLine("java.lang.IllegalStateException: no", "stderr") + criLine("\tat a.B.c(B.java:1)", "stderr"));
  noisy.write("1", "2");
  const out = join(root, "out.ndjson");
  const config = writeConfig(
    root,
    `  - { name: all, type: file, path: "${out}", match: { pods: "!noisy" } }
processors:
  - multiline: { preset: java, timeout: 100ms }
  - json: {}
  - severity: {}
  - drop: { match: { message: /health/ } }
  - redact: { builtin: [email] }
`,
  );
  const program = new Program(["run", "-c", config]);
  context.after(() => program.end("SIGKILL"));
  const { metrics, status } = await program.running();
  const documents = (): Record<string, unknown>[] =>
    existsSync(out)
      ? readFileSync(out, "utf8")
          .trim()
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line))
      : [];
  await until(() => documents().length === 2, "two records");
  const [parsed = {}, trace = {}] = documents().sort((a, b) =>
    String(a["@timestamp"]).localeCompare(String(b["@timestamp"])),
  );
  assert.equal(parsed.message, "mail to [REDACTED]");
  assert.equal((parsed.log as { level: string }).level, "warn");
  assert.match(readFileSync(out, "utf8"), /"n":9007199254740993/);
  assert.equal(trace.message, "java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)");
  assert.equal((trace.log as { level: string }).level, "error");
  interface Bytes {
    readonly readBytes: number;
    readonly shippedBytes: number;
    readonly pendingBytes: number;
    readonly droppedBytes: number;
    readonly lagBytes: number;
  }
  const containers = async () => {
    const answer = (await (await fetch(status)).json()) as {
      containers: { pod: string; outputs: Record<string, Bytes> }[];
    };
    return new Map(answer.containers.map(({ pod, outputs }) => [pod, outputs.all as Bytes]));
  };
  await until(async () => [...(await containers()).values()].every(({ lagBytes }) => lagBytes === 0), "nothing lags");
  for (const [pod, { readBytes, shippedBytes, pendingBytes, droppedBytes }] of await containers()) {
    assert.equal(readBytes, shippedBytes + pendingBytes + droppedBytes, pod);
    assert.equal(readBytes, readFileSync(pod === "web" ? web.file : noisy.file).length, pod);
  }
  const text = await (await fetch(metrics)).text();
  assert.match(text, /^tailrace_processor_dropped_records_total\{processor="drop"\} 1$/m);
  assert.match(
    text,
    new RegExp(
      `^tailrace_processor_dropped_bytes_total\\{processor="match"\\} ${readFileSync(noisy.file).length}$`,
      "m",
    ),
  );
  assert.match(text, /^tailrace_processor_events_total\{processor="json",event="unmatched"\} [1-9]/m);
  assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
});
