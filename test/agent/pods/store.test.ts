import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { systemClock } from "../../../agent/clock.ts";
import { startPods } from "../../../agent/pods/store.ts";
import { fakePod, HeldClock, logOf, startFixture } from "../../support/pods.ts";
import { until } from "../../support/program.ts";
import { keepLog } from "../../support/quiet-log.ts";

test("a record's origin has what the path tells and what the API knows of the pod", async (context) => {
  const { server, pods } = await startFixture(context, {
    kubernetes: { labels: ["app*"], annotations: ["team"] },
  });
  server.apply(
    "pods",
    fakePod({ uid: "u1", labels: { app: "web", tier: "front" }, annotations: { team: "blue", secret: "s" } }),
  );
  const log = logOf("u1");
  await until(() => pods.settled(log), "the pod is known");
  assert.deepEqual(pods.origin(log), {
    ...log,
    containerId: "c0ffee",
    cluster: "test",
    node: "node-1",
    ip: "10.1.2.3",
    image: "web:1",
    runtime: "containerd",
    workloadKind: "statefulset",
    workload: "web",
    labels: { app: "web" },
    annotations: { team: "blue" },
    namespaceLabels: {},
  });
});

test("a change of labels makes another origin within two seconds, and tells whoever listens", async (context) => {
  const { server, pods } = await startFixture(context, { prepare: (s) => s.apply("pods", fakePod({ uid: "u1" })) });
  const log = logOf("u1");
  await until(() => pods.settled(log) && server.watches === 1, "the pod is known");
  const before = pods.origin(log);
  const heard: string[] = [];
  pods.onChange((uid) => heard.push(uid));
  server.apply("pods", fakePod({ uid: "u1", labels: { app: "web", colour: "green" } }));
  await until(() => pods.origin(log) !== before, "another origin", 2000);
  assert.equal(pods.origin(log).labels.colour, "green");
  assert.equal(before.labels.colour, undefined);
  assert.deepEqual(heard, ["u1"]);
});

test("an origin stays the same object while nothing changes that shows in it", async (context) => {
  const { server, pods } = await startFixture(context, { prepare: (s) => s.apply("pods", fakePod({ uid: "u1" })) });
  const log = logOf("u1", { containerId: "f".repeat(64) });
  await until(() => pods.settled(log) && server.watches === 1, "the pod is known");
  const before = pods.origin(log);
  server.apply("pods", fakePod({ uid: "u1", ready: false }));
  server.apply("pods", fakePod({ uid: "u1", restart: 1, containerId: "beef" }));
  await until(() => pods.watchEvents === 2, "both events");
  assert.equal(pods.origin(log), before);
});

test("the status gives a container's id only to the run that it speaks of", async (context) => {
  const pod = fakePod({ uid: "u1", restart: 1, containerId: "second" });
  const { pods } = await startFixture(context, { prepare: (server) => server.apply("pods", pod) });
  await until(() => pods.synced, "synced");
  assert.equal(pods.origin(logOf("u1", { restart: 0 })).containerId, "");
  assert.equal(pods.origin(logOf("u1", { restart: 1 })).containerId, "second");
  assert.equal(pods.origin(logOf("u1", { restart: 1, containerId: "from-path" })).containerId, "from-path");
});

test("a pod's next incarnation of the same name has another uid and keeps apart from it", async (context) => {
  const { server, pods } = await startFixture(context, {
    prepare: (s) => s.apply("pods", fakePod({ uid: "old", labels: { v: "1" } })),
  });
  await until(() => server.watches === 1, "watching");
  server.delete("pods", "old");
  server.apply("pods", fakePod({ uid: "new", labels: { v: "2" } }));
  await until(() => pods.watchEvents === 2, "both events");
  assert.equal(pods.origin(logOf("old")).labels.v, "1");
  assert.equal(pods.origin(logOf("new")).labels.v, "2");
});

test("a static pod's logs carry the hash of its configuration and find its mirror pod", async (context) => {
  const hash = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
  const annotations = { "kubernetes.io/config.mirror": hash, "kubernetes.io/config.hash": hash };
  const { server, pods } = await startFixture(context, {
    prepare: (s) => s.apply("pods", fakePod({ uid: "mirror-1", annotations })),
  });
  const log = logOf(hash);
  await until(() => pods.settled(log), "the mirror pod is known");
  assert.equal(pods.origin(log).labels.app, "web");
  assert.equal(pods.origin(log).uid, hash);
  // Somebody deletes the mirror pod; the kubelet makes it anew, with another uid.
  server.apply("pods", fakePod({ uid: "mirror-2", annotations, labels: { app: "web", v: "2" } }));
  server.delete("pods", "mirror-1");
  await until(() => pods.watchEvents === 2, "both events");
  assert.equal(pods.origin(log).labels.v, "2");
});

test("no pod passes for another by an annotation", async (context) => {
  const annotations = { "kubernetes.io/config.mirror": "victim" };
  const { pods } = await startFixture(context, {
    prepare: (server) => server.apply("pods", fakePod({ uid: "evil", name: "evil", annotations })),
  });
  await until(() => pods.synced, "synced");
  assert.deepEqual(pods.origin(logOf("victim")).labels, {});
});

