/**
 * CurrentPods: the node's pods as the present configuration asks for them. When that changes, the former store answers
 * until the new one knows the pods, so that no record goes without what was known a moment ago.
 */
import type { ContainerLog, Origin } from "./origin.ts";
import { type Pods, type PodsOptions, startPods } from "./store.ts";

const LOOK_MS = 50;

export class CurrentPods {
  #store: Pods;
  readonly #onChange: () => void;
  /** Of the stores before. */
  readonly #counted = { events: 0, restarts: 0 };

  /** @param onChange there is news of some pod, so who waits for one may look again. */
  constructor(options: PodsOptions, onChange: () => void) {
    this.#onChange = onChange;
    this.#store = this.#start(options);
  }

  /** Resolves when the new store has taken over. @param signal ends the wait for it; then nothing has changed. */
  async replace(options: PodsOptions, signal: AbortSignal): Promise<void> {
    const next = this.#start(options);
    while (!next.synced && !next.timedOut && !signal.aborted)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    if (signal.aborted) return next.close();
    const former = this.#store;
    this.#counted.events += former.watchEvents;
    this.#counted.restarts += former.watchRestarts;
    this.#store = next;
    this.#onChange();
    return former.close();
  }

  origin(log: ContainerLog): Origin {
    return this.#store.origin(log);
  }

  settled(log: ContainerLog): boolean {
    return this.#store.settled(log);
  }

  get synced(): boolean {
    return this.#store.synced;
  }

  /** Nobody is to be waited for any more: the pods are known, or do not answer, or there is nobody to ask. */
  get ready(): boolean {
    return this.#store.synced || this.#store.timedOut;
  }

  get watchEvents(): number {
    return this.#counted.events + this.#store.watchEvents;
  }

  get watchRestarts(): number {
    return this.#counted.restarts + this.#store.watchRestarts;
  }

  /** Annotations of pods that say what can't be. */
  wrongAnnotations(): ReturnType<Pods["wrongAnnotations"]> {
    return this.#store.wrongAnnotations();
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #start(options: PodsOptions): Pods {
    const store = startPods(options);
    store.onChange(() => this.#onChange());
    return store;
  }
}
