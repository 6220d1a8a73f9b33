/** /healthz and /readyz of a whole agent on real files, made stuck, slow and unready, with the clock in the test's hands. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Agent } from "../../agent/agent.ts";
import { type Clock, systemClock } from "../../agent/clock.ts";
import { loadConfig } from "../../agent/config/load.ts";
import { ApiServer } from "../support/apiserver.ts";
import { type ElasticsearchFake, startElasticsearch } from "../support/elasticsearch.ts";
import { LogNode } from "../support/node.ts";
import { freePort, temporaryFolder, until } from "../support/program.ts";
import { keepLog } from "../support/quiet-log.ts";

const SECOND = 1000;

/** Runs ahead of the system's clock as far as a test says. */
class AheadClock implements Clock {
  aheadMs = 0;
  monotonic(): number {
    return systemClock.monotonic() + this.aheadMs;
  }
  wall(): number {
    return systemClock.wall() + this.aheadMs;
  }
}

interface Running {
  readonly clock: AheadClock;
  readonly node: LogNode;
  readonly ask: (path: string) => Promise<string>;
}

/** An agent whose output takes little ahead, so that what its backend does not take soon waits in the files. */
async function run(context: TestContext, url: string, kubernetes = "{ enabled: false }"): Promise<Running> {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const file = join(root, "config.yaml");
  writeFileSync(
    file,
    `nodeName: node-a
dataDir: ${join(root, "state")}
shutdownTimeout: 1s
source: { include: ["${root}/containers/*.log"], roots: ["${root}"] }
kubernetes: ${kubernetes}
admin: { listen: "127.0.0.1:0", uiListen: "127.0.0.1:0" }
outputs:
  - { name: es, type: elasticsearch, endpoints: ["${url}"], setupTemplate: false, memory: 1MiB,
      batch: { maxWait: 20ms }, request: { timeout: 90s }, retry: { initialDelay: 20ms, maxDelay: 20ms } }
`,
  );
  const loaded = loadConfig(file, { env: {}, hostname: "node-a", checkFiles: true });
  if ("problems" in loaded) assert.fail(JSON.stringify(loaded.problems));
  const clock = new AheadClock();
  const agent = new Agent(loaded, {}, clock, keepLog().log);
  await agent.start();
  context.after(() => agent.stop());
  const ask = async (path: string): Promise<string> => {
    const answer = await fetch(`http://${agent.addresses.admin}${path}`);
    return `${answer.status} ${(await answer.text()).trim()}`;
  };
  return { clock, node, ask };
}

/** More than the output's memory, in lines of 1 KiB. */
function writeMuch(node: LogNode): void {
  const container = node.container("web-0");
  container.write(...Array.from({ length: 3000 }, (_, at) => `${at} ${"x".repeat(1000)}`));
}

async function fake(context: TestContext): Promise<ElasticsearchFake> {
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  return elasticsearch;
}

/** Asks every few seconds of the agent's time, as kubelet does. @returns the first answer that is not 200, else the last. */
async function watch({ clock, ask }: Running, forMs: number): Promise<string> {
  let answer = await ask("/healthz");
  for (let past = 0; past < forMs && answer.startsWith("200"); past += 10 * SECOND) {
    clock.aheadMs += 10 * SECOND;
    // The folders are looked at several times a second of real time, which this loop must not outrun.
    answer = await until(async () => {
      const now = await ask("/healthz");
      return now.includes("looked at") ? undefined : now;
    }, "the folders are looked at");
  }
  return answer;
}

test("a backend that takes its time to answer is not the agent's illness; one request that never ends is", async (context) => {
  const elasticsearch = await fake(context);
  elasticsearch.script.push(...Array.from({ length: 10 }, () => ({ kind: "hang" }) as const));
  const running = await run(context, elasticsearch.url);
  writeMuch(running.node);
  await until(() => elasticsearch.requests.length === 2, "both requests are on their way");
  assert.equal(await watch(running, 80 * SECOND), "200 ok");
  // The real clock is what would break them off, and it stands still here: as if the agent had forgotten to.
  const answer = await watch(running, 200 * SECOND);
  assert.match(answer, /^503 output es: bytes wait, the backend is not at fault, and nothing has moved for \d+ s$/);
});

test("an agent that moves again is well again", async (context) => {
  const elasticsearch = await fake(context);
  const release = Promise.withResolvers<void>();
  elasticsearch.script.push(...Array.from({ length: 2 }, () => ({ kind: "delay", until: release.promise }) as const));
  const running = await run(context, elasticsearch.url);
  writeMuch(running.node);
  await until(() => elasticsearch.requests.length === 2, "both requests are on their way");
  assert.match(await watch(running, 300 * SECOND), /^503 /);
  release.resolve();
  await until(() => elasticsearch.documents().length === 3000, "all lines arrive");
  assert.equal(await running.ask("/healthz"), "200 ok");
});

for (const [name, prepare] of [
  ["is down", async () => `http://127.0.0.1:${await freePort()}`],
  [
    "refuses everything",
    async (context: TestContext) => {
      const elasticsearch = await startElasticsearch({ authorization: "never" });
      context.after(() => elasticsearch.close());
      return elasticsearch.url;
    },
  ],
] as const)
  test(`a backend that ${name} for a quarter of an hour fails neither health nor readiness`, async (context) => {
    const running = await run(context, await prepare(context));
    writeMuch(running.node);
    await until(
      async () => /retries_total\{output="es"\} [1-9]/.test(await running.ask("/metrics")),
      "it is tried again",
    );
    assert.equal(await watch(running, 900 * SECOND), "200 ok");
    assert.equal(await running.ask("/readyz"), "200 ok");
  });

test("a node where nobody writes is a healthy one", async (context) => {
  const elasticsearch = await fake(context);
  const running = await run(context, elasticsearch.url);
  running.node.container("web-0").write("one line");
  await until(() => elasticsearch.documents().length === 1, "the line arrives");
  assert.equal(await watch(running, 900 * SECOND), "200 ok");
});

test("the agent is ready once pod metadata is there, or was waited for long enough", async (context) => {
  const elasticsearch = await fake(context);
  for (const answers of [true, false]) {
    const server = new ApiServer();
    await server.start();
    context.after(() => server.stop());
    const gate = Promise.withResolvers<void>();
    server.listGate = gate.promise;
    context.after(() => gate.resolve());
    const kubeconfig = join(temporaryFolder(context), "kubeconfig");
    writeFileSync(
      kubeconfig,
      `{ current-context: x, contexts: [{ name: x, context: { cluster: c, user: u } }],
         clusters: [{ name: c, cluster: { server: "${server.url}" } }], users: [{ name: u, user: {} }] }`,
    );
    const { ask, clock } = await run(context, elasticsearch.url, `{ kubeconfig: ${kubeconfig}, metadataTimeout: 1h }`);
    assert.equal(await ask("/readyz"), "503 pod metadata is not there yet");
    assert.equal(await ask("/healthz"), "200 ok");
    if (answers) gate.resolve();
    else clock.aheadMs = 3601 * SECOND;
    await until(async () => (await ask("/readyz")) === "200 ok", "it is ready");
  }
});
