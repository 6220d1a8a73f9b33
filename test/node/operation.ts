/** What operators do and look at: the image, the pod's bounds, metrics and alerts, and changes of the configuration. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import type { V1ConfigMap, V1DaemonSet } from "@kubernetes/client-node";
import { parseManifests } from "../deploy/kubernetes.ts";
import { run } from "./daemon.ts";
import { flows, throughEvent } from "./events.ts";
import { figures, theNode } from "./fixture.ts";
import type { ImageConfig } from "./images.ts";
import { SINK_IP } from "./network.ts";
import { API_KEY, type TestNode } from "./node.ts";
import { loadPod } from "./writers.ts";

const REPOSITORY = resolve(import.meta.dirname, "..", "..");

test("the image is small, has no shell and no package manager, and says what it is", () => {
  const { images } = theNode().setting;
  const { files, config, compressedBytes } = images.agent;
  figures["image, compressed"] = `${(compressedBytes / 1e6).toFixed(1)} MB`;
  assert.ok(compressedBytes < 90e6, `${compressedBytes} bytes`);
  assert.deepEqual(files.filter((file) => file.startsWith("app/")).sort(), ["app/LICENSE", "app/tailrace.mjs"]);
  // What the base brings is the base's; of what is built here nothing else may come along.
  assert.deepEqual(
    files.filter((file) => /(^|\/)(sh|bash|busybox|npm|npx|apt|src|node_modules)$/.test(file)),
    [],
  );
  assert.equal(config.User, "65532:65532");
  assert.deepEqual([...config.Entrypoint, ...config.Cmd], ["/nodejs/bin/node", "/app/tailrace.mjs", "run"]);
  for (const label of ["title", "description", "version", "revision", "licenses"])
    assert.ok(config.Labels[`org.opencontainers.image.${label}`], label);
});

test("the image for the other processor holds the same file, and nothing of this one", () => {
  const { agent, foreign } = theNode().setting.images;
  assert.deepEqual([agent.architecture, foreign.architecture].sort(), ["amd64", "arm64"]);
  // All but what tells stand-ins apart.
  const settings = ({ Labels, ...config }: ImageConfig) => ({ ...config, Labels: { ...Labels, "stand-in": "" } });
  assert.deepEqual(settings(foreign.config), settings(agent.config));
  const own = ["app/LICENSE", "app/tailrace.mjs"];
  // Behind the base's, of which there is one.
  assert.deepEqual(foreign.layers.slice(1), agent.layers.slice(1));
  assert.deepEqual(foreign.files.filter((file) => file.startsWith("app/")).sort(), own);
  assert.deepEqual(
    foreign.files.filter((file) => !own.includes(file)),
    ["etc/passwd"],
  );
});

/** Process id of the agent, as seen from here. */
async function agentProcess(node: TestNode): Promise<{ id: string; pid: string }> {
  const status = (await node.agentPod()).status?.containerStatuses?.[0];
  const id = status?.containerID?.replace("containerd://", "") ?? "";
  const line = (await node.machine.ctr("tasks", "ls")).split("\n").find((line) => line.startsWith(id)) ?? "";
  return { id, pid: line.split(/\s+/)[1] ?? "" };
}

test("the agent has no capability, a root that is read-only, a filter on system calls, and half of its memory as heap", async () => {
  const node = theNode();
  const { id, pid } = await agentProcess(node);
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  for (const set of ["CapEff", "CapPrm", "CapBnd"]) assert.match(status, new RegExp(`^${set}:\\s+0+$`, "m"));
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  assert.match(status, /^Seccomp:\s+2$/m);
  const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  const optionsOf = (path: string): string[] => mounts.find((fields) => fields[4] === path)?.[5]?.split(",") ?? [];
  for (const path of ["/", "/var/log", "/var/lib/docker/containers", "/etc/tailrace"])
    assert.ok(optionsOf(path).includes("ro"), path);
  assert.ok(optionsOf("/var/lib/tailrace").includes("rw"));
  const heap = 'process.stdout.write(String(require("node:v8").getHeapStatistics().heap_size_limit))';
  const limit = Number(
    await node.machine.ctr("tasks", "exec", "--exec-id", "heap", id, "/nodejs/bin/node", "-e", heap),
  );
  assert.ok(Math.abs(limit / 1024 ** 2 - 128) < 16, `${limit} bytes of the 256 MiB`);
});

