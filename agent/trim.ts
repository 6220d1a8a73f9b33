/**
 * Gives memory back that only a busy time took, of which starting is one, as soon as there is time for it. V8 would do so
 * itself if next to nothing were allocated; to look at a hundred silent files now and then is more than that.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** For how long the agent must have had little to do, the first time and from then on. */
const FIRST_MS = 2000;
const NEXT_MS = 60_000;
/** Little: this share of a core. */
const CALM = 0.05;
/** Bytes; fewer are not worth 20 ms of CPU. The first time it is 6 MB and takes 60 ms. */
const WORTHWHILE = 2 << 20;

export interface Memory {
  /** CPU time of the process so far, milliseconds. */
  cpuMs(): number;
  /** Bytes of the heap in use. */
  used(): number;
  /** @param all also the code of what has not run lately, to be compiled again should it be asked for. */
  collect(all: boolean): void;
}

const own: Memory = {
  cpuMs() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  used: () => getHeapStatistics().used_heap_size,
  collect(all) {
    // Only contexts that are made from now on have it.
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as (options: object) => void;
    collect({ type: "major", flavor: all ? "last-resort" : "regular" });
  },
};

export class Trim {
  readonly #memory: Memory;
  #timer: NodeJS.Timeout | undefined;
  #cpuMs = 0;
  /** Bytes in use after the last time; 0 before. */
  #kept = 0;

  constructor(memory: Memory = own) {
    this.#memory = memory;
  }

  start(): void {
    this.#wait(FIRST_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #wait(ms: number): void {
    this.#cpuMs = this.#memory.cpuMs();
    this.#timer = setTimeout(() => this.#look(ms), ms).unref();
  }

  #look(ms: number): void {
    const isCalm = this.#memory.cpuMs() - this.#cpuMs < ms * CALM;
    if (isCalm && this.#memory.used() - this.#kept > WORTHWHILE) {
      // What only starting takes is not asked for again.
      this.#memory.collect(this.#kept === 0);
      this.#kept = this.#memory.used();
    }
    this.#wait(this.#kept === 0 ? FIRST_MS : NEXT_MS);
  }
}
