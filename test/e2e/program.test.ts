/** The shipped program as its users meet it: commands, exit statuses, and what it says when something is wrong. */
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startElasticsearch } from "../support/elasticsearch.ts";
import { LogNode } from "../support/node.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";

buildBundle();

const CONSOLE = "  - { name: screen, type: console, format: json, batch: { maxWait: 50ms } }";

test("help and version say so and end with 0; a wrong command ends with 2", async () => {
  const help = new Program(["--help"]);
  assert.equal((await help.exited).code, 0);
  assert.match(help.stdout, /tailrace run/);
  const version = new Program(["--version"]);
  await version.exited;
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
  for (const args of [["nonsense"], [], ["run", "extra"], ["run", "--nonsense"], ["constructor"]]) {
    const wrong = new Program(args);
    assert.equal((await wrong.exited).code, 2, args.join(" "));
    assert.match(wrong.stderr, /^tailrace: .*see tailrace --help\n$/);
  }
});

test("validate prints every problem with its place, run logs the same, both end with 2", async (context) => {
  const root = temporaryFolder(context);
  const file = join(root, "config.yaml");
  writeFileSync(file, "sorce: {}\noutputs:\n  - { name: es, type: elasticsearch, endpoint: [x], memory: much }\n");
  const validate = new Program(["validate", "-c", file]);
  assert.equal((await validate.exited).code, 2);
  const lines = validate.stdout.trim().split("\n");
  assert.ok(lines.length >= 4, validate.stdout);
  for (const line of lines) assert.match(line, new RegExp(`^${file}:\\d+:\\d+: `));
  assert.match(validate.stdout, /did you mean "?source/);
  const run = new Program(["run", "-c", file]);
  assert.equal((await run.exited).code, 2);
  assert.deepEqual(
    run.log.map(({ msg }) => msg),
    lines,
  );
});

test("config prints all defaults and no secret; schema prints the JSON Schema", async (context) => {
  const root = temporaryFolder(context);
  const file = writeConfig(
    root,
    `  - { name: es, type: elasticsearch, endpoints: ["http://es:9200"], auth: { apiKey: "id:topsecret" } }`,
  );
  const config = new Program(["config", "-c", file]);
  assert.equal((await config.exited).code, 0);
  assert.match(config.stdout, /maxDelay: 30s/);
  assert.doesNotMatch(config.stdout, /topsecret/);
  const schema = new Program(["schema"]);
  assert.equal((await schema.exited).code, 0);
  assert.ok("properties" in (JSON.parse(schema.stdout) as object));
});

test("a data folder that is held by another instance, or that can't be written, ends it with 1 and one sentence", async (context) => {
  const root = temporaryFolder(context);
  new LogNode(root);
  const file = writeConfig(root, CONSOLE);
  const first = new Program(["run", "-c", file]);
  context.after(() => void first.child.kill("SIGKILL"));
  await first.running();
  const second = new Program(["run", "-c", file]);
  assert.equal((await second.exited).code, 1);
  assert.deepEqual(
    second.log.map(({ level }) => level),
    ["error"],
  );
  assert.match(String(second.log[0]?.msg), /another tailrace works on dataDir/);
  assert.deepEqual(await first.end("SIGTERM"), { code: 0, signal: null });
  const bad = writeConfig(root, CONSOLE).replace("config.yaml", "bad.yaml");
  writeFileSync(bad, readFileSync(file, "utf8").replace(`${root}/state`, "/proc/state"));
  const third = new Program(["run", "-c", bad]);
  assert.equal((await third.exited).code, 1);
  assert.match(String(third.log[0]?.msg), /can't write to dataDir \/proc\/state/);
});

test("a file without permission is that file's problem: told once, counted, and the rest is shipped", {
  skip: process.getuid?.() !== 0 && "needs root, to run the agent as another user",
}, async (context) => {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const secret = node.container("secret");
  secret.write("not for everybody");
  chmodSync(secret.file, 0o600);
  node.container("open").write("for everybody");
  mkdirSync(join(root, "state"));
  chmodSync(root, 0o755);
  chownSync(join(root, "state"), 65534, 65534);
  symlinkSync("/etc/hostname", join(root, "containers", "out-of-roots.log"));
  const program = new Program(["run", "-c", writeConfig(root, CONSOLE)], { uid: 65534 });
  context.after(() => void program.child.kill("SIGKILL"));
  const { metrics } = await program.running();
  await until(() => program.stdout.includes("for everybody"), "the readable pod's line");
  const text = await (await fetch(metrics)).text();
  assert.match(text, /tailrace_source_files\{state="unreadable"\} 1/);
  assert.match(text, /tailrace_source_files\{state="outside"\} 1/);
  assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
  assert.equal(program.log.filter(({ path }) => path === secret.file).length, 1);
  assert.doesNotMatch(program.stdout, /not for everybody/);
});

test("metrics, health, readiness and status are there, and local eyes only see the status", async (context) => {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const container = node.container("web-0");
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  const program = new Program([
    "run",
    "-c",
    writeConfig(
      root,
      `  - { name: es, type: elasticsearch, endpoints: ["${elasticsearch.url}"], batch: { maxWait: 50ms } }`,
    ),
  ]);
  context.after(() => void program.child.kill("SIGKILL"));
  const { metrics, status } = await program.running();
  container.write("one", "two");
  await until(() => elasticsearch.documents().length === 2, "two documents");
  const ask = async (path: string): Promise<Response> => fetch(new URL(path, metrics));
  assert.equal((await ask("/healthz")).status, 200);
  assert.equal((await ask("/readyz")).status, 200);
  assert.equal((await ask("/nothing")).status, 404);
  const text = await until(async () => {
    const now = await (await ask("/metrics")).text();
    return /tailrace_output_records_total\{output="es"\} 2/.test(now) && now;
  }, "both records are counted");
  assert.match(text, /tailrace_source_lag_bytes\{output="es",namespace="shop",pod="web-0",container="app"\} 0/);
  const account = (name: string): number =>
    Number(new RegExp(`^tailrace_container_${name}\\{output="es",.*pod="web-0".*\\} (\\d+)$`, "m").exec(text)?.[1]);
  const size = readFileSync(container.file).length;
  assert.deepEqual(
    [account("read_bytes_total"), account("shipped_bytes_total"), account("pending_bytes")],
    [size, size, 0],
  );
  assert.match(text, /tailrace_output_requests_total\{output="es",code="200"\} \d/);
  assert.match(text, /tailrace_output_up\{output="es"\} 1/);
  const reply = (await (await fetch(status)).json()) as {
    containers: { outputs: { es: { readBytes: number; shippedBytes: number } } }[];
  };
  const bytes = reply.containers[0]?.outputs.es;
  assert.equal(bytes?.readBytes, size);
  assert.equal(bytes?.shippedBytes, bytes?.readBytes);
  const foreign = await fetch(status, { headers: { origin: "https://example.com" } });
  assert.equal(foreign.status, 403);
  await program.end("SIGTERM");
});

test("a backend that is away stops nothing else, and what was written meanwhile is there when it is back", async (context) => {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const container = node.container("web-0");
  const elasticsearch = await startElasticsearch();
  const config = writeConfig(
    root,
    `  - { name: es, type: elasticsearch, endpoints: ["http://127.0.0.1:${elasticsearch.port}"], batch: { maxWait: 20ms }, retry: { initialDelay: 20ms, maxDelay: 100ms } }\n${CONSOLE}`,
  );
  await elasticsearch.close();
  const program = new Program(["run", "-c", config]);
  context.after(() => void program.child.kill("SIGKILL"));
  const { metrics } = await program.running();
  container.write("while it is away");
  await until(() => program.stdout.includes("while it is away"), "the other output has it");
  assert.equal((await fetch(new URL("/healthz", metrics))).status, 200);
  assert.match(await (await fetch(metrics)).text(), /tailrace_output_up\{output="es"\} 0/);
  const back = await startElasticsearch({ port: elasticsearch.port });
  context.after(() => back.close());
  await until(() => back.documents().length === 1, "it is there");
  await program.end("SIGTERM");
});

test("the demo needs nothing, shows records of several pods, and takes its folder away", async () => {
  const demo = new Program(["demo"]);
  await until(
    () => ["shop/web-", "shop/api-", "shop/report-", "legacy/importer-0"].every((pod) => demo.stdout.includes(pod)),
    "records of all pods",
  );
  const folder = /write to (\S+);/.exec(demo.stdout)?.[1] ?? "";
  assert.match(demo.stdout, /status +http:\/\/127\.0\.0\.1:\d+/);
  assert.deepEqual(await demo.end("SIGINT"), { code: 0, signal: null });
  assert.throws(() => readFileSync(join(folder, "config.yaml")), /ENOENT/);
});
