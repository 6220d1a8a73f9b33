/**
 * Alarms: the kernel's word that a silent log file changes, so that it need not be asked four times a second, which was
 * half of what 1000 idle files cost. An alarm rings once and is gone: a busy file is looked at anyway, and would ring for
 * each of its lines. A word may get lost, and some file systems give none; whoever sets alarms looks now and then all the
 * same, and an alarm that is found not to have rung takes the trust away from all of them for a while.
 */
import { type FSWatcher, watch } from "node:fs";
import type { Clock } from "../clock.ts";
import { errorText } from "../errors.ts";
import type { Log } from "../log.ts";

/** After a failure. */
const DISTRUST_MS = 600_000;

/** What an alarm is set on. */
interface Guarded {
  readonly path: string;
  readonly size: number;
}

interface Alarm {
  readonly watcher: FSWatcher;
  readonly file: Guarded;
  /** The file's when it was set. */
  readonly size: number;
  /** The file was found to have grown. */
  late: boolean;
}

export type Watch = (path: string, options: { persistent: false }, listener: () => void) => FSWatcher;

export class Alarms<Owner> {
  readonly #alarms = new Map<Owner, Alarm>();
  /** Whose alarm has rung, for whoever asks next. */
  readonly #rung = new Set<Owner>();
  readonly #onRing: () => void;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #watch: Watch;
  #trustedFrom = Number.NEGATIVE_INFINITY;

  /** @param onRing called out of the event loop when one has rung and none had before that is not asked for yet. */
  constructor(onRing: () => void, clock: Clock, log: Log, watchFile: Watch = watch) {
    this.#onRing = onRing;
    this.#clock = clock;
    this.#log = log;
    this.#watch = watchFile;
  }

  isSet(owner: Owner): boolean {
    return this.#alarms.has(owner);
  }

  /** To be followed by a look: what was written before does not ring. @returns false where none can be had. */
  set(owner: Owner, file: Guarded): boolean {
    if (this.#clock.monotonic() < this.#trustedFrom) return false;
    this.clear(owner);
    try {
      const watcher = this.#watch(file.path, { persistent: false }, () => this.#ring(owner, watcher));
      watcher.on("error", () => this.#ring(owner, watcher));
      this.#alarms.set(owner, { watcher, file, size: file.size, late: false });
    } catch (error) {
      // Renamed this moment, or fs.inotify.max_user_watches is too low.
      this.#distrust(file.path, errorText(error));
      return false;
    }
    return true;
  }

  clear(owner: Owner): void {
    this.#alarms.get(owner)?.watcher.close();
    this.#alarms.delete(owner);
  }

  /** The owner is busy though its alarm has not rung. One that is already under way has until the next call. */
  question(owner: Owner): void {
    const alarm = this.#alarms.get(owner);
    if (alarm === undefined) return;
    if (alarm.file.size > alarm.size && !alarm.late) alarm.late = true;
    else {
      this.clear(owner);
      if (alarm.late) this.#distrust(alarm.file.path, "it has grown, and the kernel has told nothing");
    }
  }

  /** Whose alarms have rung since the last call. */
  rung(): Owner[] {
    const rung = [...this.#rung];
    this.#rung.clear();
    return rung;
  }

  close(): void {
    for (const { watcher } of this.#alarms.values()) watcher.close();
    this.#alarms.clear();
  }

  #ring(owner: Owner, watcher: FSWatcher): void {
    if (this.#alarms.get(owner)?.watcher !== watcher) return;
    this.clear(owner);
    this.#rung.add(owner);
    if (this.#rung.size === 1) this.#onRing();
  }

  #distrust(path: string, why: string): void {
    this.close();
    this.#trustedFrom = this.#clock.monotonic() + DISTRUST_MS;
    this.#log.debug({ path, why }, "no alarm on silent log files for 10 min: all are looked at four times a second");
  }
}
