/**
 * Queue: the requests of a lane that are not in flight, and which of them may be sent. Requests that have a sequence in
 * common leave it one after the other, in the order in which they came; the others need not wait for each other.
 */

interface Queued {
  /** Monotonic milliseconds. */
  readonly notBefore: number;
  readonly closed: { readonly sequences?: readonly string[] };
}

export class Queue<T extends Queued> {
  readonly #items: T[] = [];
  /** Sequences of the requests in flight. */
  readonly #busy = new Set<string>();
  /** None of them could be sent at any time, and nothing has changed since. */
  #blocked = false;
  /**
   * So many could be sent, as none of them waits and nothing has changed since; undefined: not known. It is asked for at
   * each read, which took 0.2 CPU-seconds per GB.
   */
  #free: number | undefined;

  get length(): number {
    return this.#items.length;
  }

  /** Whether `count` of its items could be sent now if nobody else were sending. */
  holds(count: number, now: number): boolean {
    if (this.#items.length < count) return false;
    if (this.#free !== undefined) return this.#free >= count;
    const taken = new Set(this.#busy);
    let free = 0;
    let waiting = false;
    for (const { notBefore, closed } of this.#items) {
      const { sequences = [] } = closed;
      if (notBefore > now) waiting = true;
      else if (!sequences.some((name) => taken.has(name))) free++;
      for (const name of sequences) taken.add(name);
    }
    if (!waiting) this.#free = free;
    return free >= count;
  }

  push(item: T): void {
    this.#items.push(item);
    this.#changed();
  }

  /** @param again what goes again in place of an item that was taken; before all others, in this order. */
  done({ closed: { sequences = [] } }: T, again: readonly T[]): void {
    for (const name of sequences) this.#busy.delete(name);
    this.#items.unshift(...again);
    this.#changed();
  }

  clear(): void {
    this.#items.length = 0;
    this.#changed();
  }

  /**
   * Takes the item that may be sent; of several one that has not waited yet, so that one that fails again and again is
   * not in the others' way. @returns the time from when on one may be sent, where none may now; Infinity: not by itself.
   */
  take(now: number): T | number {
    if (this.#blocked) return Number.POSITIVE_INFINITY;
    const taken = new Set(this.#busy);
    let best: T | undefined;
    let wake = Number.POSITIVE_INFINITY;
    for (const item of this.#items) {
      const { sequences = [] } = item.closed;
      const free = !sequences.some((name) => taken.has(name));
      for (const name of sequences) taken.add(name);
      if (!free) continue;
      if (item.notBefore > now) wake = Math.min(wake, item.notBefore);
      else if (best === undefined || item.notBefore < best.notBefore) best = item;
      if (best?.notBefore === 0) break;
    }
    if (best === undefined) {
      this.#blocked = wake === Number.POSITIVE_INFINITY;
      return wake;
    }
    this.#items.splice(this.#items.indexOf(best), 1);
    this.#free = undefined;
    for (const name of best.closed.sequences ?? []) this.#busy.add(name);
    return best;
  }

  #changed(): void {
    this.#blocked = false;
    this.#free = undefined;
  }
}
