import assert from "node:assert/strict";
import { test } from "node:test";
import type { V1Pod } from "@kubernetes/client-node";
import { podFacts, selectBy, workloadOf } from "../../../agent/pods/facts.ts";
import { SETTINGS } from "../../../agent/pods/settings.ts";

const all = selectBy(["*"]);
const everything = {
  labels: all,
  annotations: all,
  named: { labels: new Set<string>(), annotations: new Set<string>() },
  settings: { prefix: "tailrace.io", allow: SETTINGS, outputs: [] },
};

const owner = (kind: string, name: string, controller = true) => ({
  ownerReferences: [{ apiVersion: "v1", kind, name, uid: "u", controller }],
});

test("the workload is what a user created, through the ReplicaSet or Job between", () => {
  const cases: [object, string, string][] = [
    [
      {
        name: "api-6c8f9d7b5d-q9zlk",
        labels: { "pod-template-hash": "6c8f9d7b5d" },
        ...owner("ReplicaSet", "api-6c8f9d7b5d"),
      },
      "deployment",
      "api",
    ],
    [{ name: "api-q9zlk", ...owner("ReplicaSet", "api") }, "replicaset", "api"],
    [
      {
        name: "api-6c8f9d7b5d-q9zlk",
        labels: { "pod-template-hash": "other" },
        ...owner("ReplicaSet", "api-6c8f9d7b5d"),
      },
      "replicaset",
      "api-6c8f9d7b5d",
    ],
    [{ name: "nightly-29401920-x2x4c", ...owner("Job", "nightly-29401920") }, "cronjob", "nightly"],
    [{ name: "import-7-x2x4c", ...owner("Job", "import-7") }, "job", "import-7"],
    [{ name: "web-0", ...owner("StatefulSet", "web") }, "statefulset", "web"],
    [{ name: "edge-f8t2c", ...owner("DaemonSet", "edge") }, "daemonset", "edge"],
    [{ name: "old-abcde", ...owner("ReplicationController", "old") }, "replicationcontroller", "old"],
    [{ name: "train-0", ...owner("SparkApplication", "train") }, "sparkapplication", "train"],
    [{ name: "etcd-node-1.example", ...owner("Node", "node-1.example") }, "node", "etcd"],
    [{ name: "alone" }, "pod", "alone"],
    [{ name: "kept", ...owner("ConfigMap", "not-a-controller", false) }, "pod", "kept"],
  ];
  for (const [metadata, kind, name] of cases)
    assert.deepEqual(workloadOf(metadata, "node-1.example"), [kind, name], JSON.stringify(metadata));
});

test("of a pod only what records need is kept", () => {
  const pod: V1Pod = {
    metadata: {
      uid: "u1",
      name: "web-0",
      namespace: "shop",
      labels: { app: "web", "app.kubernetes.io/name": "web" },
      annotations: { "team/owner": "blue", "kubectl.kubernetes.io/last-applied-configuration": "{}" },
      ...owner("StatefulSet", "web"),
    },
    spec: {
      nodeName: "node-1",
      containers: [{ name: "app", image: "web:1" }],
      initContainers: [{ name: "migrate", image: "migrate:1" }],
      ephemeralContainers: [{ name: "debugger", image: "busybox" }],
    },
    status: {
      podIP: "10.1.2.3",
      containerStatuses: [
        {
          name: "app",
          image: "docker.io/library/web:1",
          imageID: "",
          ready: true,
          restartCount: 2,
          containerID: "containerd://c0ffee",
        },
      ],
      initContainerStatuses: [
        {
          name: "migrate",
          image: "migrate:1",
          imageID: "",
          ready: true,
          restartCount: 0,
          containerID: "containerd://beef",
        },
      ],
    },
  };
  assert.deepEqual(podFacts(pod, { ...everything, annotations: selectBy(["team/*"]) }), {
    uid: "u1",
    namespace: "shop",
    name: "web-0",
    pathUids: ["u1"],
    ip: "10.1.2.3",
    runtime: "containerd",
    workloadKind: "statefulset",
    workload: "web",
    labels: { app: "web", "app.kubernetes.io/name": "web" },
    annotations: { "team/owner": "blue" },
    named: undefined,
    problems: [],
    containers: new Map([
      ["app", { image: "web:1", containerId: "c0ffee", restart: 2, settings: undefined }],
      ["migrate", { image: "migrate:1", containerId: "beef", restart: 0, settings: undefined }],
      ["debugger", { image: "busybox", containerId: "", restart: 0, settings: undefined }],
    ]),
  });
});

test("a pod that has nothing but a name yet is no error", () => {
  assert.equal(podFacts({ metadata: { uid: "u", name: "p" } }, everything).workload, "p");
  assert.deepEqual([...podFacts({}, everything).containers], []);
});

test("a static pod is also known by the hash of its configuration", () => {
  const hash = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
  const annotations = { "kubernetes.io/config.mirror": hash, "kubernetes.io/config.hash": hash };
  assert.deepEqual(podFacts({ metadata: { uid: "mirror", annotations } }, everything).pathUids, ["mirror", hash]);
});

test("globs choose labels by name, a leading ! leaves some out", () => {
  const names = ["app", "app.kubernetes.io/name", "pod-template-hash"];
  const chosen = (...globs: string[]) => names.filter(selectBy(globs));
  assert.deepEqual(chosen("*"), names);
  assert.deepEqual(chosen(), []);
  assert.deepEqual(chosen("app"), ["app"]);
  assert.deepEqual(chosen("app.kubernetes.io/*"), ["app.kubernetes.io/name"]);
  assert.deepEqual(chosen("*", "!pod-template-hash"), ["app", "app.kubernetes.io/name"]);
  assert.deepEqual(chosen("!app*"), ["pod-template-hash"]);
});
