/** The real Loki: nothing is lost behind a 204, whatever limit a tenant runs into. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type LogContainer, LogNode } from "../support/node.ts";
import { buildBundle, temporaryFolder } from "../support/program.ts";
import { ShippingAgent } from "./agent.ts";
import { fetchServer, whyNot } from "./fetch.ts";
import { type Limits, Loki, placeOf } from "./loki.ts";
import { ship } from "./ship.ts";

buildBundle();

const skip = whyNot("loki");
const VERSION = "Loki 3.7.8";
const HOUR_MS = 3_600_000;

async function start(context: TestContext, limits: Readonly<Record<string, Limits>> = {}): Promise<Loki> {
  const server = await Loki.start(await fetchServer("loki"), "127.0.0.1", limits);
  context.after(() => server.close());
  return server;
}

test(`${VERSION} has every message of a node, byte by byte, by protobuf`, {
  skip,
  timeout: 600_000,
}, async (context) => {
  const server = await start(context);
  const complain = async (): Promise<void> => assert.deepEqual(await server.discarded("whole"), {});
  await ship(context, {
    server: VERSION,
    output: `  - name: loki
    type: loki
    endpoint: "${server.url}"
    tenant: whole
    structuredMetadata: { pod: "{pod}", uid: "{uid}", offset: "{offset}" }`,
    restart: async () => {
      // It counts from its start.
      await complain();
      await server.kill();
      await server.run();
    },
    hard: true,
    read: () => server.documents("whole", '{node="node-a"}'),
    recognisesRepeats: true,
    place: placeOf,
  });
  await complain();
});

/** What each tenant's limits are, and what they become later. Low enough to be met however slowly the agent runs. */
const LIMITS: Readonly<Record<string, Limits>> = {
  rate: { ingestion_rate_mb: 0.1, ingestion_burst_size_mb: 0.1 },
  // A burst that is less than the rate, which alone is named.
  burst: { ingestion_rate_mb: 1, ingestion_burst_size_mb: 0.15 },
  hot: { per_stream_rate_limit: "50KB", per_stream_rate_limit_burst: "50KB" },
  streams: { max_global_streams_per_user: 3 },
  blocked: { block_ingestion_until: new Date(Date.now() + 24 * HOUR_MS).toISOString() },
  old: { reject_old_samples: true, reject_old_samples_max_age: "7d" },
};
const LIFTED: Readonly<Record<string, Limits>> = {
  rate: LIMITS.rate ?? {},
  burst: LIMITS.burst ?? {},
  hot: LIMITS.hot ?? {},
  old: LIMITS.old ?? {},
};

test(`${VERSION} loses nothing to the limits of its tenants, by JSON`, { skip, timeout: 600_000 }, async (context) => {
  const server = await start(context, LIMITS);
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const written = new Map<string, string[]>();
  /** Lines from `fromMs` on, one each `stepMs`. */
  const write = (
    tenant: string,
    pod: string,
    count: number,
    fromMs: number,
    stepMs: number,
    app = pod,
  ): LogContainer => {
    const container = node.container(pod, { namespace: tenant, container: app });
    const lines = Array.from({ length: count }, (_, i) => ({
      time: new Date(fromMs + i * stepMs).toISOString().replace("Z", "000000Z"),
      message: `${pod} ${i} ${"x".repeat(150)}`,
    }));
    container.raw(lines.map(({ time, message }) => `${time} stdout F ${message}\n`).join(""));
    written.set(
      `${tenant} ${pod}`,
      lines.map(({ message }) => message),
    );
    return container;
  };
  const now = Date.now();
  for (let i = 0; i < 4; i++) write("rate", `pod-${i}`, 750, now - 60_000, 20);
  write("burst", "pod-0", 1500, now - 60_000, 20);
  write("hot", "busy", 1200, now - 60_000, 20);
  for (let i = 0; i < 6; i++) write("hot", `quiet-${i}`, 20, now - 60_000, 1000);
  for (let i = 0; i < 6; i++) write("streams", `pod-${i}`, 50, now - 60_000, 100);
  for (let i = 0; i < 2; i++) write("blocked", `pod-${i}`, 50, now - 60_000, 100);
  // Days that are beyond its window, and then fresh lines of the same stream.
  const aged = write("old", "aged", 40, now - 30 * 24 * HOUR_MS, 1000);
  write("old", "fresh", 40, now - 60_000, 1000);
  aged.write("aged and fresh");
  // Three pods of one app: one stream, six hours behind.
  for (let i = 0; i < 3; i++) write("backlog", `replica-${i}`, 3000, now - 6 * HOUR_MS + i * 1000, 7000, "app");

  const agent = new ShippingAgent(
    temporaryFolder(context),
    { root, include: [`${root}/containers/*.log`] },
    `  - { name: loki, type: loki, endpoint: "${server.url}", encoding: json, tenant: "{namespace}", batch: { maxWait: 200ms }, retry: { initialDelay: 100ms, maxDelay: 1s } }`,
  );
  context.after(() => agent.close());
  await agent.start();
  const found = async (tenant: string, pod: string): Promise<string[]> =>
    (await server.entries(tenant, `{namespace="${tenant}"} | pod="${pod}"`))
      .sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
      .map(({ line }) => line);
  const complete = (tenant: string) => async (): Promise<boolean> => {
    for (const [key, messages] of written)
      if (key.startsWith(`${tenant} `) && (await found(tenant, key.slice(tenant.length + 1))).length < messages.length)
        return false;
    return true;
  };
  for (const tenant of ["backlog", "burst", "hot", "rate"])
    await agent.until(complete(tenant), `tenant ${tenant} has everything`);
  // What is blocked and over the limit is still held back, and hinders nobody.
  assert.deepEqual(await found("blocked", "pod-0"), []);
  assert.equal(await complete("streams")(), false);
  server.setLimits(LIFTED);
  await agent.idle();

  const tooOld = written.get("old aged")?.length ?? 0;
  written.set("old aged", ["aged and fresh"]);
  let shipped = 0;
  for (const [key, messages] of written) {
    const [tenant = "", pod = ""] = key.split(" ");
    assert.deepEqual(await found(tenant, pod), messages, key);
    shipped += messages.length;
  }
  const discarded: Record<string, Record<string, number>> = {};
  for (const tenant of [...Object.keys(LIMITS), "backlog"]) discarded[tenant] = await server.discarded(tenant);
  console.log(
    `${VERSION} (tenants with limits): ${shipped + tooOld} records shipped, ${shipped} read back, 0 duplicates, 0 lost, ${tooOld} too old and in the dead letters; it says it refused ${JSON.stringify(discarded)}`,
  );
  assert.equal(await agent.metric("tailrace_output_dropped_records_total"), tooOld);
  assert.deepEqual(discarded.backlog, {}, "nothing of the backlog was too far behind");
  assert.ok((discarded.rate?.rate_limited ?? 0) > 0, "the rate limit was met");
  assert.ok((discarded.hot?.per_stream_rate_limit ?? 0) > 0, "the limit of a stream was met");
  assert.ok((discarded.streams?.stream_limit ?? 0) > 0, "the limit of streams was met");
  assert.deepEqual(await agent.end("SIGTERM"), { code: 0, signal: null });
});
