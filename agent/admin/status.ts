/** The shape of /api/v1/status, and how containers come into it. */
import type { Change } from "../config/difference.ts";
import type { Consumer } from "../consumer.ts";
import type { WrongAnnotation } from "../pods/store.ts";

export interface OutputStatus {
  readonly name: string;
  readonly type: string;
  readonly state: "ok" | "retrying" | "stopped";
  readonly pendingBytes: number;
  readonly lastError: string;
  /** RFC 3339, or null when nothing is held back. */
  readonly nextRetryAt: string | null;
  /** What changed since it last worked, when that seems to be why it does not; secrets masked. */
  readonly suspects: readonly Change[];
}

/** Raw bytes. read = shipped + pending + dropped; lost ones were never read. */
interface Bytes {
  readonly readBytes: number;
  readonly shippedBytes: number;
  readonly pendingBytes: number;
  readonly droppedBytes: number;
  readonly lostBytes: number;
  readonly lagBytes: number;
}

export interface ContainerStatus {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly container: string;
  readonly file: string;
  readonly outputs: Record<string, Bytes>;
}

export interface Status {
  readonly version: string;
  readonly node: string;
  readonly uptimeSeconds: number;
  readonly config: {
    readonly hash: string;
    readonly loadedAt: string;
    /** Why the last change of the file was refused; null when it was taken up. */
    readonly error: string | null;
    /** Keys of the file that wait for the next start. */
    readonly restart: readonly string[];
  };
  readonly outputs: readonly OutputStatus[];
  /** Settings of pods that are ignored, with what is wrong about them. */
  readonly wrongAnnotations: readonly WrongAnnotation[];
  readonly containers: readonly ContainerStatus[];
}

export function containerStatus(consumers: readonly Consumer[]): ContainerStatus[] {
  const byKey = new Map<string, ContainerStatus>();
  for (const consumer of consumers)
    for (const [chain, { ledger, lagBytes }] of consumer.cursors) {
      const log = chain.segments.at(-1)?.log;
      if (log === undefined) continue;
      const { namespace, pod, uid, container, path } = log;
      const status = byKey.get(chain.key) ?? { namespace, pod, uid, container, file: path, outputs: {} };
      byKey.set(chain.key, status);
      status.outputs[consumer.name] = {
        readBytes: ledger.read,
        shippedBytes: ledger.shipped,
        pendingBytes: ledger.pending,
        droppedBytes: ledger.droppedTotal,
        lostBytes: ledger.lostTotal,
        lagBytes,
      };
    }
  return [...byKey.values()];
}
