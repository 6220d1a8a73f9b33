/** Changed configurations under load, on the shipped program: nothing lost, nothing twice, and only what changed is rebuilt. */
import assert from "node:assert/strict";
import { readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { MountedFolder } from "../support/configmap.ts";
import { type ElasticsearchFake, startElasticsearch } from "../support/elasticsearch.ts";
import { type LogContainer, LogNode } from "../support/node.ts";
import { buildBundle, configText, freePort, Program, temporaryFolder, until } from "../support/program.ts";
import { Watched } from "../support/status.ts";

buildBundle();

/** What the backend does to the first request must happen to records. */
const OPTIONS = "setupTemplate: false, batch: { maxWait: 30ms }, retry: { initialDelay: 20ms, maxDelay: 100ms }";

interface Es {
  readonly name?: string;
  readonly url: string;
  readonly more?: string;
}

function es({ name = "es", url, more = "" }: Es): string {
  return `  - { name: ${name}, type: elasticsearch, endpoints: ["${url}"], ${OPTIONS}${more === "" ? "" : `, ${more}`} }`;
}

/** Numbered lines in all containers, rotated now and then, until stopped. */
class Load {
  written = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(context: TestContext, containers: readonly LogContainer[]) {
    let rounds = 0;
    this.#timer = setInterval(() => {
      for (const container of containers) {
        for (let i = 0; i < 10; i++) container.write(`line ${this.written++}`);
        if (rounds % 40 === 39) container.rotate({ gzip: rounds % 80 === 79 });
      }
      rounds++;
    }, 10);
    context.after(() => clearInterval(this.#timer));
  }

  stop(): number {
    clearInterval(this.#timer);
    return this.written;
  }
}

const messages = (elasticsearch: ElasticsearchFake): string[] =>
  elasticsearch.documents().map(({ message }) => String(message));

/** Waits until all lines are there, and asserts that each is there once. */
async function assertWhole(elasticsearch: ElasticsearchFake, written: number): Promise<void> {
  await until(() => new Set(messages(elasticsearch)).size >= written, `all ${written} lines`);
  const all = messages(elasticsearch);
  assert.deepEqual(new Set(all), new Set(Array.from({ length: written }, (_, i) => `line ${i}`)));
  assert.equal(all.length, written, "each line is stored once");
}

async function start(context: TestContext, text: (root: string) => string) {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const mount = new MountedFolder(join(root, "etc"), { "config.yaml": text(root) });
  const program = new Program(["run", "-c", mount.path("config.yaml")]);
  context.after(() => void program.child.kill("SIGKILL"));
  const agent = await Watched.of(program);
  const swap = (changed: string): void => mount.swap({ "config.yaml": changed });
  return { root, node, mount, program, agent, swap };
}

async function backend(context: TestContext): Promise<ElasticsearchFake> {
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  return elasticsearch;
}

test("an output that changes under load goes on where it was: nothing is lost and nothing is even sent twice", async (context) => {
  const [one, other] = [await backend(context), await backend(context)];
  const config = (root: string, round: number): string =>
    configText(
      root,
      [es({ url: one.url, more: `request: { timeout: ${60 + round}s }` }), es({ name: "other", url: other.url })].join(
        "\n",
      ),
    );
  const { root, node, program, agent, swap } = await start(context, (root) => config(root, 0));
  const load = new Load(context, [node.container("web-0"), node.container("web-1"), node.container("api-0")]);
  for (let round = 1; round <= 8; round++) {
    const seen = one.documents().length;
    await until(() => one.documents().length > seen + 100, "records arrive");
    swap(config(root, round));
    await agent.reloaded(round);
  }
  const written = load.stop();
  await assertWhole(one, written);
  await assertWhole(other, written);
  assert.equal(one.received, written);
  assert.equal(other.received, written);
  assert.equal(await agent.reloadFailures(), 0);
  await program.end("SIGTERM");
});

test("a wrong host that is corrected later loses nothing of files that were rotated away and deleted meanwhile", async (context) => {
  const [right, other] = [await backend(context), await backend(context)];
  const nobody = await freePort();
  const config = (root: string, url: string): string =>
    configText(root, [es({ url }), es({ name: "other", url: other.url })].join("\n"));
  const wrong = `http://127.0.0.1:${nobody}`;
  const { root, node, agent, swap } = await start(context, (root) => config(root, wrong));
  const container = node.container("web-0");
  let written = 0;
  for (let generation = 0; generation < 6; generation++) {
    for (let i = 0; i < 50; i++) container.write(`line ${written++}`);
    await until(() => new Set(messages(other)).size === written, "the other output has them");
    container.rotate({ keep: 1 });
  }
  await until(async () => (await agent.status()).outputs[0]?.state === "retrying", "the host is wrong");
  const rotated = (): number => readdirSync(container.folder).length;
  assert.ok(rotated() <= 3, "files are deleted");
  swap(config(root, `${wrong}/elsewhere`));
  await agent.reloaded(1);
  swap(config(root, right.url));
  await agent.reloaded(2);
  await assertWhole(right, written);
  await assertWhole(other, written);
  assert.equal(await agent.metric("tailrace_source_lost_bytes_total"), undefined);
  assert.deepEqual([right.received, other.received], [written, written]);
});

test("an unchanged output's open request is not broken off when another changes", async (context) => {
  const [quiet, changing] = [await backend(context), await backend(context)];
  let answer = (): void => {};
  quiet.script.push({
    kind: "delay",
    until: new Promise<void>((resolve) => {
      answer = resolve;
    }),
  });
  const config = (root: string, timeout: number): string =>
    configText(
      root,
      [
        es({ name: "quiet", url: quiet.url }),
        es({ name: "changing", url: changing.url, more: `request: { timeout: ${timeout}s }` }),
      ].join("\n"),
    );
  const { root, node, agent, swap } = await start(context, (root) => config(root, 60));
  const container = node.container("web-0");
  container.write("one");
  await until(() => quiet.requests.length === 1 && changing.documents().length === 1, "a request is open");
  swap(config(root, 61));
  await agent.reloaded(1);
  container.write("two");
  await until(() => changing.documents().length === 2, "the changed output goes on");
  answer();
  await until(() => quiet.documents().length === 2, "the unchanged output goes on");
  assert.equal(quiet.received, 2);
  assert.equal(quiet.connections <= 2, true);
});

test("an invalid configuration is refused with its place and counted, and the one before runs on", async (context) => {
  const elasticsearch = await backend(context);
  const { root, node, mount, program, agent, swap } = await start(context, (root) =>
    configText(root, es({ url: elasticsearch.url })),
  );
  const container = node.container("web-0");
  swap(configText(root, es({ url: elasticsearch.url, more: "memroy: 1MiB" })));
  await until(async () => (await agent.reloadFailures()) === 1, "it is refused");
  const { config } = await agent.status();
  assert.match(config.error ?? "", /config\.yaml:\d+:\d+: outputs\[0\]\.memroy: .*memory/);
  assert.match(program.stderr, new RegExp(`${mount.path("config.yaml")}:\\d+:\\d+: outputs`));
  assert.equal(await agent.reloads(), 0);
  container.write("still here");
  await until(() => elasticsearch.documents().length === 1, "the one before runs on");
  swap(configText(root, es({ url: elasticsearch.url })));
  await agent.reloaded(1);
  assert.equal((await agent.status()).config.error, null);
});

test("ten changes within two seconds end with the last, however they are written", async (context) => {
  const elasticsearch = await backend(context);
  const config = (root: string, n: number | string): string =>
    configText(root, es({ url: elasticsearch.url, more: `index: logs-${n}` }));
  const ways: Record<string, (file: string, text: string, mount: MountedFolder) => void> = {
    "the ..data link is swapped": (_file, text, mount) => mount.swap({ "config.yaml": text }),
    "the file is renamed over": (file, text) => {
      writeFileSync(`${file}.new`, text);
      renameSync(`${file}.new`, file);
    },
    "the file is written in place": (file, text) => writeFileSync(file, text),
  };
  const { root, node, mount, program, agent } = await start(context, (root) => config(root, "first"));
  const container = node.container("web-0");
  for (const [way, write] of Object.entries(ways)) {
    const slug = way.replaceAll(/[^a-z]/g, "");
    for (let n = 0; n < 10; n++) {
      write(mount.path("config.yaml"), config(root, `${slug}-${n}`), mount);
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    await until(() => {
      container.write(way);
      return elasticsearch.documents(`logs-${slug}-9`).length > 0;
    }, `the last one is in effect: ${way}`);
  }
  assert.equal(await agent.reloadFailures(), 0, program.stderr);
});

test("SIGHUP takes the file up at once, also when nothing has changed", async (context) => {
  const elasticsearch = await backend(context);
  const { program, agent } = await start(context, (root) => configText(root, es({ url: elasticsearch.url })));
  program.child.kill("SIGHUP");
  await agent.reloaded(1);
  assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
});

test("a rotated Secret is used without a reload, and a changed literal one is not shown", async (context) => {
  const elasticsearch = await startElasticsearch({
    authorization: `ApiKey ${Buffer.from("id:new").toString("base64")}`,
  });
  context.after(() => elasticsearch.close());
  const secretRoot = temporaryFolder(context);
  const secret = new MountedFolder(join(secretRoot, "secret"), { apiKey: "id:old" });
  const config = (root: string, auth: string): string =>
    configText(root, es({ url: elasticsearch.url, more: `auth: { apiKey: ${auth} }` }));
  const { root, node, program, agent, swap } = await start(context, (root) =>
    config(root, `{ file: "${secret.path("apiKey")}" }`),
  );
  node.container("web-0").write("one");
  await until(async () => (await agent.status()).outputs[0]?.state === "retrying", "the old key is refused");
  secret.swap({ apiKey: "id:new" });
  await until(() => elasticsearch.documents().length === 1, "the new key is used");
  assert.equal(await agent.reloads(), 0);
  swap(config(root, '"id:topsecret"'));
  await agent.reloaded(1);
  node.container("web-1").write("two");
  await until(async () => (await agent.status()).outputs[0]?.suspects.length, "the change is suspected");
  assert.doesNotMatch(program.stderr + JSON.stringify(await agent.status()), /topsecret/);
});

test("a valid change that breaks delivery is told at once with what differs from the last one that worked", async (context) => {
  const elasticsearch = await backend(context);
  const nobody = await freePort();
  const config = (root: string, url: string, timeout: number): string =>
    configText(root, es({ url, more: `request: { timeout: ${timeout}s }` }));
  const { root, node, program, agent, swap } = await start(context, (root) => config(root, elasticsearch.url, 60));
  const container = node.container("web-0");
  container.write("one");
  await until(() => elasticsearch.documents().length === 1, "it works");
  swap(config(root, `http://127.0.0.1:${nobody}`, 60));
  await agent.reloaded(1);
  container.write("two");
  const told = (): Record<string, unknown>[] => program.log.filter(({ msg }) => /fails since/.test(String(msg)));
  await until(() => told().length === 1, "the change is named");
  const change = `outputs[es].endpoints: ["${elasticsearch.url}"] -> ["http://127.0.0.1:${nobody}"]`;
  assert.deepEqual(told()[0]?.changed, [change]);
  // A further change is compared with what worked, not with what was there just before.
  swap(config(root, `http://127.0.0.1:${nobody}`, 61));
  await until(() => told().length === 2, "both changes are named");
  assert.deepEqual(told()[1]?.changed, ["outputs[es].request.timeout: 1m -> 61s", change]);
  assert.equal((await agent.status()).outputs[0]?.suspects.length, 2);
  swap(config(root, elasticsearch.url, 61));
  await until(() => elasticsearch.documents().length === 2, "it works again");
  await until(async () => (await agent.status()).outputs[0]?.suspects.length === 0, "nothing is suspected any more");
});

test("outputs come, go and are renamed; a new one gets what is there, a former one goes on where it was", async (context) => {
  const [first, second] = [await backend(context), await backend(context)];
  const one = es({ name: "one", url: first.url });
  const two = es({ name: "two", url: second.url });
  const { root, node, program, agent, swap } = await start(context, (root) => configText(root, one));
  const container = node.container("web-0");
  container.write("line 0");
  await until(() => first.documents().length === 1, "the first line");
  for (let i = 0; i < 3; i++) {
    container.rotate({ gzip: true });
    container.write(`line ${i + 1}`);
  }
  await until(() => first.documents().length === 4, "rotated files are read, and left");
  swap(configText(root, `${one}\n${two}`));
  await agent.reloaded(1);
  await assertWhole(second, 4);
  swap(configText(root, two));
  await agent.reloaded(2);
  assert.equal(await agent.metric("tailrace_output_records_total", { output: "one" }), undefined);
  assert.equal(await agent.metric("tailrace_output_request_seconds_count", { output: "one" }), undefined);
  assert.equal(await agent.metric("tailrace_output_records_total", { output: "two" }), 4);
  container.write("line 4");
  await assertWhole(second, 5);
  assert.equal(first.documents().length, 4);
  swap(configText(root, `${two}\n${one}`));
  await agent.reloaded(3);
  await assertWhole(first, 5);
  assert.equal(first.received, 5, "the one that comes back goes on at its checkpoint");
  assert.deepEqual(
    (await agent.status()).outputs.map(({ name }) => name),
    ["two", "one"],
  );
  await program.end("SIGTERM");
});

test("other files are followed when source changes, and what was excluded goes on where it was", async (context) => {
  const elasticsearch = await backend(context);
  const config = (root: string, exclude: string): string =>
    configText(root, es({ url: elasticsearch.url }), `  exclude: [${exclude}]\n`);
  const { root, node, agent, swap } = await start(context, (root) => config(root, ""));
  const [noisy, other] = [node.container("noisy-0"), node.container("web-0")];
  noisy.write("noisy 1");
  other.write("other 1");
  await until(() => elasticsearch.documents().length === 2, "both");
  swap(config(root, '"**/noisy-*"'));
  await agent.reloaded(1);
  noisy.write("noisy 2");
  other.write("other 2");
  await until(() => elasticsearch.documents().length === 3, "the other one");
  assert.deepEqual(
    (await agent.status()).containers.map(({ pod }) => pod),
    ["web-0"],
  );
  swap(config(root, ""));
  await agent.reloaded(2);
  await until(() => elasticsearch.documents().length === 4, "what was written meanwhile");
  assert.deepEqual(messages(elasticsearch).toSorted(), ["noisy 1", "noisy 2", "other 1", "other 2"]);
  assert.equal(elasticsearch.received, 4);
});

test("an agent that is told to end while a change waits for a silent backend ends in order, and loses nothing", async (context) => {
  const elasticsearch = await backend(context);
  const config = (root: string, timeout: number): string =>
    configText(root, es({ url: elasticsearch.url, more: `request: { timeout: ${timeout}s }` }));
  const { root, node, mount, program, swap } = await start(context, (root) => config(root, 60));
  elasticsearch.script.push({ kind: "hang" });
  node.container("web-0").write("line 0");
  await until(() => elasticsearch.requests.length === 1, "a request is in the air");
  swap(config(root, 61));
  await until(() => program.log.some(({ msg }) => /is taken up/.test(String(msg))), "the change waits");
  assert.deepEqual(await program.end("SIGTERM"), { code: 0, signal: null });
  const next = new Program(["run", "-c", mount.path("config.yaml")]);
  context.after(() => void next.child.kill("SIGKILL"));
  await assertWhole(elasticsearch, 1);
});

test("what only a restart can change is said, and the rest of the change is taken up", async (context) => {
  const elasticsearch = await backend(context);
  const { root, program, agent, swap } = await start(context, (root) =>
    configText(root, es({ url: elasticsearch.url })),
  );
  const changed = configText(root, es({ url: elasticsearch.url }))
    .replace(`${root}/state`, `${root}/elsewhere`)
    .replace('listen: "127.0.0.1:0"', 'listen: "127.0.0.1:1"')
    .concat("logLevel: warn\nclusterName: prod\n");
  swap(changed);
  await agent.reloaded(1);
  assert.deepEqual((await agent.status()).config.restart, ["dataDir", "admin.listen"]);
  assert.ok(program.log.some(({ keys }) => JSON.stringify(keys) === '["dataDir","admin.listen"]'));
  swap(changed.replace("dataDir", "# dataDir"));
  await agent.reloaded(2);
  assert.doesNotMatch(program.stderr.slice(program.stderr.indexOf("next start")), /in effect/);
});
