/**
 * Health: stuck means that bytes wait, no backend is at fault, and nothing has moved for a while; or that nobody looks
 * for new bytes any more. A backend that is dead or slow is not the agent's illness, and a quiet node is none either.
 */
import type { Clock } from "./clock.ts";

const STUCK_MS = 60_000;

/** What health looks at of each output. */
interface Watched {
  readonly consumer: { readonly name: string; readonly waiting: boolean; readonly movedAt: number };
  readonly lane: { readonly state: string; readonly isAwaited: boolean };
}

/** Who finds files and notices that they grow. */
interface Looking {
  /** Monotonic milliseconds when it last had looked at everything. */
  readonly lookedAt: number;
}

export class Health {
  readonly #clock: Clock;
  readonly #pipelines: () => readonly Watched[];
  readonly #tailer: () => Looking | undefined;
  /** Since when each output has had bytes waiting without an excuse. One that is rebuilt begins anew. */
  readonly #waitingSince = new WeakMap<Watched["consumer"], number>();

  /** @param tailer undefined until it has listed all files for the first time. */
  constructor(clock: Clock, pipelines: () => readonly Watched[], tailer: () => Looking | undefined) {
    this.#clock = clock;
    this.#pipelines = pipelines;
    this.#tailer = tailer;
  }

  /** Why the agent is stuck; "" while it makes progress. To be asked every now and then. */
  stuck(): string {
    const now = this.#clock.monotonic();
    const reasons: string[] = [];
    const lookedAt = this.#tailer()?.lookedAt ?? now;
    if (now - lookedAt >= STUCK_MS)
      reasons.push(`the log folders were last looked at ${Math.round((now - lookedAt) / 1000)} s ago`);
    for (const { consumer, lane } of this.#pipelines()) {
      if (!consumer.waiting || lane.state !== "ok" || lane.isAwaited) {
        this.#waitingSince.delete(consumer);
        continue;
      }
      const since = Math.max(this.#waitingSince.get(consumer) ?? now, consumer.movedAt);
      this.#waitingSince.set(consumer, since);
      if (now - since >= STUCK_MS)
        reasons.push(
          `output ${consumer.name}: bytes wait, the backend is not at fault, and nothing has moved for ${Math.round((now - since) / 1000)} s`,
        );
    }
    return reasons.join("; ");
  }
}
