/** Whole documents of both schemas. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Batch, SEVERITIES, STDERR, TRUNCATED, UNPARSED } from "../../agent/batch.ts";
import type { Origin } from "../../agent/pods/origin.ts";
import { type DocumentSchema, documentWriter } from "../../outputs/ecs.ts";
import { ByteWriter } from "../../outputs/json.ts";
import { giveFields } from "../support/fields.ts";
import { origin as bare, rowsOf } from "../support/rows.ts";

const origin: Origin = {
  ...bare,
  cluster: "prod",
  ip: "10.1.2.3",
  image: "registry.example/shop/web:1.2.3",
  runtime: "containerd",
  workloadKind: "statefulset",
  workload: "web",
  labels: { app: "web", "app.kubernetes.io/name": "web", "": "empty" },
  annotations: { "example.com/team": 'a "quoted" é' },
  namespaceLabels: { "kubernetes.io/metadata.name": "shop" },
};

function documents(schema: DocumentSchema, batch: Batch): unknown[] {
  const write = documentWriter(schema);
  return Array.from({ length: batch.rows }, (_, row) => {
    const writer = new ByteWriter();
    write(writer, batch, row);
    return JSON.parse(writer.view().toString());
  });
}

/** A plain row, a cut one on stderr with three digits, and an unparsable one. */
function batch(of: Origin): Batch {
  const rows = rowsOf(['hello\t"wörld" 😀', "cut", "not a line"], of);
  rows.flags[1] = STDERR | TRUNCATED;
  rows.digits[1] = 3;
  rows.extraOf(1).originalBytes = 5_000_000;
  rows.flags[2] = UNPARSED;
  rows.digits[2] = 0;
  rows.extraOf(2).error = 'no "time"';
  return rows;
}

test("ECS documents have Filebeat's names, with all that is known of the origin", () => {
  const shared = {
    container: { id: "ab".repeat(32), runtime: "containerd", image: { name: "registry.example/shop/web:1.2.3" } },
    kubernetes: {
      namespace: "shop",
      pod: { name: "web-0", uid: "0e7a3c52-91b4-4f0e-8c65-2f6d1b9a7e10", ip: "10.1.2.3" },
      container: { name: "app" },
      node: { name: "node-a" },
      labels: { app: "web", "app_kubernetes_io/name": "web", _: "empty" },
      annotations: { "example_com/team": 'a "quoted" é' },
      namespace_labels: { "kubernetes_io/metadata_name": "shop" },
      statefulset: { name: "web" },
    },
    orchestrator: { cluster: { name: "prod" } },
  };
  const path = "/var/log/containers/web-0_shop_app-abc.log";
  assert.deepEqual(documents("ecs", batch(origin)), [
    {
      "@timestamp": "2026-09-21T14:13:20.123456789Z",
      message: 'hello\t"wörld" 😀',
      stream: "stdout",
      log: { file: { path }, offset: 0 },
      ...shared,
    },
    {
      "@timestamp": "2026-09-21T14:13:21.123Z",
      message: "cut",
      stream: "stderr",
      log: { file: { path }, offset: 100, truncated: true, original_bytes: 5_000_000 },
      ...shared,
    },
    {
      "@timestamp": "2026-09-21T14:13:22Z",
      message: "not a line",
      stream: "stdout",
      log: { file: { path }, offset: 200 },
      error: { message: 'no "time"' },
      ...shared,
    },
  ]);
});

test("Fluent Bit's documents have its names", () => {
  const kubernetes = {
    pod_name: "web-0",
    namespace_name: "shop",
    pod_id: "0e7a3c52-91b4-4f0e-8c65-2f6d1b9a7e10",
    pod_ip: "10.1.2.3",
    host: "node-a",
    container_name: "app",
    docker_id: "ab".repeat(32),
    container_image: "registry.example/shop/web:1.2.3",
    labels: { app: "web", "app_kubernetes_io/name": "web", _: "empty" },
    annotations: { "example_com/team": 'a "quoted" é' },
  };
  assert.deepEqual(documents("fluentbit", batch(origin)), [
    { "@timestamp": "2026-09-21T14:13:20.123456789Z", log: 'hello\t"wörld" 😀', stream: "stdout", kubernetes },
    {
      "@timestamp": "2026-09-21T14:13:21.123Z",
      log: "cut",
      stream: "stderr",
      truncated: true,
      original_bytes: 5_000_000,
      kubernetes,
    },
    { "@timestamp": "2026-09-21T14:13:22Z", log: "not a line", stream: "stdout", error: 'no "time"', kubernetes },
  ]);
});

test("what is not known is left out, never empty", () => {
  const unknown: Origin = { ...bare, node: "", containerId: "" };
  const [ecs] = documents("ecs", rowsOf(["x"], unknown));
  assert.deepEqual(ecs, {
    "@timestamp": "2026-09-21T14:13:20.123456789Z",
    message: "x",
    stream: "stdout",
    log: { file: { path: bare.path }, offset: 0 },
    kubernetes: {
      namespace: "shop",
      pod: { name: "web-0", uid: bare.uid },
      container: { name: "app" },
    },
  });
  const [fluentbit] = documents("fluentbit", rowsOf(["x"], unknown));
  assert.deepEqual((fluentbit as { kubernetes: unknown }).kubernetes, {
    pod_name: "web-0",
    namespace_name: "shop",
    pod_id: bare.uid,
    container_name: "app",
  });
});

test("keys that become the same without dots are one, the last; only kinds that have a field are named", () => {
  const [document] = documents(
    "ecs",
    rowsOf(["x"], { ...bare, labels: { "a.b": "1", a_b: "2" }, workloadKind: "rollout", workload: "web" }),
  ) as [{ kubernetes: Record<string, unknown> }];
  assert.deepEqual(document.kubernetes.labels, { a_b: "2" });
  assert.deepEqual(Object.keys(document.kubernetes).sort(), ["container", "labels", "namespace", "node", "pod"]);
});

test("news about a pod show in the next batch", () => {
  const write = documentWriter("ecs");
  const labels = [{ v: "1" }, { v: "2" }].map((labels) => {
    const writer = new ByteWriter();
    write(writer, rowsOf(["x"], { ...bare, labels }), 0);
    return (JSON.parse(writer.view().toString()) as { kubernetes: { labels: unknown } }).kubernetes.labels;
  });
  assert.deepEqual(labels, [{ v: "1" }, { v: "2" }]);
});

test("severity and fields stand where each schema has them, and fields keep their bytes", () => {
  const rows = rowsOf(["a", "b"], bare);
  rows.severities()[0] = SEVERITIES.indexOf("warn");
  giveFields(rows, 0, { "user.name": "ann", n: 1.5, list: [{}] });
  const [ecs = {}, plain = {}] = documents("ecs", rows) as Record<string, unknown>[];
  assert.deepEqual(
    [ecs["user.name"], ecs.n, ecs.list, (ecs.log as { level?: string }).level],
    ["ann", 1.5, [{}], "warn"],
  );
  assert.deepEqual(Object.keys(plain), ["@timestamp", "message", "stream", "log", "container", "kubernetes"]);
  assert.equal((plain.log as { level?: string }).level, undefined);
  const [fluentbit = {}, other = {}] = documents("fluentbit", rows) as Record<string, unknown>[];
  assert.deepEqual([fluentbit.n, fluentbit.severity, other.severity], [1.5, "warn", undefined]);
  giveFields(rows, 1, { severity: "mine" });
  rows.severities()[1] = SEVERITIES.indexOf("error");
  assert.equal((documents("fluentbit", rows)[1] as { severity: string }).severity, "mine");
});
