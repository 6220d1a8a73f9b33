/**
 * Origin: what is known of the container that wrote a log. Identity comes from the file's path, the rest from the pod.
 * An Origin never changes; news about the pod makes another object, so outputs memoise on identity (WeakMap).
 */
import type { PodSettings } from "./settings.ts";

/** Where a container's log file lies and what its path tells. */
export interface ContainerLog {
  /** The path that discovery found, usually /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log. */
  readonly path: string;
  readonly namespace: string;
  readonly pod: string;
  /** The uid in the path: the pod's uid, or for a static pod the hash of its configuration. */
  readonly uid: string;
  readonly container: string;
  /** Restart count, from the file's name. */
  readonly restart: number;
  /** The container id in the link's name, where it is whole (64 hex digits); else "". */
  readonly containerId: string;
}

export interface Origin extends ContainerLog {
  readonly cluster: string;
  readonly node: string;
  /** "" while unknown, as with the four after it. */
  readonly ip: string;
  readonly image: string;
  /** containerd, docker, cri-o … */
  readonly runtime: string;
  /** deployment, statefulset, daemonset, cronjob, job, replicaset, or the owner's own kind in lower case. */
  readonly workloadKind: string;
  readonly workload: string;
  /** As selected by `kubernetes.labels`, `kubernetes.annotations`, `kubernetes.namespaceLabels`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  /** Labels and annotations that the configuration's matches name, attached or not. */
  readonly named?:
    | { readonly labels: Readonly<Record<string, string>>; readonly annotations: Readonly<Record<string, string>> }
    | undefined;
  /** What the pod's annotations say of how this container's log is to be treated. */
  readonly settings?: PodSettings | undefined;
}
