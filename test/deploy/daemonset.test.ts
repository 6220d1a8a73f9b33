/** What daemonset.yaml must keep to that no schema knows: its parts fit each other, the configuration, and the image. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { V1ClusterRole, V1ConfigMap, V1Container, V1DaemonSet, V1Namespace } from "@kubernetes/client-node";
import picomatch from "picomatch";
import { loadConfig } from "../../agent/config/load.ts";
import type { Config } from "../../agent/config/schema.ts";
import { type Manifest, parseManifests, REPOSITORY } from "./kubernetes.ts";

const read = (name: string): string => readFileSync(join(REPOSITORY, name), "utf8");
const manifests = parseManifests(read("daemonset.yaml"));
const version = (JSON.parse(read("package.json")) as { version: string }).version;

function the<T>(kind: string): T {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  assert.equal(found.length, 1, `there is one ${kind}`);
  return found[0] as Manifest as T;
}

const daemonSet = the<V1DaemonSet>("DaemonSet");
const pod = daemonSet.spec!.template.spec!;
const container = pod.containers[0] as V1Container;
const configMap = the<V1ConfigMap>("ConfigMap");

const folder = await mkdtemp(join(tmpdir(), "tailrace-daemonset-"));
after(() => rm(folder, { recursive: true }));

/** @param edit what a user may change in the ConfigMap. */
function load(env: Record<string, string>, edit = (text: string): string => text): Config {
  const file = join(folder, "config.yaml");
  writeFileSync(file, edit(configMap.data?.["config.yaml"] ?? ""));
  const loaded = loadConfig(file, { env: { NODE_NAME: "node-a", ...env }, hostname: "pod-a", checkFiles: false });
  if ("problems" in loaded) assert.fail(JSON.stringify(loaded.problems, undefined, 1));
  return loaded.config;
}

const config = load({});

const mountOf = (path: string) => container.volumeMounts?.find(({ mountPath }) => mountPath === path);

function volumeAt(path: string) {
  return pod.volumes?.find(({ name }) => name === mountOf(path)?.name);
}

test("the configuration in the ConfigMap is valid as it stands", () => {
  assert.equal(config.nodeName, "node-a");
  assert.equal(config.outputs[0]?.type, "elasticsearch");
  assert.ok(mountOf("/etc/tailrace"), "where the program looks for its configuration");
  assert.equal(volumeAt("/etc/tailrace")?.configMap?.name, configMap.metadata?.name);
});

