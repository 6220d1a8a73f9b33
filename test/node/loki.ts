/**
 * The real Loki as second output of the agent on the test node, where it was fetched before (test/real/fetch.ts). It is
 * the other backend to which not a line may be missing.
 */
import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import type { V1Pod } from "@kubernetes/client-node";
import { Loki, type LokiEntry } from "../real/loki.ts";
import { NODE, SINK_IP } from "./network.ts";

const TENANT = "test";
/** Between questions, each of which is answered with all that there is. */
const PAUSE_MS = 1000;

export class LokiSink {
  readonly #server: Loki;

  private constructor(server: Loki) {
    this.#server = server;
  }

  /** @param path of the program. */
  static async start(path: string): Promise<LokiSink> {
    return new LokiSink(await Loki.start({ path, javaHome: "" }, SINK_IP));
  }

  /** The output, as the last lines of a configuration. */
  get output(): string {
    return `  - { name: loki, type: loki, endpoint: "${this.#server.url}", tenant: ${TENANT} }\n`;
  }

  /** What a container's log is there, sooner or later as much as `count`. Nothing is said when it is not. */
  async entries({ metadata }: V1Pod, container: string, count: number, patienceMs: number): Promise<LokiEntry[]> {
    const query = `{namespace="${metadata?.namespace}", container="${container}"} | pod="${metadata?.name}"`;
    for (const end = Date.now() + patienceMs; ; await setTimeout(PAUSE_MS)) {
      const found = await this.#server.entries(TENANT, query);
      if (found.length >= count || Date.now() > end) return found;
    }
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}

/** An entry's labels are its pod's. @param app undefined for a pod that nobody could be asked about. */
export function assertLabels({ labels, line }: LokiEntry, pod: V1Pod, container: string, app = labels.app): void {
  const { namespace, app: own, container: name, node } = labels;
  assert.deepEqual(
    { namespace, app: own, container: name, node },
    { namespace: pod.metadata?.namespace, app, container, node: NODE },
    line.slice(0, 80),
  );
}
