/** Project, location, cluster name and tokens as they come at run time: late, from several places, and changing. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Rows } from "../../agent/batch.ts";
import type { Outcome } from "../../outputs/output.ts";
import { MetadataFake, TokenFake, writeKey } from "../support/google.ts";
import { letters, makeLane, Settled } from "../support/lane.ts";
import { temporaryFolder, until } from "../support/program.ts";
import { rowsOf } from "../support/rows.ts";
import type { StackdriverFake } from "../support/stackdriver.ts";
import {
  closed,
  NEVER,
  outputFor,
  podOrigin,
  type StackdriverVariations,
  ship,
  startFake,
} from "../support/stackdriver-output.ts";

const TRACE = { "logging.googleapis.com/trace": "4bf92f3577b34da6a3ce929d0e0e4736", a: 1 };
const UNSET: StackdriverVariations = { projectId: "", location: "", clusterName: "", auth: {} };

interface Setting {
  readonly fake: StackdriverFake;
  readonly metadata: MetadataFake;
  readonly more: StackdriverVariations;
}

async function setting(context: TestContext): Promise<Setting> {
  const metadata = await new MetadataFake().start();
  context.after(() => metadata.close());
  return { fake: await startFake(context), metadata, more: { ...UNSET, env: { GCE_METADATA_HOST: metadata.host } } };
}

/** Of a container of its own. */
function rowsOfPod(pod: string, messages: readonly string[]): Rows {
  const rows = rowsOf(messages, { ...podOrigin, pod });
  rows.generation = { key: pod };
  return rows;
}

const reasonOf = (outcome: Outcome): string => (outcome.kind === "retry" ? outcome.reason : "");

test("what is not configured comes from the metadata server, once", async (context) => {
  const { fake, metadata, more } = await setting(context);
  const made = outputFor(context, fake.url, more);
  await ship(made, rowsOf(["a", JSON.stringify(TRACE)], podOrigin));
  await ship(made, rowsOfPod("web-1", ["b"]));
  assert.deepEqual(
    fake.entries.map(({ logName }) => logName),
    new Array(3).fill("projects/my-project/logs/stdout"),
  );
  assert.deepEqual(fake.entries[0]?.resource.labels, {
    project_id: "my-project",
    location: "europe-west1",
    cluster_name: "prod",
    namespace_name: "shop",
    pod_name: "web-0",
    container_name: "app",
  });
  assert.equal(fake.entries[1]?.trace, `projects/my-project/traces/${TRACE["logging.googleapis.com/trace"]}`);
  assert.equal(fake.entries[2]?.resource.labels.pod_name, "web-1");
  assert.equal(metadata.requests.length, 4, "three values and one token");
});

test("a machine that is no node of GKE has its zone as location, and what is configured is not asked for", async (context) => {
  const { fake, metadata, more } = await setting(context);
  for (const name of Object.keys(metadata.values)) delete metadata.values[name];
  metadata.values["instance/zone"] = "projects/123456/zones/europe-west1-b";
  const made = outputFor(context, fake.url, { ...more, projectId: "my-project", clusterName: "mine" });
  await ship(made, rowsOf(["a"]));
  const { location, cluster_name } = fake.entries[0]?.resource.labels ?? {};
  assert.deepEqual([location, cluster_name], ["europe-west1-b", "mine"]);
});

test("a metadata server that is not there yet keeps everything waiting and loses nothing", async (context) => {
  const { fake, metadata, more } = await setting(context);
  const { lane, folder } = makeLane(context, outputFor(context, fake.url, more));
  for (const status of [404, 503, 500, 404]) metadata.script.push({ kind: "status", status });
  metadata.script.push({ kind: "reset-before-reading" });
  const receipt = new Settled();
  // More than one batch, some of it in a request of its own, and some encoded when all is known.
  lane.append(rowsOf(["early", JSON.stringify(TRACE)], podOrigin), receipt);
  lane.append(
    rowsOfPod(
      "web-9",
      Array.from({ length: 250 }, (_, i) => `many ${i}`),
    ),
    receipt,
  );
  await until(() => lane.lastError !== "", "it was told");
  assert.match(lane.lastError, /^(projectId|location|clusterName) is not set, and the metadata server /);
  await until(() => fake.entries.length === 252, "all is there");
  await lane.flush();
  lane.append(rowsOfPod("web-3", ["late"]), receipt);
  await lane.flush();
  assert.equal(fake.entries.length, 253);
  assert.deepEqual([receipt.shippedRows, receipt.droppedRows, letters(folder)], [253, 0, []]);
  assert.ok(fake.entries.every(({ resource }) => resource.labels.cluster_name === "prod"));
});

