/**
 * Pods: what is known of the node's pods, and the Origin of each log that follows from it.
 *
 * Live pods are in a plain Map, departed ones in a cache, because their files are still read when they are gone. A pod
 * is found by namespace, name and uid together: a StatefulSet's next pod of the same name is another pod, and no pod can
 * pass for another by an annotation. Identity always comes from the log's path; the API only adds to it.
 * More than 300 lines, since what is known, found and told are views of the same maps.
 * All calls are synchronous and cheap; no trouble of the API ever throws here or stops anyone.
 */
import { isDeepStrictEqual } from "node:util";
import type { KubernetesObject, V1Pod } from "@kubernetes/client-node";
import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { Api } from "./api.ts";
import { findCluster } from "./cluster.ts";
import { EventWriter } from "./events.ts";
import { type PodFacts, pick, podFacts, type Select, selectBy, type Wanted } from "./facts.ts";
import type { ContainerLog, Origin } from "./origin.ts";
import { type Pace, Reflector } from "./reflector.ts";
import type { AnnotationProblem, SettingsRules } from "./settings.ts";

export interface Pods {
  /** The same object until something changes that shows in it. */
  origin(log: ContainerLog): Origin;
  /** Whether reading may begin: the pod is known, or was waited for long enough, or there is nobody to ask. */
  settled(log: ContainerLog): boolean;
  /** Called with the uid, as it stands in paths, of a pod of which there is news. */
  onChange(listener: (uid: string) => void): void;
  /** The node's pods were listed at least once. */
  readonly synced: boolean;
  /** They were waited for as long as `metadataTimeout` allows, or there is nobody to ask. */
  readonly timedOut: boolean;
  readonly watchEvents: number;
  readonly watchRestarts: number;
  /** Wrong annotations of live pods. */
  wrongAnnotations(): WrongAnnotation[];
  close(): Promise<void>;
}

export interface WrongAnnotation extends AnnotationProblem {
  readonly namespace: string;
  readonly pod: string;
}

export interface PodsOptions {
  readonly kubernetes: {
    readonly enabled: boolean;
    readonly kubeconfig: string;
    readonly labels: readonly string[];
    readonly annotations: readonly string[];
    readonly namespaceLabels: readonly string[];
    /** Milliseconds. */
    readonly metadataTimeout: number;
    readonly events: boolean;
  };
  /** What pods may set for themselves. */
  readonly settings: SettingsRules;
  /** Names of labels and annotations that conditions ask for. */
  readonly named: Wanted["named"];
  readonly nodeName: string;
  readonly clusterName: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly clock: Clock;
  /** For tests, which have no minutes. */
  readonly pace?: Partial<Pace>;
}

const MAX_DEPARTED = 1000;
const DEPARTED_MS = 30 * 60_000;
const MAX_WAITING = 10_000;
const NOTHING: Readonly<Record<string, string>> = Object.freeze({});

/** What an Origin was made of. */
interface Made {
  readonly origin: Origin;
  readonly pod: PodFacts | undefined;
  readonly namespaceLabels: Readonly<Record<string, string>>;
}