test("every overlay renders, and the API server takes what comes out", async () => {
  const node = theNode();
  const overlays = join(REPOSITORY, "deploy", "overlays");
  await node.control.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "logging" } });
  for (const name of readdirSync(overlays)) {
    const rendered = await node.kubectl("kustomize", join(overlays, name));
    // The operator's own kind, which this API server does not know.
    const known = parseManifests(rendered).filter(({ kind }) => kind !== "PodMonitor");
    assert.ok(known.length >= 6, name);
    await node.control.check(...known);
  }
  await node.kubectl("delete", "namespace", "logging", "--wait=false");
});

test("promtool finds nothing wrong with the metrics, and all alerts fire when they should", async () => {
  const node = theNode();
  const { promtool } = node.setting.tools;
  assert.equal(await run(promtool, ["check", "metrics"], await node.ask("/metrics")), "");
  await run(promtool, ["check", "rules", "--lint=all", "--lint-fatal", join(REPOSITORY, "deploy", "alerts.yaml")]);
  await run(promtool, ["test", "rules", join(REPOSITORY, "test", "deploy", "alerts.promtool.yaml")]);
});

test("under load the pod stays far below its memory limit", async () => {
  const node = theNode();
  const names = ["a", "b", "c", "d"].map((name) => `cost-${name}`);
  await node.control.apply(...names.map((name) => loadPod(name)));
  const uids = [];
  for (const name of names) uids.push((await node.podIn(name, "Running")).metadata?.uid ?? "");
  await flows(node, uids);
  const look = async () => ({
    cpu: await node.metric("process_cpu_seconds_total"),
    bytes: await node.metric('tailrace_source_read_bytes_total{output="elasticsearch"}'),
  });
  const before = await look();
  for (let round = 0; round < 10; round++) await flows(node, uids);
  const after = await look();
  const megabytes = (after.bytes - before.bytes) / 1e6;
  const resident = (await node.metric("process_resident_memory_bytes")) / 1024 ** 2;
  const backends = node.loki === undefined ? "one backend" : "two backends";
  figures[`CPU for a megabyte of logs to ${backends}`] =
    `${Math.round(((after.cpu - before.cpu) / megabytes) * 1000)} ms`;
  figures["resident memory under load"] = `${Math.round(resident)} MiB`;
  assert.ok(resident < 192, `${resident} MiB`);
  await Promise.all(names.map((name) => node.remove(name)));
});

/** Changes the configuration in the ConfigMap. */
async function configure(node: TestNode, edit: (text: string) => string): Promise<string> {
  const path = "/api/v1/namespaces/tailrace/configmaps/tailrace";
  const before = (await node.control.get<V1ConfigMap>(path))?.data?.["config.yaml"] ?? "";
  const patch = JSON.stringify({ data: { "config.yaml": edit(before) } });
  await node.kubectl("-n", "tailrace", "patch", "configmap", "tailrace", "--patch", patch);
  return before;
}

/** As docs/operations.md says. */
async function restart(node: TestNode): Promise<void> {
  await node.kubectl("-n", "tailrace", "rollout", "restart", "daemonset/tailrace");
}

/** Waits until kubelet has brought a change of an object to the pod. @returns milliseconds since 1970. */
async function brought(node: TestNode, kind: "configmap" | "secret", volume: string, text: string): Promise<number> {
  const uid = (await node.agentPod()).metadata?.uid;
  const folder = `/var/lib/kubelet/pods/${uid}/volumes/kubernetes.io~${kind}/${volume}`;
  await node.wait(() => {
    const names = existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith("..")) : [];
    return names.some((name) => readFileSync(join(folder, name), "utf8").includes(text));
  }, `kubelet has brought the ${kind}`);
  return Date.now();
}

