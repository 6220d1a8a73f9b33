/**
 * Budget: how many raw bytes one output may have in flight (read, but neither accepted nor dropped). Reading takes
 * from it, settling gives back, and whoever wants more waits, also while the lane has more than it can send. This is
 * the only back-pressure there is.
 */
export class Budget {
  readonly limit: number;
  #used = 0;
  #held = 0;
  #sated = false;
  #waiting: (() => void) | undefined;

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * Whether `bytes` more fit. When all that is in flight are beginnings of messages, reading is the only thing that can
   * free any of it, so one more chunk always fits.
   */
  fits(bytes: number): boolean {
    return this.#used <= this.#held || (!this.#sated && this.#used + bytes <= this.limit);
  }

  /** Notes a change of how much of what is in flight are unfinished messages. */
  hold(change: number): void {
    this.#held += change;
  }

  /**
   * Notes that whoever takes what is read has enough to go on with. More of it would only take memory, and a line that
   * is read next would wait behind all of it.
   */
  sate(sated: boolean): void {
    this.#sated = sated;
    if (!sated) this.#free();
  }

  take(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    if (this.#used < 0) throw new Error(`budget given back twice: ${this.#used} bytes`);
    this.#free();
  }

  /** Resolves when there may be room again. One waiter only: the output's consumer. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  #free(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }
}