test("a pod that is gone is remembered while its logs are read, and for half an hour for logs not opened yet", async (context) => {
  const clock = new HeldClock();
  const { server, pods } = await startFixture(context, {
    clock,
    prepare: (s) => s.apply("pods", fakePod({ uid: "u1" })),
  });
  const log = logOf("u1");
  await until(() => pods.settled(log) && server.watches === 1, "the pod is known");
  const before = pods.origin(log);
  server.delete("pods", "u1");
  await until(() => pods.watchEvents === 1, "the event");
  clock.now += 29 * 60_000;
  assert.equal(pods.origin(logOf("u1")).labels.app, "web");
  clock.now += 31 * 60_000;
  assert.deepEqual(pods.origin(logOf("u1")).labels, {});
  assert.equal(pods.origin(log), before);
});

test("reading waits for an unknown pod for metadataTimeout, once, and then goes on with what the path tells", async (context) => {
  const clock = new HeldClock();
  const { server, pods } = await startFixture(context, { clock, kubernetes: { metadataTimeout: 5000 } });
  await until(() => server.watches === 1, "watching");
  const log = logOf("late");
  assert.ok(!pods.settled(log));
  clock.now += 4999;
  assert.ok(!pods.settled(log));
  clock.now += 1;
  assert.ok(pods.settled(log));
  assert.ok(pods.settled(logOf("late", { restart: 1 })));
  assert.deepEqual(pods.origin(log).labels, {});
  assert.equal(pods.origin(log).workload, "");
  server.apply("pods", fakePod({ uid: "late" }));
  await until(() => pods.origin(log).labels.app === "web", "the pod came after all");
});

test("while a pod is waited for, a server that was away for long is asked again soon", async (context) => {
  const hourMs = 3_600_000;
  const { server, pods } = await startFixture(context, {
    pace: { initialDelayMs: hourMs, maxDelayMs: hourMs, hurriedMs: 5, steadyMs: hourMs },
    kubernetes: { namespaceLabels: ["team"] },
  });
  await until(() => server.watches === 2, "watching");
  await server.stop();
  server.apply("pods", fakePod({ uid: "new" }));
  server.apply("namespaces", { metadata: { uid: "n", name: "shop", labels: { team: "blue" } } });
  await server.start();
  const log = logOf("new");
  await until(() => pods.settled(log), "the pod is known, and its namespace");
  assert.equal(pods.origin(log).labels.app, "web");
  assert.equal(pods.origin(log).namespaceLabels.team, "blue");
});

test("namespace labels are attached where they are asked for, and only metadata is asked for", async (context) => {
  const namespace = (team: string) => ({ metadata: { uid: "n", name: "shop", labels: { team, other: "x" } } });
  const { server, pods } = await startFixture(context, {
    kubernetes: { namespaceLabels: ["team"] },
    prepare: (s) => {
      s.apply("pods", fakePod({ uid: "u1" }));
      s.apply("namespaces", namespace("blue"));
    },
  });
  const log = logOf("u1");
  await until(() => pods.settled(log) && server.watches === 2, "both are known");
  assert.deepEqual(pods.origin(log).namespaceLabels, { team: "blue" });
  server.apply("namespaces", namespace("green"));
  await until(() => pods.origin(log).namespaceLabels.team === "green", "the change");
  const before = pods.origin(log);
  server.delete("namespaces", "n");
  await until(() => pods.watchEvents === 2, "the namespace is gone");
  assert.equal(pods.origin(log), before);
  for (const { resource, headers } of server.asked)
    assert.equal(/as=PartialObjectMetadata/.test(headers.accept ?? ""), resource === "namespaces");
});

test("namespaces are not asked for when none of their labels is wanted", async (context) => {
  const { server } = await startFixture(context);
  await until(() => server.watches === 1, "watching");
  assert.equal(server.count("list", "namespaces"), 0);
});

function startWithout(context: TestContext, enabled: boolean) {
  const log = keepLog();
  const pods = startPods({
    kubernetes: {
      enabled,
      kubeconfig: "",
      labels: ["*"],
      annotations: [],
      namespaceLabels: [],
      metadataTimeout: 5000,
      events: false,
    },
    settings: { prefix: "tailrace.io", allow: [], outputs: [] },
    named: { labels: new Set(), annotations: new Set() },
    nodeName: "here",
    clusterName: "",
    env: {},
    log: log.log,
    clock: systemClock,
  });
  context.after(() => pods.close());
  return { pods, lines: log.lines };
}

test("without an API server nothing waits, and one line says what is missing", (context) => {
  const { pods, lines } = startWithout(context, true);
  assert.ok(pods.settled(logOf("u")));
  assert.ok(pods.timedOut && !pods.synced);
  assert.equal(pods.origin(logOf("u")).pod, "web-0");
  assert.equal(pods.origin(logOf("u")).node, "here");
  assert.deepEqual(
    lines.map(({ level }) => level),
    ["warn"],
  );
});

test("with kubernetes.enabled false nothing waits and nothing is said", (context) => {
  const { pods, lines } = startWithout(context, false);
  assert.ok(pods.settled(logOf("u")) && pods.timedOut);
  assert.deepEqual(lines, []);
});

test("a node name that no pod has is pointed out", async (context) => {
  const { pods, log } = await startFixture(context, {
    prepare: (server) => server.apply("pods", fakePod({ uid: "elsewhere", node: "node-2" })),
  });
  await until(() => pods.synced, "synced");
  assert.match(String(log.lines.at(-1)?.msg), /is nodeName the name of the Node object/);
  assert.deepEqual(pods.origin(logOf("elsewhere")).labels, {});
});
