/**
 * How long things may take with the API server: a limit for what hangs, and the pause before a request is made again.
 * Back-off grows to half a minute while the server is away, which is far more than a new container's first read waits for
 * its pod's metadata. So the pause is cut short while somebody waits, though never below a second on average.
 */
import { setTimeout as sleep } from "node:timers/promises";

export class Pause {
  readonly #hurriedMs: number;
  /** Somebody has waited since the current pause began. */
  #hurried = false;
  /** Ends the part of the current pause that nobody has to wait for. */
  #rouse: () => void = () => {};

  /** @param hurriedMs the longest back-off while somebody waits. */
  constructor(hurriedMs: number) {
    this.#hurriedMs = hurriedMs;
  }

  /** Somebody waits. Cheap, and to be called for as long as that is so. */
  hurry(): void {
    this.#hurried = true;
    this.#rouse();
  }

  /**
   * Lasts until the next try is due, or the signal aborts. Never throws.
   * @param askedMs what the server asked for, which is kept to in any case.
   * @param backOffMs what comes on top while nobody waits.
   */
  async last(askedMs: number, backOffMs: number, signal: AbortSignal): Promise<void> {
    this.#hurried = false;
    // With jitter here too: the pods of a whole cluster start when its server is back.
    const leastMs = Math.min(backOffMs, this.#hurriedMs * Math.random());
    await sleep(askedMs + leastMs, undefined, { signal }).catch(() => {});
    if (this.#hurried || backOffMs === leastMs) return;
    const roused = new AbortController();
    this.#rouse = () => roused.abort();
    const ended = AbortSignal.any([signal, roused.signal]);
    await sleep(backOffMs - leastMs, undefined, { signal: ended }).catch(() => {});
    this.#rouse = () => {};
  }
}

/** Runs `work` under a signal that also aborts after `limitMs`. */
export async function within<R>(
  limitMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<R>,
): Promise<R> {
  const controller = new AbortController();
  const stop = () => controller.abort(signal.reason);
  const giveUp = () =>
    controller.abort(new Error(`no end after ${Math.round(limitMs / 1000)} s; the connection is dead`));
  const timer = setTimeout(giveUp, limitMs);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}
