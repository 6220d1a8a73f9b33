/**
 * What of an entry comes from its origin, rendered once for each: resource, labels, and the log's name.
 *
 * Labels are named as GKE's own agent names them: `k8s-pod/app`, dots in keys become `_`, and the node is
 * `compute.googleapis.com/resource_name`. Annotations and labels of the namespace, which that agent does not send, are
 * named alike.
 */
import type { Batch } from "../agent/batch.ts";
import type { Template } from "../agent/config/template.ts";
import type { Origin } from "../agent/pods/origin.ts";
import type { ClusterIdentity } from "./stackdriver-cluster.ts";

/** The API takes 64; some are left for what only one record has. */
const MAX_LABELS = 60;
/** The API cuts longer ones silently. */
const MAX_KEY_BYTES = 512;
/** Of all together, as JSON, so that an entry's payload has its room. */
const MAX_BYTES = 32 * 1024;

const KINDS: Readonly<Record<string, string>> = {
  deployment: "Deployment",
  statefulset: "StatefulSet",
  daemonset: "DaemonSet",
  cronjob: "CronJob",
  job: "Job",
  replicaset: "ReplicaSet",
};

/** Log names that are kept rendered. */
const MAX_NAMES = 1000;
const MAX_LOG_ID = 511;

interface OfOrigin {
  /** `"resource":{…},` */
  readonly resource: Buffer;
  /** Members of an object; may be empty. */
  readonly labels: Buffer;
  readonly labelCount: number;
}

export class OriginParts {
  readonly #cluster: ClusterIdentity;
  readonly #logName: Template;
  readonly #names = new Map<string, Buffer>();
  #origins = new WeakMap<Origin, OfOrigin>();
  #isKnown: boolean;

  constructor(cluster: ClusterIdentity, logName: Template) {
    this.#cluster = cluster;
    this.#logName = logName;
    this.#isKnown = cluster.isKnown;
  }

  of(origin: Origin): OfOrigin {
    this.#refresh();
    let of = this.#origins.get(origin);
    if (of === undefined) {
      const { members, count } = labelsOf(origin);
      of = { resource: this.#resource(origin), labels: Buffer.from(members), labelCount: count };
      this.#origins.set(origin, of);
    }
    return of;
  }

  /** `"logName":"projects/PROJECT/logs/ID"`, mostly the same Buffer for the same name. */
  logName(batch: Batch, row: number): Buffer {
    this.#refresh();
    const text = this.#logName.render(batch, row);
    let name = this.#names.get(text);
    if (name === undefined) {
      const project = this.#cluster.value("projectId");
      name = Buffer.concat([Buffer.from('"logName":"projects/'), project, Buffer.from(`/logs/${logId(text)}"`)]);
      if (this.#names.size >= MAX_NAMES) this.#names.clear();
      this.#names.set(text, name);
    }
    return name;
  }

  /** Marks give way to values once these are known. */
  #refresh(): void {
    if (this.#isKnown === this.#cluster.isKnown) return;
    this.#isKnown = this.#cluster.isKnown;
    this.#origins = new WeakMap();
    this.#names.clear();
  }

  #resource({ namespace, pod, container }: Origin): Buffer {
    const cluster = this.#cluster;
    const names = { namespace_name: namespace, pod_name: pod, container_name: container };
    return Buffer.concat([
      Buffer.from('"resource":{"type":"k8s_container","labels":{"project_id":"'),
      cluster.value("projectId"),
      Buffer.from('","location":"'),
      cluster.value("location"),
      Buffer.from('","cluster_name":"'),
      cluster.value("clusterName"),
      Buffer.from(`",${JSON.stringify(names).slice(1)}},`),
    ]);
  }
}

/** Letters, digits and `/_.-`, fewer than 512, URL-encoded as the API wants it. */
function logId(name: string): string {
  return encodeURIComponent(name.replace(/[^A-Za-z0-9/_.-]/g, "_").slice(0, MAX_LOG_ID));
}

/** @returns members of a JSON object, and how many. What is over the limits is left out, annotations first. */
function labelsOf(origin: Origin): { members: string; count: number } {
  const { node, workload, workloadKind, labels, namespaceLabels, annotations } = origin;
  const all = new Map<string, string>();
  const add = (key: string, value: string): void => {
    if (value !== "") all.set(key, value);
  };
  add("compute.googleapis.com/resource_name", node);
  const kind = KINDS[workloadKind];
  if (kind !== undefined && workload !== "") {
    add("logging.gke.io/top_level_controller_name", workload);
    add("logging.gke.io/top_level_controller_type", kind);
  }
  for (const [prefix, map] of Object.entries({
    "k8s-pod": labels,
    "k8s-namespace": namespaceLabels,
    "k8s-pod-annotation": annotations,
  }))
    for (const [key, value] of Object.entries(map)) add(`${prefix}/${key.replaceAll(".", "_")}`, value);
  let members = "";
  let count = 0;
  let bytes = 0;
  for (const [key, value] of all) {
    const member = `${JSON.stringify(key.toWellFormed())}:${JSON.stringify(value.toWellFormed())}`;
    const size = Buffer.byteLength(member) + 1;
    if (count === MAX_LABELS || bytes + size > MAX_BYTES || Buffer.byteLength(key) > MAX_KEY_BYTES) continue;
    members += `${count === 0 ? "" : ","}${member}`;
    bytes += size;
    count++;
  }
  return { members, count };
}
