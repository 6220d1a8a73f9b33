/** A reflector at work against a scripted API server. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { KubernetesObject } from "@kubernetes/client-node";
import { type Clock, systemClock } from "../../agent/clock.ts";
import { Api } from "../../agent/pods/api.ts";
import type { Cluster } from "../../agent/pods/cluster.ts";
import { type Pace, Reflector } from "../../agent/pods/reflector.ts";
import { ApiServer } from "./apiserver.ts";
import { fakePod, NODE, PACE } from "./pods.ts";
import { until } from "./program.ts";
import { keepLog } from "./quiet-log.ts";

/** A reflector of the node's pods, and the copy that its listener keeps. */
export class Copy {
  readonly server = new ApiServer();
  readonly uids = new Set<string>();
  readonly log = keepLog();
  readonly #stop = new AbortController();
  synced = 0;
  reflector!: Reflector<KubernetesObject>;

  static async start(
    context: TestContext,
    prepare: (server: ApiServer) => void = () => {},
    options: { pace?: Partial<Pace>; cluster?: (server: ApiServer) => Cluster; clock?: Clock } = {},
  ): Promise<Copy> {
    const copy = new Copy();
    await copy.server.start();
    prepare(copy.server);
    const anyone = ({ url }: ApiServer): Cluster => ({ access: async () => ({ server: url, headers: {}, tls: {} }) });
    const api = new Api((options.cluster ?? anyone)(copy.server));
    copy.reflector = new Reflector<KubernetesObject>(
      api,
      { resource: "pods", path: "/api/v1/pods", fieldSelector: `spec.nodeName=${NODE}`, metadataOnly: false },
      {
        upsert: (pod) => copy.uids.add(pod.metadata?.uid ?? ""),
        remove: (uid) => assert.ok(copy.uids.delete(uid), `${uid} was not known`),
        synced: () => copy.synced++,
      },
      options.clock ?? systemClock,
      copy.log.log,
      { ...PACE, ...options.pace },
    );
    const running = copy.reflector.run(copy.#stop.signal);
    context.after(async () => {
      copy.#stop.abort();
      await running;
      await api.close();
      await copy.server.stop();
    });
    return copy;
  }

  async watching(): Promise<void> {
    await until(() => this.synced > 0 && this.server.watches === 1, "it watches");
  }

  async holds(...uids: string[]): Promise<void> {
    const wanted = uids.sort().join();
    await until(() => [...this.uids].sort().join() === wanted, `it holds ${wanted}`);
  }

  /** Messages of warnings and errors, with their causes. */
  get complaints(): string[] {
    return this.log.lines
      .filter(({ level }) => level === "warn" || level === "error")
      .map(({ msg, error }) => `${msg}: ${error}`);
  }
}

/** Adds or changes pods on the node. */
export const add =
  (...uids: string[]) =>
  (server: ApiServer) => {
    for (const uid of uids) server.apply("pods", fakePod({ uid }));
  };
