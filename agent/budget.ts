/**
 * Budget: how many raw bytes one output may have in flight (read, but neither accepted nor dropped). Reading takes
 * from it, settling gives back, and whoever wants more waits. This is the only back-pressure there is.
 */
export class Budget {
  readonly limit: number;
  #used = 0;
  #held = 0;
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
    return this.#used <= this.#held || this.#used + bytes <= this.limit;
  }

  /** Notes a change of how much of what is in flight are unfinished messages. */
  hold(change: number): void {
    this.#held += change;
  }

  take(bytes: number): void {
    this.#used += bytes;
  }

  give(bytes: number): void {
    this.#used -= bytes;
    if (this.#used < 0) throw new Error(`budget given back twice: ${this.#used} bytes`);
    this.#waiting?.();
    this.#waiting = undefined;
  }

  /** Resolves when something was given back. One waiter only: the output's consumer. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}
