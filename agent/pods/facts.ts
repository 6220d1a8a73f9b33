/**
 * What of an API pod is worth keeping: pure functions from the server's objects to a few strings. A pod as the server
 * sends it is some 10 kB, half of it managedFields; hundreds of them would be the agent's largest piece of memory.
 */
import type { V1ContainerStatus, V1ObjectMeta, V1Pod } from "@kubernetes/client-node";
import picomatch from "picomatch";
import {
  type AnnotationProblem,
  annotationProblems,
  containerSettings,
  type PodSettings,
  type SettingsRules,
} from "./settings.ts";

/** Whether a label or annotation of this name is to be attached. */
export type Select = (name: string) => boolean;

interface ContainerFacts {
  /** As the pod's specification names it. */
  readonly image: string;
  /** Id and restart count of the latest run that the status tells of; "" and 0 while it tells of none. */
  readonly containerId: string;
  readonly restart: number;
  /** What the pod's annotations say for it. */
  readonly settings: PodSettings | undefined;
}

/** Labels and annotations by name. */
interface Named {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What of a pod's labels and annotations matters. */
export interface Wanted {
  /** To attach to records. */
  readonly labels: Select;
  readonly annotations: Select;
  /** Names that conditions of the configuration ask for. */
  readonly named: { readonly labels: ReadonlySet<string>; readonly annotations: ReadonlySet<string> };
  readonly settings: SettingsRules;
}

export interface PodFacts {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /**
   * What may stand as uid in the path of its logs: its uid and, for a static pod, the hash of its configuration. Such a
   * pod's folder carries the hash, while the API knows a mirror pod with a uid of its own.
   */
  readonly pathUids: readonly string[];
  readonly ip: string;
  readonly runtime: string;
  readonly workloadKind: string;
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Those that conditions of the configuration name; undefined when none do. */
  readonly named: Named | undefined;
  readonly problems: readonly AnnotationProblem[];
  readonly containers: ReadonlyMap<string, ContainerFacts>;
}

/** The annotations in which a mirror pod carries the hash of its static pod. */
const HASHES = ["kubernetes.io/config.mirror", "kubernetes.io/config.hash"];

/** @param globs of names; a leading "!" excludes. A star also stands for slashes: names hold one after their prefix. */
export function selectBy(globs: readonly string[]): Select {
  if (globs.length === 0) return () => false;
  const options = { bash: true, dot: true, nonegate: true };
  const wanted = globs.filter((glob) => !glob.startsWith("!"));
  const unwanted = globs.filter((glob) => glob.startsWith("!")).map((glob) => glob.slice(1));
  return picomatch(wanted.length > 0 ? wanted : ["*"], { ...options, ignore: unwanted });
}

/** The chosen ones of a pod's labels or annotations. */
export function pick(all: Readonly<Record<string, string>> | undefined, select: Select): Record<string, string> {
  return Object.fromEntries(Object.entries(all ?? {}).filter(([name]) => select(name)));
}

export function podFacts(pod: V1Pod, { labels, annotations, named, settings }: Wanted): PodFacts {
  const { metadata = {}, spec, status } = pod;
  const containers = containersOf(pod, (name) => containerSettings(metadata.annotations ?? {}, name, settings));
  const uid = metadata.uid ?? "";
  const hashes = HASHES.map((name) => metadata.annotations?.[name] ?? "").filter((hash) => hash !== "");
  const statuses = statusesOf(pod);
  const [workloadKind, workload] = workloadOf(metadata, spec?.nodeName ?? "");
  return {
    uid,
    namespace: metadata.namespace ?? "",
    name: metadata.name ?? "",
    pathUids: [...new Set([uid, ...hashes])],
    ip: status?.podIP ?? "",
    runtime: statuses.map(({ containerID }) => /^[^:]+(?=:\/\/)/.exec(containerID ?? "")?.[0]).find(Boolean) ?? "",
    workloadKind,
    workload,
    labels: pick(metadata.labels, labels),
    annotations: pick(metadata.annotations, annotations),
    named:
      named.labels.size + named.annotations.size === 0
        ? undefined
        : {
            labels: pick(metadata.labels, (name) => named.labels.has(name)),
            annotations: pick(metadata.annotations, (name) => named.annotations.has(name)),
          },
    problems: annotationProblems(metadata.annotations ?? {}, [...containers.keys()], settings),
    containers,
  };
}

function statusesOf({ status }: V1Pod): V1ContainerStatus[] {
  return [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ];
}

function containersOf(
  pod: V1Pod,
  settingsOf: (container: string) => PodSettings | undefined,
): Map<string, ContainerFacts> {
  const { spec } = pod;
  const statuses = statusesOf(pod);
  const images = new Map<string, string>();
  for (const { name, image } of statuses) images.set(name, image);
  for (const containers of [spec?.containers, spec?.initContainers, spec?.ephemeralContainers])
    for (const { name, image } of containers ?? []) if (image) images.set(name, image);
  const facts = new Map<string, ContainerFacts>();
  for (const [name, image] of images) {
    const status = statuses.find((status) => status.name === name);
    facts.set(name, {
      image,
      containerId: (status?.containerID ?? "").replace(/^[^:]*:\/\//, ""),
      restart: status?.restartCount ?? 0,
      settings: settingsOf(name),
    });
  }
  return facts;
}

/** Kind in lower case and name of what a user created: through the ReplicaSet or Job between, as far as names tell. */
export function workloadOf(metadata: V1ObjectMeta, nodeName: string): [kind: string, name: string] {
  const pod = metadata.name ?? "";
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined) return ["pod", pod];
  const { kind, name } = owner;
  if (kind === "Node") return ["node", cut(pod, `-${nodeName}`)];
  if (kind === "ReplicaSet") {
    // The deployment controller names its sets DEPLOYMENT-HASH and labels their pods; others lack the label.
    const deployment = cut(name, `-${metadata.labels?.["pod-template-hash"] ?? ""}`);
    return deployment === name ? ["replicaset", name] : ["deployment", deployment];
  }
  if (kind === "Job") {
    // A CronJob names its jobs CRONJOB-MINUTES, in minutes since 1970.
    const cronJob = name.replace(/-\d{8,}$/, "");
    return cronJob === name ? ["job", name] : ["cronjob", cronJob];
  }
  return [kind.toLowerCase(), name];
}

function cut(name: string, end: string): string {
  return end.length > 1 && name.endsWith(end) && name.length > end.length ? name.slice(0, -end.length) : name;
}