test("TLS and a key from the Secret are a Secret and an edit of the ConfigMap away, without a restart", async () => {
  const node = theNode();
  const before = await agentProcess(node);
  await throughEvent(node, "ConfigMap edited", async () => {
    const ca = `--from-file=ca.crt=${node.keys.path("ca.pem")}`;
    const key = `--from-literal=apiKey=${API_KEY}`;
    await node.kubectl("-n", "tailrace", "create", "secret", "generic", "tailrace", key, ca);
    await brought(node, "secret", "secret", API_KEY);
    const url = `https://${SINK_IP}:9243`;
    await configure(node, (text) =>
      text
        .replace(/^( *)# (?=(auth|tls): )/gm, "$1")
        .replace("${ELASTICSEARCH_URL:-http://elasticsearch.elasticsearch.svc:9200}", url),
    );
    const swappedAt = await brought(node, "configmap", "config", url);
    await node.wait(() => node.sink.requestsAt(1) > 0, "records come over TLS, with the key");
    figures["ConfigMap, from kubelet's swap to the first request"] = `${Date.now() - swappedAt} ms`;
  });
  assert.deepEqual(await agentProcess(node), before, "it is the same process");
  assert.equal(await node.metric("tailrace_config_reload_failures_total"), 0);
});

test("a mistake in the ConfigMap is refused by the running agent, stops a roll-out at its first node, and the pod says where it is", async () => {
  const node = theNode();
  const former = (await node.agentPod()).metadata?.uid;
  await throughEvent(node, "wrong ConfigMap", async () => {
    const good = await configure(node, (text) => text.replace("type: elasticsearch", "type: elasticsearhc"));
    await node.wait(
      async () => (await node.metric("tailrace_config_reload_failures_total")) > 0,
      "the running agent refuses it",
    );
    await restart(node);
    const said = await node.wait(async () => {
      const [pod] = await node.control.pods("tailrace", "app.kubernetes.io/name=tailrace");
      const { name = "", uid } = pod?.metadata ?? {};
      if (name === "" || uid === former) return undefined;
      // Kubelet keeps the log of the last run only, and between two runs there may be none.
      const log = await node.kubectl("-n", "tailrace", "logs", name).catch(() => "");
      return log.includes("config.yaml") && log;
    }, "the new pod has said why it ends");
    assert.match(said, /config\.yaml:\d+:\d+: outputs\[0\]\.type: .*elasticsearch/);
    await node.wait(async () => {
      const path = "/apis/apps/v1/namespaces/tailrace/daemonsets/tailrace";
      return (await node.control.get<V1DaemonSet>(path))?.status?.numberUnavailable === 1;
    }, "the roll-out waits for the pod");
    await configure(node, () => good);
    await restart(node);
    await node.agentPod(former);
  });
});

test("without rights for the API records go on with what the path tells, and the agent says which right it lacks", async () => {
  const node = theNode();
  const former = (await node.agentPod()).metadata?.uid;
  await throughEvent(
    node,
    "no rights",
    async () => {
      await node.kubectl("delete", "clusterrolebinding", "tailrace");
      await restart(node);
      await node.agentPod(former);
      const said = await node.wait(async () => {
        const log = await node.kubectl("-n", "tailrace", "logs", "daemonset/tailrace").catch(() => "");
        return log.split("\n").find((line) => line.includes('"status":403'));
      }, "it says so");
      assert.match(said, /its ClusterRole must allow the verbs .* on the resource ."pods/);
      await node.applyAgent();
      await node.wait(async () => (await node.metric("tailrace_kubernetes_synced")) === 1, "it has its rights again");
    },
    { withoutLabels: true },
  );
});
