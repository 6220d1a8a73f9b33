/** `status` and `tap` against a running agent, and what they say when there is none. */
import assert from "node:assert/strict";
import { type IncomingMessage, request } from "node:http";
import { type TestContext, test } from "node:test";
import { startElasticsearch } from "../support/elasticsearch.ts";
import { LogNode } from "../support/node.ts";
import { buildBundle, freePort, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";
import { Watched } from "../support/status.ts";

buildBundle();

async function start(context: TestContext) {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  const outputs = ["es", "second"].map(
    (name) =>
      `  - { name: ${name}, type: elasticsearch, endpoints: ["${elasticsearch.url}"], index: logs-${name}, batch: { maxWait: 20ms } }`,
  );
  const config = writeConfig(root, outputs.join("\n"));
  const program = new Program(["run", "-c", config]);
  context.after(() => void program.child.kill("SIGKILL"));
  const agent = await Watched.of(program);
  return { root, node, elasticsearch, config, program, agent };
}

test("status shows outputs and containers as tables, as JSON, and of some pods only", async (context) => {
  const { node, elasticsearch, agent } = await start(context);
  node.container("web-0").write("one");
  node.container("api-0").write("two");
  await until(() => elasticsearch.documents().length === 4, "both records in both outputs");
  const tables = new Program(["status", "--admin", agent.ui]);
  assert.equal((await tables.exited).code, 0, tables.stderr);
  assert.match(tables.stdout, /^tailrace \S+ on node-a, up \d+ s; configuration [0-9a-f]{16}/);
  assert.match(tables.stdout, /^es +elasticsearch +ok +0 B +0 B$/m);
  assert.match(tables.stdout, /^shop\/web-0 +app +second +\d+ B +\d+ B +0 B +0 B +0 B +0 B$/m);
  const json = new Program(["status", "--admin", agent.ui, "--pod", "web-*", "--json"]);
  assert.equal((await json.exited).code, 0, json.stderr);
  const { containers } = JSON.parse(json.stdout) as { containers: { pod: string }[] };
  assert.deepEqual(
    containers.map(({ pod }) => pod),
    ["web-0"],
  );
  const nobody = new Program(["status", "--admin", agent.ui, "--pod", "nobody"]);
  assert.equal((await nobody.exited).code, 1);
  assert.match(nobody.stderr, /the agent on node-a follows no container of a pod nobody/);
});

test("without an agent, or with a wrong address or configuration, one sentence says what to do", async (context) => {
  const root = temporaryFolder(context);
  const port = await freePort();
  const CASES: { args: string[]; code: number; says: RegExp }[] = [
    {
      args: ["status", "--admin", `http://127.0.0.1:${port}`],
      code: 1,
      says: /no agent answers at .*ECONNREFUSED.*--admin/,
    },
    { args: ["tap", "--admin", `127.0.0.1:${port}`], code: 1, says: /no agent answers at / },
    { args: ["status", "--admin", "https://[x"], code: 2, says: /is no URL/ },
    { args: ["status", "-c", `${root}/none.yaml`], code: 2, says: /none\.yaml:1:1: can't be read/ },
    { args: ["status", "-c", writeConfig(root, "  - { name: a, type: console }")], code: 2, says: /any port.*--admin/ },
    { args: ["run", "--pod", "x"], code: 2, says: /run takes no --pod/ },
    { args: ["replay"], code: 2, says: /replay needs an argument: OUTPUT/ },
  ];
  for (const { args, code, says } of CASES) {
    const program = new Program(args);
    assert.equal((await program.exited).code, code, args.join(" "));
    assert.match(program.stderr + program.stdout, says);
  }
});

test("status finds the agent by the configuration's uiListen", async (context) => {
  const root = temporaryFolder(context);
  new LogNode(root);
  const port = await freePort();
  const config = writeConfig(root, "  - { name: screen, type: console }", "", `uiListen: "0.0.0.0:${port}"`);
  const program = new Program(["run", "-c", config]);
  context.after(() => void program.child.kill("SIGKILL"));
  await program.running();
  const status = new Program(["status", "-c", config]);
  assert.equal((await status.exited).code, 0, status.stderr);
});

test("tap shows the records that pass, filtered, and ends with the agent or its reader", async (context) => {
  const { node, program, agent } = await start(context);
  const [web, api] = [node.container("web-0"), node.container("api-0", { namespace: "prod" })];
  const tap = new Program(["tap", "--admin", agent.ui, "--pod", "web-*", "--output", "es"]);
  const json = new Program(["tap", "--admin", agent.ui, "--namespace", "prod", "--json"]);
  await until(() => {
    web.write("from \x1b[31mweb");
    api.write("from api");
    return tap.stdout.includes("web") && json.stdout.includes("second");
  }, "records are shown");
  assert.match(tap.stdout, /^\d\d:\d\d:\d\d\.\d{3} {2}es shop\/web-0 app from \\x1b\[31mweb$/m);
  assert.doesNotMatch(tap.stdout, /api|second/);
  assert.deepEqual(await json.end("SIGINT"), { code: 0, signal: null });
  const outputs = new Set<string>();
  for (const line of json.stdout.trim().split("\n")) {
    const { output, record } = JSON.parse(line) as { output: string; record: { message: string } };
    outputs.add(output);
    assert.equal(record.message, "from api");
  }
  assert.deepEqual([...outputs].sort(), ["es", "second"]);
  await program.end("SIGTERM");
  assert.equal((await tap.exited).code, 1);
  assert.match(tap.stderr, /has ended/);
});

test("a tap that is not read holds nothing up, and is told how much it missed", async (context) => {
  const { node, elasticsearch, agent } = await start(context);
  const container = node.container("web-0");
  const LINES = 30_000;
  const socket = await new Promise<IncomingMessage>((resolve) => {
    request(`${agent.ui}/api/v1/tap?output=es`, resolve).end();
  });
  socket.pause();
  const message = "x".repeat(1000);
  for (let i = 0; i < LINES; i += 1000) container.write(...Array.from({ length: 1000 }, () => message));
  await until(() => elasticsearch.documents("logs-es").length === LINES, "all is delivered though nobody reads");
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  socket.resume();
  const count = (): { shown: number; missed: number } => {
    const lines = text.split("\n").filter((line) => line.endsWith("}"));
    const missed = lines.flatMap((line) => (line.startsWith('{"missed"') ? [JSON.parse(line).missed as number] : []));
    return { shown: lines.length - missed.length, missed: missed.reduce((sum, value) => sum + value, 0) };
  };
  await until(() => count().shown + count().missed === LINES, "every record was shown or counted as missed");
  assert.ok(count().missed > 0);
  socket.destroy();
});

test("what shows log content answers local names and its own origin only", async (context) => {
  const { agent } = await start(context);
  const host = new URL(agent.ui).host;
  const CASES: { headers: Record<string, string>; path: string; status: number }[] = [
    { headers: {}, path: "/api/v1/status", status: 200 },
    { headers: { host: "localhost:8080", origin: "http://localhost:8080" }, path: "/api/v1/status", status: 200 },
    { headers: { host: "evil.example" }, path: "/api/v1/status", status: 403 },
    { headers: { host: "evil.example" }, path: "/api/v1/tap", status: 403 },
    { headers: { host: "evil.example" }, path: "/", status: 403 },
    { headers: { host: "127.0.0.1.evil.example" }, path: "/", status: 403 },
    { headers: { origin: "http://evil.example" }, path: "/api/v1/tap", status: 403 },
    { headers: { origin: "null" }, path: "/api/v1/status", status: 403 },
    { headers: { origin: "http://localhost:3000" }, path: "/api/v1/status", status: 403 },
    { headers: { origin: `http://${host}` }, path: "/api/v1/status", status: 200 },
    { headers: { "sec-fetch-site": "cross-site" }, path: "/api/v1/tap", status: 403 },
    { headers: { "sec-fetch-site": "same-site" }, path: "/api/v1/status", status: 403 },
    { headers: { "sec-fetch-site": "same-origin" }, path: "/api/v1/status", status: 200 },
    { headers: { "sec-fetch-site": "cross-site" }, path: "/", status: 200 },
    { headers: {}, path: "/api/v1/tap?pods=x", status: 400 },
    { headers: {}, path: "/constructor", status: 404 },
  ];
  for (const { headers, path, status } of CASES) {
    const actual = await new Promise<number | undefined>((resolve, reject) => {
      request(`${agent.ui}${path}`, { headers }, (response) => {
        resolve(response.statusCode);
        response.destroy();
      })
        .on("error", reject)
        .end();
    });
    assert.equal(actual, status, `${path} ${JSON.stringify(headers)}`);
  }
});
