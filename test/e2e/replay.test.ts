/** Dead letters sent again by the shipped program, beside a running agent and without one. */
import assert from "node:assert/strict";
import { appendFileSync, existsSync, readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { segmentsOf } from "../../outputs/dead-letter.ts";
import type { Refusal } from "../support/bulk.ts";
import { startElasticsearch } from "../support/elasticsearch.ts";
import { letters as lettersIn } from "../support/lane.ts";
import { LogNode } from "../support/node.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";

buildBundle();

const REFUSAL: Refusal = { status: 400, type: "document_parsing_exception", reason: "no number" };
const messageOf = (entry: string): string => (JSON.parse(entry.split("\n")[1] ?? "") as { message: string }).message;

/** An agent whose backend has refused all lines that hold "bad". */
async function start(context: TestContext, lines: readonly string[], more = "") {
  const root = temporaryFolder(context);
  const container = new LogNode(root).container("web-0");
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  const refuse = (word: string) => {
    elasticsearch.refuse = ({ message }) => (String(message).includes(word) ? REFUSAL : undefined);
  };
  refuse("bad");
  const config = writeConfig(
    root,
    `  - { name: es, type: elasticsearch, endpoints: ["${elasticsearch.url}"], setupTemplate: false, batch: { maxWait: 20ms }, retry: { initialDelay: 10ms, maxDelay: 20ms }${more} }`,
  );
  const program = new Program(["run", "-c", config]);
  context.after(() => void program.child.kill("SIGKILL"));
  await program.running();
  container.write(...lines);
  const folder = join(root, "state", "dead-letter", "es");
  const letters = (): string[] => lettersIn(folder).map(({ entry }) => messageOf(entry));
  const bad = lines.filter((line) => line.includes("bad"));
  await until(() => letters().length === bad.length, "the bad ones are in the dead letters");
  const replay = async () => {
    const again = new Program(["replay", "-c", config, "es"]);
    const { code } = await again.exited;
    return { code, stdout: again.stdout, stderr: again.stderr };
  };
  return { root, container, elasticsearch, refuse, config, program, folder, letters, replay };
}

const messages = (elasticsearch: Awaited<ReturnType<typeof startElasticsearch>>): string[] =>
  elasticsearch.documents().map(({ message }) => String(message));

test("what is accepted leaves the dead letters, what is refused stays with the new reason; an agent or none", async (context) => {
  const { container, elasticsearch, refuse, program, folder, letters, replay } = await start(context, [
    "good",
    "bad 1",
    "bad 2 worse",
    "bad 3",
  ]);
  for (const path of segmentsOf(folder)) assert.equal(statSync(path).mode & 0o777, 0o640);
  elasticsearch.refuse = ({ message }) =>
    String(message).includes("worse")
      ? { ...REFUSAL, type: "strict_dynamic_mapping_exception", reason: "still no" }
      : undefined;
  const first = await replay();
  assert.equal(first.code, 1);
  assert.equal(first.stdout, "es: 2 accepted; 1 refused again, kept with the new reason\n");
  assert.deepEqual(messages(elasticsearch).toSorted(), ["bad 1", "bad 3", "good"]);
  const [left, ...others] = lettersIn(folder);
  assert.deepEqual(
    [left?.type, left?.reason, others],
    ["strict_dynamic_mapping_exception", "strict_dynamic_mapping_exception: still no", []],
  );
  for (const name of readdirSync(folder)) assert.match(name, /\.ndjson$/);
  for (const path of segmentsOf(folder)) assert.equal(statSync(path).mode & 0o777, 0o640);
  // The agent, whose segment was taken away, goes on in another one.
  refuse("bad");
  container.write("bad 4");
  await until(() => letters().includes("bad 4"), "the agent's next dead letter");
  assert.deepEqual(letters().toSorted(), ["bad 2 worse", "bad 4"]);
  await program.end("SIGTERM");
  refuse("nothing");
  assert.deepEqual(await replay(), { code: 0, stdout: "es: 2 accepted\n", stderr: "" });
  assert.equal(elasticsearch.documents().length, 5);
  assert.deepEqual(lettersIn(folder), []);
  assert.deepEqual(await replay(), { code: 0, stdout: "es: 0 accepted\n", stderr: "" });
  assert.equal(new Set(elasticsearch.ids).size, 5);
});

test("a backend that is away leaves everything where it was", async (context) => {
  const { elasticsearch, program, letters, replay } = await start(context, ["bad 1", "bad 2"]);
  await program.end("SIGTERM");
  await elasticsearch.close();
  const { code, stdout } = await replay();
  assert.equal(code, 1);
  assert.match(stdout, /^es: 0 accepted; 2 not sent and kept \(.*ECONNREFUSED/);
  assert.deepEqual(letters(), ["bad 1", "bad 2"]);
});

test("letters of a replay that was killed, and lines that are none, are not lost", async (context) => {
  const { elasticsearch, refuse, program, folder, letters, replay } = await start(context, ["bad 1", "bad 2"]);
  await program.end("SIGTERM");
  refuse("nothing");
  const [segment = ""] = segmentsOf(folder);
  appendFileSync(segment, '{"time":"2026-11-2');
  renameSync(segment, segment.replace(".ndjson", ".replay"));
  const { code, stdout } = await replay();
  assert.deepEqual([code, stdout], [1, "es: 2 accepted; 1 lines damaged and kept\n"]);
  assert.deepEqual(messages(elasticsearch).toSorted(), ["bad 1", "bad 2"]);
  assert.throws(letters, SyntaxError);
  assert.equal(existsSync(segment.replace(".ndjson", ".replay")), false);
});

test("an interrupted replay keeps what was not answered, and two at once do not happen", async (context) => {
  const { elasticsearch, refuse, config, program, letters, replay } = await start(context, ["bad 1", "bad 2"]);
  await program.end("SIGTERM");
  refuse("nothing");
  const before = elasticsearch.requests.length;
  elasticsearch.script.push({ kind: "hang" });
  const hanging = new Program(["replay", "-c", config, "es"]);
  await until(() => elasticsearch.requests.length > before, "a request is in the air");
  const second = await replay();
  assert.equal(second.code, 1);
  assert.match(second.stderr, /another replay of es is at work/);
  assert.deepEqual(await hanging.end("SIGINT"), { code: 1, signal: null });
  assert.match(hanging.stdout, /^es: 0 accepted; 2 not sent and kept/);
  assert.deepEqual(letters(), ["bad 1", "bad 2"]);
  assert.equal((await replay()).code, 0);
});

test("dead letters are many and an agent writes more of them all the while: each is stored once", async (context) => {
  const lines = Array.from({ length: 3000 }, (_, i) => `bad ${i} ${"x".repeat(200)}`);
  const { container, elasticsearch, folder, letters, replay } = await start(
    context,
    lines,
    ", deadLetter: { maxBytes: 16MiB }",
  );
  let written = lines.length;
  const writing = setInterval(() => container.write(`bad ${written++}`), 5);
  context.after(() => clearInterval(writing));
  elasticsearch.refuse = ({ message }) =>
    String(message).includes("bad") && Math.random() < 0.5 ? REFUSAL : undefined;
  for (let round = 0; round < 3; round++) await replay();
  clearInterval(writing);
  await until(
    () => elasticsearch.documents().length + letters().length === written,
    "every record is stored or in the dead letters",
  );
  elasticsearch.refuse = () => undefined;
  assert.equal((await replay()).code, 0);
  assert.equal(new Set(messages(elasticsearch)).size, written);
  assert.deepEqual(lettersIn(folder), []);
});

test("an output that does not exist, or has no dead letters, is said so", async (context) => {
  const root = temporaryFolder(context);
  const config = writeConfig(
    root,
    '  - { name: es, type: elasticsearch, endpoints: ["http://127.0.0.1:1"] }\n  - { name: screen, type: console }',
  );
  for (const name of ["es", "screen"]) {
    const none = new Program(["replay", "-c", config, name]);
    assert.equal((await none.exited).code, 0);
    assert.equal(none.stdout, `${name}: no dead letters\n`);
  }
  const wrong = new Program(["replay", "-c", config, "nobody"]);
  assert.equal((await wrong.exited).code, 2);
  assert.match(wrong.stderr, /no output is named nobody; there are es, screen/);
});