class PodStore implements Pods {
  synced = false;
  readonly #options: PodsOptions;
  readonly #wanted: Wanted;
  readonly #namespaceLabels: Select;
  readonly #byUid = new Map<string, PodFacts>();
  readonly #live = new Map<string, PodFacts>();
  readonly #departed: LRUCache<string, PodFacts>;
  readonly #namespaces = new Map<string, { uid: string; labels: Readonly<Record<string, string>> }>();
  readonly #made = new WeakMap<ContainerLog, Made>();
  /** By uid in the path: when reading first waited for it. */
  readonly #askedAt = new LRUCache<string, number>({ max: MAX_WAITING });
  readonly #listeners: ((uid: string) => void)[] = [];
  readonly #startedAt: number;
  readonly #stop = new AbortController();
  #events: EventWriter | undefined;
  #pods: Reflector<V1Pod> | undefined;
  #namespaceWatch: Reflector<KubernetesObject> | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: PodsOptions) {
    const { labels, annotations, namespaceLabels } = options.kubernetes;
    this.#options = options;
    this.#wanted = {
      labels: selectBy(labels),
      annotations: selectBy(annotations),
      named: options.named,
      settings: options.settings,
    };
    this.#namespaceLabels = selectBy(namespaceLabels);
    this.#departed = new LRUCache({
      max: MAX_DEPARTED,
      ttl: DEPARTED_MS,
      updateAgeOnGet: true,
      ttlResolution: 0,
      perf: { now: () => options.clock.monotonic() },
    });
    this.#startedAt = options.clock.monotonic();
  }

  start(): void {
    const { kubernetes, nodeName, env, log, clock, pace } = this.#options;
    if (!kubernetes.enabled) return;
    const cluster = findCluster(kubernetes.kubeconfig, env);
    if (typeof cluster === "string") {
      log.warn(
        { reason: cluster },
        "no API server to ask for pod metadata, so records carry only what their files' paths tell; set kubernetes.kubeconfig, or kubernetes.enabled to false",
      );
      return;
    }
    const api = new Api(cluster);
    if (kubernetes.events) this.#events = new EventWriter(api, nodeName, clock, log, this.#stop.signal);
    this.#pods = new Reflector<V1Pod>(
      api,
      { resource: "pods", path: "/api/v1/pods", fieldSelector: `spec.nodeName=${nodeName}`, metadataOnly: false },
      {
        upsert: (pod) => this.#upsertPod(pod),
        remove: (uid) => this.#removePod(uid),
        synced: () => this.#podsListed(),
      },
      clock,
      log,
      pace,
    );
    const runs = [this.#pods.run(this.#stop.signal)];
    if (kubernetes.namespaceLabels.length > 0) {
      this.#namespaceWatch = new Reflector<KubernetesObject>(
        api,
        { resource: "namespaces", path: "/api/v1/namespaces", fieldSelector: "", metadataOnly: true },
        {
          upsert: (namespace) => this.#upsertNamespace(namespace),
          remove: (uid) => this.#removeNamespace(uid),
          synced: () => {},
        },
        clock,
        log,
        pace,
      );
      runs.push(this.#namespaceWatch.run(this.#stop.signal));
    }
    this.#running = Promise.all(runs).finally(() => api.close());
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  get timedOut(): boolean {
    return (
      this.#impossible || this.#options.clock.monotonic() - this.#startedAt >= this.#options.kubernetes.metadataTimeout
    );
  }

  get watchEvents(): number {
    return (this.#pods?.events ?? 0) + (this.#namespaceWatch?.events ?? 0);
  }

  get watchRestarts(): number {
    return (this.#pods?.restarts ?? 0) + (this.#namespaceWatch?.restarts ?? 0);
  }

  onChange(listener: (uid: string) => void): void {
    this.#listeners.push(listener);
  }

  settled(log: ContainerLog): boolean {
    if (this.#impossible) return true;
    const namespaceKnown = this.#namespaceWatch === undefined || this.#namespaces.has(log.namespace);
    if ((namespaceKnown || this.#namespaceWatch?.forbidden) && this.#find(log) !== undefined) return true;
    const now = this.#options.clock.monotonic();
    const askedAt = this.#askedAt.get(log.uid) ?? now;
    this.#askedAt.set(log.uid, askedAt);
    if (now - askedAt >= this.#options.kubernetes.metadataTimeout) return true;
    this.#pods?.hurry();
    this.#namespaceWatch?.hurry();
    return false;
  }

  origin(log: ContainerLog): Origin {
    const made = this.#made.get(log);
    // What was known once is kept for as long as the log is read, however long its pod and namespace are gone.
    const pod = this.#find(log) ?? made?.pod;
    const namespaceLabels = this.#namespaces.get(log.namespace)?.labels ?? made?.namespaceLabels ?? NOTHING;
    if (made !== undefined && made.pod === pod && made.namespaceLabels === namespaceLabels) return made.origin;
    let origin = this.#make(log, pod, namespaceLabels);
    // The news may be about another container of the pod.
    if (made !== undefined && isDeepStrictEqual(made.origin, origin)) origin = made.origin;
    this.#made.set(log, { origin, pod, namespaceLabels });
    return origin;
  }

  /** Nobody can answer, so there is nothing to wait for. */
  get #impossible(): boolean {
    return this.#pods === undefined || this.#pods.forbidden;
  }

  #find(log: ContainerLog): PodFacts | undefined {
    const key = keyOf(log.namespace, log.pod, log.uid);
    return this.#live.get(key) ?? this.#departed.get(key);
  }

  #make(log: ContainerLog, pod: PodFacts | undefined, namespaceLabels: Readonly<Record<string, string>>): Origin {
    const container = pod?.containers.get(log.container);
    // The status tells of the latest run only; the log may be of one before, or of one that it does not know yet.
    const sameRun = container?.restart === log.restart;
    return Object.freeze({
      ...log,
      containerId: log.containerId || (sameRun ? (container?.containerId ?? "") : ""),
      cluster: this.#options.clusterName,
      node: this.#options.nodeName,
      ip: pod?.ip ?? "",
      image: container?.image ?? "",
      runtime: pod?.runtime ?? "",
      workloadKind: pod?.workloadKind ?? "",
      workload: pod?.workload ?? "",
      labels: pod?.labels ?? NOTHING,
      annotations: pod?.annotations ?? NOTHING,
      namespaceLabels,
      // Not there at all where there is nothing, as before.
      ...(pod?.named === undefined ? {} : { named: pod.named }),
      ...(container?.settings === undefined ? {} : { settings: container.settings }),
    });
  }

  wrongAnnotations(): WrongAnnotation[] {
    return [...this.#byUid.values()].flatMap(({ namespace, name: pod, problems }) =>
      problems.map((problem) => ({ namespace, pod, ...problem })),
    );
  }

  /** Once for each version of the pod's annotations that is wrong in another way. */
  #report({ namespace, name, uid, problems }: PodFacts, before: PodFacts | undefined): void {
    if (problems.length === 0 || isDeepStrictEqual(before?.problems, problems)) return;
    for (const { annotation, value, message } of problems)
      this.#options.log.warn(
        { namespace, pod: name, annotation, value, reason: message },
        "a pod's annotation is wrong, and ignored",
      );
    this.#events?.write({ namespace, pod: name, uid, problems });
  }

  #upsertPod(pod: V1Pod): void {
    const facts = podFacts(pod, this.#wanted);
    const before = this.#byUid.get(facts.uid);
    // Most events are about conditions and probes.
    if (isDeepStrictEqual(before, facts)) return;
    this.#report(facts, before);
    if (before !== undefined) this.#leave(before);
    this.#byUid.set(facts.uid, facts);
    for (const key of keysOf(facts)) {
      this.#live.set(key, facts);
      this.#departed.delete(key);
    }
    this.#tell(facts.pathUids);
  }

  #removePod(uid: string): void {
    const facts = this.#byUid.get(uid);
    if (facts === undefined) return;
    this.#byUid.delete(uid);
    this.#leave(facts);
    for (const key of keysOf(facts)) this.#departed.set(key, facts);
  }

  /** A static pod's next mirror may have taken over some of its keys already. */
  #leave(facts: PodFacts): void {
    for (const key of keysOf(facts)) if (this.#live.get(key) === facts) this.#live.delete(key);
  }

  #upsertNamespace({ metadata }: KubernetesObject): void {
    const { name = "", uid = "" } = metadata ?? {};
    const labels = pick(metadata?.labels, this.#namespaceLabels);
    const before = this.#namespaces.get(name);
    if (isDeepStrictEqual(before?.labels, labels))
      this.#namespaces.set(name, { uid, labels: before?.labels ?? labels });
    else {
      this.#namespaces.set(name, { uid, labels });
      for (const pod of this.#byUid.values()) if (pod.namespace === name) this.#tell(pod.pathUids);
    }
  }

  #removeNamespace(uid: string): void {
    for (const [name, namespace] of this.#namespaces) if (namespace.uid === uid) this.#namespaces.delete(name);
  }

  #podsListed(): void {
    const { nodeName, log } = this.#options;
    if (!this.synced) log.info({ node: nodeName, pods: this.#byUid.size }, "the node's pods are known");
    if (!this.synced && this.#byUid.size === 0)
      log.warn(
        { node: nodeName },
        "the API server knows no pod on this node; is nodeName the name of the Node object?",
      );
    this.synced = true;
  }

  #tell(pathUids: readonly string[]): void {
    for (const uid of pathUids) for (const listener of this.#listeners) listener(uid);
  }
}

function keyOf(namespace: string, name: string, pathUid: string): string {
  return `${namespace}/${name}/${pathUid}`;
}

function keysOf({ namespace, name, pathUids }: PodFacts): string[] {
  return pathUids.map((uid) => keyOf(namespace, name, uid));
}

/** Begins to watch the node's pods, where that is asked for and possible. Returns at once. */
export function startPods(options: PodsOptions): Pods {
  const store = new PodStore(options);
  store.start();
  return store;
}
