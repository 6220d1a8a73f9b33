/**
 * ProcessorChain: the processors of one container's log and one output, run over each batch in their order. What some of
 * them hold back is told here, for the checkpoint and the byte budget.
 *
 * A pod's own settings change the chain: the batch at hand still goes through the former one, which then gives back all
 * that it holds, so that no row overtakes another.
 */
import type { Rows } from "../batch.ts";
import type { Place } from "../place.ts";
import type { PodSettings } from "../pods/settings.ts";
import type { Holder, Processor, Step } from "./processor.ts";

/** What an output's records go through. */
export interface Steps {
  /** In order; none is none. */
  steps(settings: PodSettings | undefined): readonly Step[];
}

export class ProcessorChain {
  readonly #plan: Steps;
  #processors: readonly Processor[] | undefined;
  #holders: readonly Holder[] = [];
  /** Those that the processors were made for. */
  #settings: string | undefined;
  readonly #counts = new Map<string, number>();

  constructor(plan: Steps) {
    this.#plan = plan;
  }

  /** Whether there is a processor that may hold rows back. */
  get mayHold(): boolean {
    return this.#holders.length > 0;
  }

  /** Raw bytes of the file that stand for rows held back. */
  get pendingBytes(): number {
    let sum = 0;
    for (const { pendingBytes } of this.#holders) sum += pendingBytes;
    return sum;
  }

  get heldBytes(): number {
    let sum = 0;
    for (const { heldBytes } of this.#holders) sum += heldBytes;
    return sum;
  }

  /** Monotonic milliseconds when rows held back are due; Infinity while there are none. */
  get dueAt(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const { dueAt } of this.#holders) due = Math.min(due, dueAt);
    return due;
  }

  /** First bytes of the oldest rows held back. */
  *places(): Generator<Place> {
    for (const holder of this.#holders) yield* holder.places();
  }

  /** What processors counted since construction, by "PROCESSOR COUNTER". */
  get counts(): ReadonlyMap<string, number> {
    const sum = new Map(this.#counts);
    for (const processor of this.#processors ?? []) addCounts(sum, processor);
    return sum;
  }

  /**
   * @param now monotonic milliseconds.
   * @param releaseAt what is due by then is given back: -Infinity for nothing, Infinity for all (the log has ended).
   */
  process(rows: Rows, now: number, releaseAt: number): void {
    const settings = rows.origin.settings?.key;
    this.#processors ??= this.#build(rows.origin.settings);
    const change = settings !== this.#settings;
    const until = change ? Number.POSITIVE_INFINITY : releaseAt;
    for (const processor of this.#processors) {
      processor.process(rows, now);
      const { holder } = processor;
      if (holder !== undefined && holder.dueAt <= until) holder.release(rows, until);
    }
    if (!change) return;
    for (const processor of this.#processors) addCounts(this.#counts, processor);
    this.#processors = this.#build(rows.origin.settings);
  }

  #build(settings: PodSettings | undefined): Processor[] {
    const processors = this.#plan.steps(settings).map((step) => step.create());
    this.#holders = processors.flatMap(({ holder }) => holder ?? []);
    this.#settings = settings?.key;
    return processors;
  }
}

function addCounts(sum: Map<string, number>, { name, counts }: Processor): void {
  for (const [counter, count] of Object.entries(counts ?? {})) {
    const key = `${name} ${counter}`;
    sum.set(key, (sum.get(key) ?? 0) + count);
  }
}
