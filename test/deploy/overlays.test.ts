/** The overlays under deploy/, as far as no renderer is needed; `npm run test:node` renders them and asks a real API server. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { V1DaemonSet } from "@kubernetes/client-node";
import picomatch from "picomatch";
import { parse } from "yaml";
import { loadConfig } from "../../agent/config/load.ts";
import { parseManifests, REPOSITORY } from "./kubernetes.ts";

interface Kustomization {
  readonly kind: string;
  readonly namespace?: string;
  readonly namePrefix?: string;
  readonly resources: readonly string[];
  readonly patches?: readonly { readonly path?: string }[];
  readonly configMapGenerator?: readonly { readonly files: readonly string[] }[];
}

const DEPLOY = join(REPOSITORY, "deploy");
const folders = ["base", ...readdirSync(join(DEPLOY, "overlays")).map((name) => join("overlays", name))];
const read = (...path: string[]): string => readFileSync(join(DEPLOY, ...path), "utf8");
const kustomization = (folder: string): Kustomization => parse(read(folder, "kustomization.yaml")) as Kustomization;
const manifests = parseManifests(read("base", "daemonset.yaml"));
const daemonSet = manifests.find(({ kind }) => kind === "DaemonSet") as unknown as V1DaemonSet;

for (const folder of folders)
  test(`deploy/${folder} refers to files that there are, and uses every file that it has`, () => {
    const { kind, resources, patches = [], configMapGenerator = [] } = kustomization(folder);
    assert.equal(kind, "Kustomization");
    const files = [
      ...resources,
      ...patches.flatMap(({ path }) => path ?? []),
      ...configMapGenerator.flatMap(({ files }) => files),
    ];
    for (const file of files) assert.ok(existsSync(join(DEPLOY, folder, file)), file);
    const unused = readdirSync(join(DEPLOY, folder)).filter((name) => !files.includes(name));
    assert.deepEqual(unused, ["kustomization.yaml"]);
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
