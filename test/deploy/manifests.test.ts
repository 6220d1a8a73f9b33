/** The check of daemonset.yaml against the Kubernetes API, and that it finds what it is there to find. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { checkManifests, REPOSITORY } from "./kubernetes.ts";

const manifests = readFileSync(join(REPOSITORY, "daemonset.yaml"), "utf8");

/** Name of the mistake; what is replaced by what; what the check says. */
const MISTAKES: readonly (readonly [string, string, string, RegExp])[] = [
  ["misspelt-key", "terminationGracePeriodSeconds:", "terminationGracePeriodSecond:", /"terminationGracePeriodSecond"/],
  ["misspelt-deep-key", "readOnlyRootFilesystem:", "readonlyRootFilesystem:", /"readonlyRootFilesystem"/],
  ["misspelt-key-in-brackets", "readOnly: true }", "readonly: true }", /"readonly"/],
  ["wrong-type", "terminationGracePeriodSeconds: 40", 'terminationGracePeriodSeconds: "40"', /'string'.*'number'/],
  ["text-for-a-list", "verbs: [get, list, watch]", "verbs: get", /'string'.*'string\[\]'/],
  ["number-for-a-text", 'prometheus.io/port: "9780"', "prometheus.io/port: 9780", /'number'.*'string'/],
  ["missing-selector", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: tailrace\n", "", /'selector'/],
  ["missing-container-name", "        - name: tailrace\n          image:", "        - image:", /'name'/],
  ["missing-role", "  kind: ClusterRole\n  name: tailrace\nsubjects", "  kind: ClusterRole\nsubjects", /'name'/],
  ["unknown-kind", "kind: DaemonSet", "kind: DaemonsSet", /'never'/],
  ["unknown-version", "apiVersion: apps/v1", "apiVersion: apps/v1beta1", /'never'/],
];

const found = checkManifests({
  daemonset: manifests,
  ...Object.fromEntries(MISTAKES.map(([name, good, bad]) => [name, manifests.replace(good, () => bad)])),
});

test("daemonset.yaml fits the schemas of the Kubernetes API", () => {
  assert.deepEqual(found.get("daemonset"), []);
});

for (const [name, good, , expected] of MISTAKES)
  test(`the check of manifests finds a mistake: ${name.replaceAll("-", " ")}`, () => {
    assert.ok(manifests.includes(good), `daemonset.yaml no longer holds ${good}`);
    const problems = found.get(name) ?? [];
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", expected);
  });
