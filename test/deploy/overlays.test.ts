/** The overlays under deploy/, as far as no renderer is needed; `npm run test:node` renders them and asks a real API server. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { V1ClusterRole, V1ConfigMap, V1DaemonSet, V1ObjectMeta } from "@kubernetes/client-node";
import picomatch from "picomatch";
import { parse } from "yaml";
import { loadConfig } from "../../agent/config/load.ts";
import { parseManifests, REPOSITORY } from "./kubernetes.ts";

interface Kustomization {
  readonly kind: string;
  readonly namespace?: string;
  readonly namePrefix?: string;
  readonly resources?: readonly string[];
  readonly patches?: readonly {
    readonly path?: string;
    readonly patch?: string;
    readonly target: { readonly kind: string; readonly name: string };
  }[];
  readonly configMapGenerator?: readonly { readonly files: readonly string[] }[];
}

const DEPLOY = join(REPOSITORY, "deploy");
const folders = [
  "base",
  ...["overlays", "components"].flatMap((kind) => readdirSync(join(DEPLOY, kind)).map((name) => join(kind, name))),
];
const read = (...path: string[]): string => readFileSync(join(DEPLOY, ...path), "utf8");
const kustomization = (folder: string): Kustomization => parse(read(folder, "kustomization.yaml")) as Kustomization;
const manifests = parseManifests(read("base", "daemonset.yaml"));
const temporary = mkdtempSync(join(tmpdir(), "tailrace-overlays-"));
after(() => rmSync(temporary, { recursive: true }));
const daemonSet = manifests.find(({ kind }) => kind === "DaemonSet") as unknown as V1DaemonSet;

for (const folder of folders)
  test(`deploy/${folder} refers to files that there are, and uses every file that it has`, () => {
    const { kind, resources = [], patches = [], configMapGenerator = [] } = kustomization(folder);
    assert.equal(kind, folder.startsWith("components") ? "Component" : "Kustomization");
    const files = [
      ...resources,
      ...patches.flatMap(({ path }) => path ?? []),
      ...configMapGenerator.flatMap(({ files }) => files),
    ];
    for (const file of files) assert.ok(existsSync(join(DEPLOY, folder, file)), file);
    const unused = readdirSync(join(DEPLOY, folder)).filter((name) => !files.includes(name));
    assert.deepEqual(unused, ["kustomization.yaml"]);
  });

for (const folder of folders)
  test(`every patch of deploy/${folder} is for something that the base has`, () => {
    for (const { target } of kustomization(folder).patches ?? [])
      assert.ok(
        manifests.some(({ kind, metadata }) => kind === target.kind && (metadata as V1ObjectMeta).name === target.name),
        `${target.kind} ${target.name}`,
      );
  });

test("the component for Events adds the right that daemonset.yaml has as a comment, and switches the setting on", () => {
  const added = Object.fromEntries(
    (kustomization("components/events").patches ?? []).map(({ target, patch = "" }) => {
      const operations = parse(patch) as { op: string; path: string; value: unknown }[];
      assert.deepEqual(
        operations.map(({ op, path }) => [op, path.split("/").at(-1)]),
        [["add", "-"]],
      );
      return [target.kind, operations[0]?.value];
    }),
  );
  assert.deepEqual(added.ClusterRole, { apiGroups: [""], resources: ["events"], verbs: ["create"] });
  const uncommented = read("base", "daemonset.yaml").replace(
    /^ {2}# (?=(- apiGroups| {2}resources| {2}verbs):)/gm,
    "  ",
  );
  const role = parseManifests(uncommented).find(({ kind }) => kind === "ClusterRole") as unknown as V1ClusterRole;
  assert.deepEqual(role.rules?.slice(1), [added.ClusterRole]);
  const { name, value } = added.DaemonSet as { name: string; value: string };
  const file = join(temporary, "config.yaml");
  const configMap = manifests.find(({ kind }) => kind === "ConfigMap") as unknown as V1ConfigMap;
  writeFileSync(file, configMap.data?.["config.yaml"] ?? "");
  for (const [env, expected] of [
    [{}, false],
    [{ [name]: value }, true],
  ] as const) {
    const loaded = loadConfig(file, { env, hostname: "pod-a", checkFiles: false });
    if ("problems" in loaded) assert.fail(JSON.stringify(loaded.problems));
    assert.equal(loaded.config.kubernetes.events, expected);
  }
});

test("the example's configuration is valid, and leaves the agent's own log alone under its new name", () => {
  const file = join(DEPLOY, "overlays", "example", "config.yaml");
  const loaded = loadConfig(file, { env: { NODE_NAME: "node-a" }, hostname: "pod-a", checkFiles: false });
  if ("problems" in loaded) assert.fail(JSON.stringify(loaded.problems));
  const { namespace, namePrefix } = kustomization("overlays/example");
  const own = `/var/log/containers/${namePrefix}tailrace-x2x9z_${namespace}_tailrace-0123.log`;
  assert.ok(loaded.config.source.exclude.some((glob) => picomatch(glob, { dot: true })(own)));
});

test("the example's patch keeps to the names of the base, so that it changes and adds nothing by mistake", () => {
  const patch = parse(read("overlays", "example", "daemonset.yaml")) as V1DaemonSet;
  const container = patch.spec?.template.spec?.containers[0];
  assert.equal(patch.metadata?.name, daemonSet.metadata?.name);
  assert.equal(container?.name, daemonSet.spec?.template.spec?.containers[0]?.name);
  for (const { name } of container?.volumeMounts ?? [])
    assert.ok(patch.spec?.template.spec?.volumes?.some((volume) => volume.name === name));
});

test("the PodMonitor finds the pods and their port, and keeps the agent's labels", () => {
  const monitor = parse(read("overlays", "pod-monitor", "podmonitor.yaml")) as {
    spec: { selector: object; podMetricsEndpoints: { port: string; honorLabels: boolean }[] };
  };
  assert.deepEqual(monitor.spec.selector, daemonSet.spec?.selector);
  const ports = daemonSet.spec?.template.spec?.containers[0]?.ports?.map(({ name }) => name);
  for (const { port, honorLabels } of monitor.spec.podMetricsEndpoints) {
    assert.ok(ports?.includes(port));
    assert.equal(honorLabels, true);
  }
});
