/**
 * Lookout: when which log is looked at. Those that are written to, each time; of silent ones an alarm tells, and they are
 * looked at now and then all the same, since alarms may get lost. Where none can be had they are looked at each time too.
 */
import type { Clock } from "../clock.ts";
import type { Alarms } from "./alarms.ts";
import type { Chain } from "./chain.ts";
import type { LogFile } from "./file.ts";

export class Lookout {
  readonly #alarms: Alarms<Chain>;
  readonly #clock: Clock;
  readonly #onChange: (chain: Chain) => void;

  /** @param alarms its own from now on. @param onChange called when anything changed for readers. */
  constructor(alarms: Alarms<Chain>, onChange: (chain: Chain) => void, clock: Clock) {
    this.#alarms = alarms;
    this.#onChange = onChange;
    this.#clock = clock;
  }

  /**
   * @param isAsked looks also at what an alarm is set on.
   * @returns whether an alarm tells what comes next of the chain; a promise only where there is more to do, since for most
   * of a thousand silent logs there is not.
   */
  look(chain: Chain, now: number, isAsked: boolean): boolean | Promise<boolean> {
    const file = chain.silent(now);
    if (file !== undefined && this.#alarms.isSet(chain)) {
      const isCalm = chain.isFresh(now) ? !isAsked || file.isAsTold() : chain.isAsKnown(now);
      if (isCalm) return true;
    }
    return this.#lookClosely(chain, file, now, isAsked);
  }

  /** @param file the chain's silent one. */
  async #lookClosely(chain: Chain, file: LogFile | undefined, now: number, isAsked: boolean): Promise<boolean> {
    if (file === undefined) {
      // Asked by a word of the kernel there may be more of them behind it.
      if (!isAsked) this.#alarms.question(chain);
      await this.#poll(chain);
      return false;
    }
    const isSet = this.#alarms.isSet(chain);
    if (isSet || !chain.isFresh(now) || !file.isAsTold()) {
      await this.#poll(chain);
      return isSet && chain.silent(now) !== undefined;
    }
    if (!this.#alarms.set(chain, file)) return false;
    // What came before it was set does not ring, and the name may lead to another file by now.
    if (!(await this.#poll(chain))) return true;
    this.#alarms.clear(chain);
    return false;
  }

  /** Looks at all chains whose alarms have rung. @param isFollowed those that are not are left alone. */
  async answer(isFollowed: (chain: Chain) => boolean): Promise<void> {
    for (const chain of this.#alarms.rung()) if (isFollowed(chain)) await this.#poll(chain);
  }

  /** It is followed no more. */
  forget(chain: Chain): void {
    this.#alarms.clear(chain);
  }

  close(): void {
    this.#alarms.close();
  }

  /** @returns whether anything changed for readers. */
  async #poll(chain: Chain): Promise<boolean> {
    const changed = await chain.poll(this.#clock.monotonic());
    if (changed) this.#onChange(chain);
    return changed;
  }
}