test("rows encoded before and after the identity is known share a request, and can be picked before and after", async (context) => {
  for (const key of ["", "1"]) {
    const { fake, more } = await setting(context);
    const made = outputFor(context, fake.url, more);
    const long = "é".repeat(150_000);
    const early = rowsOf(["a", long, "b"], podOrigin);
    const open = made.open(key);
    open.append(early, 0, 1e9, 1e9);
    const first = made.pick(closed(made, [early], key), [1, 2]);
    assert.equal((await made.send(first, NEVER)).kind, "delivered");
    const late = rowsOf(["c", "d"], podOrigin);
    late.generation = { key: "later" };
    open.append(late, 0, 1e9, 1e9);
    const request = open.close();
    assert.equal((await made.send(request, NEVER)).kind, "delivered");
    const texts = fake.entries.map(({ textPayload }) => textPayload);
    assert.equal(texts.join("|"), [long.slice(0, 102_400), long.slice(102_400), "b", "a", "c", "d"].join("|"));
    assert.equal(
      (JSON.parse(made.entry(request, 3)) as { entries: { textPayload: string }[] }).entries[0]?.textPayload,
      "c",
    );
  }
});

test("a value in an identity can't break out of its place", async (context) => {
  const { fake, metadata, more } = await setting(context);
  metadata.values["instance/attributes/cluster-name"] = 'a"},"x":{"é\\';
  await ship(outputFor(context, fake.url, more), rowsOf(["a"]));
  assert.equal(fake.entries[0]?.resource.labels.cluster_name, 'a"},"x":{"é\\');
});

test("a token that the API refuses is replaced once, and the request goes again at once", async (context) => {
  const { fake, metadata, more } = await setting(context);
  const made = outputFor(context, fake.url, more);
  fake.tokens = new Set(["token-2"]);
  await ship(made, rowsOf(["a"]));
  assert.deepEqual([metadata.tokens, fake.requests.length], [2, 2]);
  fake.tokens = new Set();
  const outcome = await made.send(closed(made, [rowsOf(["a"])]), NEVER);
  assert.deepEqual([outcome.kind, outcome.code], ["retry", "401"]);
  assert.match(reasonOf(outcome), /UNAUTHENTICATED|invalid authentication credentials.*; check credentialsFile/);
  assert.deepEqual([metadata.tokens, fake.requests.length], [3, 4]);
});

test("without a token nothing is sent, and the reason says why", async (context) => {
  const { fake, metadata, more } = await setting(context);
  const made = outputFor(context, fake.url, { ...more, projectId: "my-project", location: "x", clusterName: "y" });
  metadata.script.push({ kind: "status", status: 404, headers: { "metadata-flavor": "Google" } });
  const outcome = await made.send(closed(made, [rowsOf(["a"])]), NEVER);
  assert.deepEqual([outcome.kind, outcome.code, fake.requests.length], ["retry", "NO_TOKEN", 0]);
  assert.match(reasonOf(outcome), /answered 404 and gave no token; .*Workload Identity/);
});

test("a key file gives credentials and project, and needs no metadata server when the rest is configured", async (context) => {
  const tokens = await new TokenFake().start();
  context.after(() => tokens.close());
  const credentialsFile = join(temporaryFolder(context), "key.json");
  writeKey(credentialsFile, tokens.makeKey("one"));
  const fake = await startFake(context);
  const made = outputFor(context, fake.url, {
    ...UNSET,
    credentialsFile,
    location: "on-premises",
    clusterName: "rack-7",
    env: { GCE_METADATA_HOST: "127.0.0.1:1" },
  });
  await ship(made, rowsOf(["a"]));
  assert.equal(fake.entries[0]?.logName, "projects/my-project/logs/stdout");
  assert.equal(fake.requests[0]?.headers.authorization, "Bearer token-1");
});

test("metadata never goes through a proxy, while the API may", async (context) => {
  const { fake, metadata, more } = await setting(context);
  const made = outputFor(context, fake.url, { ...more, env: { ...more.env, http_proxy: "http://127.0.0.1:1" } });
  const outcome = await made.send(closed(made, [rowsOf(["a"])]), NEVER);
  assert.equal(metadata.requests.length, 4);
  assert.match(reasonOf(outcome), /gave no answer/);
});