test("every commented setting of the ConfigMap is valid once its comment sign is gone", () => {
  const uncommented = load({}, (text) => text.replace(/^( *)# (?=(auth|tls|- ).*[}]$)/gm, "$1"));
  assert.deepEqual(
    uncommented.outputs.map(({ type }) => type),
    ["elasticsearch", "console", "file"],
  );
  const [elasticsearch] = uncommented.outputs;
  const secret = volumeAt("/run/tailrace-secret");
  assert.ok(secret?.secret?.optional, "the pod starts without the Secret");
  for (const file of [elasticsearch?.tls.caFile, elasticsearch?.auth.apiKey?.file])
    assert.match(file ?? "", /^\/run\/tailrace-secret\//);
});

test("an environment variable is enough to name the backend", () => {
  const [output] = load({ ELASTICSEARCH_URL: "https://es.example:9243", CLUSTER_NAME: "prod" }).outputs;
  assert.ok(output?.type === "elasticsearch" && String(output.endpoints[0]).startsWith("https://es.example:9243"));
});

test("the pod is given more time to end than the agent takes to deliver what it read", () => {
  assert.ok(pod.terminationGracePeriodSeconds! * 1000 > config.shutdownTimeout + 10_000);
});

test("probes, the named port, the scrape annotation and the image point at the port that the agent listens on", () => {
  const port = Number(config.admin.listen.split(":").at(-1));
  assert.deepEqual(container.ports, [{ name: "admin", containerPort: port }]);
  assert.equal(daemonSet.spec?.template.metadata?.annotations?.["prometheus.io/port"], String(port));
  assert.match(read("Dockerfile"), new RegExp(`^EXPOSE ${port}$`, "m"));
  const { startupProbe, livenessProbe, readinessProbe } = container;
  for (const probe of [startupProbe, livenessProbe, readinessProbe]) assert.equal(probe?.httpGet?.port, "admin");
  assert.equal(startupProbe?.httpGet?.path, "/healthz");
  assert.equal(livenessProbe?.httpGet?.path, "/healthz");
  assert.equal(readinessProbe?.httpGet?.path, "/readyz");
});

test("log folders are mounted read-only at the node's own paths, and every root of the source is in one", () => {
  for (const path of ["/var/log", "/var/lib/docker/containers"]) {
    assert.equal(mountOf(path)?.readOnly, true);
    assert.equal(volumeAt(path)?.hostPath?.path, path);
  }
  for (const root of config.source.roots)
    assert.ok(root.startsWith("/var/log/") || root === "/var/lib/docker/containers", root);
});

test("the state folder outlives the pod, is the only writable one of the node, and is never shared by two agents", () => {
  const volume = volumeAt(config.dataDir);
  assert.deepEqual(volume?.hostPath, { path: config.dataDir, type: "DirectoryOrCreate" });
  const writable = container.volumeMounts
    ?.filter(({ readOnly }) => readOnly !== true)
    .map(({ mountPath }) => mountPath);
  assert.deepEqual(writable, [config.dataDir, "/tmp"]);
  assert.equal(daemonSet.spec?.updateStrategy?.rollingUpdate?.maxSurge, 0);
});

test("the container runs as root, who owns the logs, and as nothing more", () => {
  assert.equal(pod.securityContext?.runAsUser, 0);
  assert.equal(pod.securityContext?.seccompProfile?.type, "RuntimeDefault");
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  assert.ok(!pod.hostNetwork && !pod.hostPID && pod.hostUsers !== false);
  const namespace = the<V1Namespace>("Namespace");
  assert.equal(namespace.metadata?.labels?.["pod-security.kubernetes.io/enforce"], "privileged");
});

test("the service account may read pods and namespaces, and nothing else", () => {
  assert.deepEqual(the<V1ClusterRole>("ClusterRole").rules, [
    { apiGroups: [""], resources: ["pods", "namespaces"], verbs: ["get", "list", "watch"] },
  ]);
  for (const { kind } of manifests) assert.ok(!["Role", "RoleBinding"].includes(kind));
});

test("names agree: namespace, service account, selector", () => {
  const namespace = the<V1Namespace>("Namespace").metadata?.name;
  for (const kind of ["ServiceAccount", "ConfigMap", "DaemonSet"])
    assert.equal(the<V1ConfigMap>(kind).metadata?.namespace, namespace);
  const [subject] = the<{ subjects: unknown[] }>("ClusterRoleBinding").subjects;
  assert.deepEqual(subject, { kind: "ServiceAccount", name: pod.serviceAccountName, namespace });
  assert.deepEqual(daemonSet.spec?.selector.matchLabels, daemonSet.spec?.template.metadata?.labels);
});

test("the copy for overlays is the same file", () => {
  assert.equal(read("deploy/base/daemonset.yaml"), read("daemonset.yaml"), "npm run docs copies it");
});

test("the pod tolerates every taint, and is the last to be evicted", () => {
  assert.deepEqual(pod.tolerations, [{ operator: "Exists" }]);
  assert.equal(pod.priorityClassName, "system-node-critical");
});

test("the agent's own log is left alone, other pods of the namespace and of like names are not", () => {
  const excluded = (name: string): boolean =>
    config.source.exclude.some((glob) => picomatch(glob, { dot: true })(`/var/log/containers/${name}`));
  const id = "e89a0324f90f97266c662deee7c65ed2a30881c04c78f561e20dbfee0fe7e1f7";
  const { name, namespace } = daemonSet.metadata!;
  assert.ok(excluded(`${name}-x2x9z_${namespace}_${container.name}-${id}.log`));
  assert.ok(!excluded(`${name}-x2x9z_shop_${container.name}-${id}.log`));
  assert.ok(!excluded(`web-x2x9z_${namespace}_web-${id}.log`));
});

test("heap and the outputs' buffers fit into the memory limit, and requests are quantities that Kubernetes takes", () => {
  const { requests, limits } = container.resources!;
  const limit = Number(/^(\d+)Mi$/.exec(limits?.memory ?? "")?.[1]);
  const share = Number(/--max-old-space-size-percentage=(\d+)/.exec(read("Dockerfile"))?.[1]) / 100;
  const buffers = config.outputs.reduce((sum, { memory }) => sum + memory, 0) / 1024 ** 2;
  assert.ok(share <= 0.5, "half of the limit is for what lies outside of the heap");
  assert.ok(limit * share + buffers + 64 <= limit, "beside heap and buffers there is room for Node itself");
  assert.match(requests?.memory ?? "", /^\d+Mi$/);
  assert.match(requests?.cpu ?? "", /^\d+m$/);
  assert.equal(limits?.cpu, undefined, "a throttled agent falls behind the logs");
});

test("image tag, image label and package agree on the version", () => {
  assert.equal(container.image?.split(":").at(-1), version);
  assert.match(read("Dockerfile"), new RegExp(`image\\.version="${version.replaceAll(".", "\\.")}"`));
});
