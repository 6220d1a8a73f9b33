/**
 * Tailer: finds container logs and keeps their chains up to date. chokidar's events wake it early; a periodic sweep of
 * the folders is the truth, and the lookout notices growth and rotation of the live files. It reads no log content.
 */
import { type FSWatcher, watch } from "chokidar";
import { type Clock, untilBeat } from "../clock.ts";
import { errorCode, errorText } from "../errors.ts";
import type { Log } from "../log.ts";
import { Alarms } from "./alarms.ts";
import { Chain } from "./chain.ts";
import type { Descriptors } from "./descriptors.ts";
import { type Entry, Folders } from "./folders.ts";
import { Lookout } from "./lookout.ts";
import { chainKey, REFUSALS, type Refusal, resolveLog } from "./path.ts";
import { Selection, type SourceOptions } from "./selection.ts";

// Growth is seen within POLL_MS, which with the reading leaves room below the promised 300 ms. While alarms are set on all
// files the next look is the next sweep: waking up is most of what few files cost. Timers may come early by some ms.
const POLL_MS = 250;
const REST_MS = 2000;
const SWEEP_MS = REST_MS - 50;
// To follow a link to its end costs 20 us. One that reads as before leads where it led; to be sure, one in so many sweeps
// follows them all.
const FOLLOW_SWEEPS = 15;

/** What consumers hear. */
export interface TailListener {
  /** @param early it was there when the agent started. */
  onChain(chain: Chain, early: boolean): void;
  onChange(chain: Chain): void;
  /** It is followed no more: all of it was read and is gone, or the options name it no longer. */
  onGone(chain: Chain): void;
}

export type FileState = "active" | "rotated" | Refusal;

export class Tailer {
  readonly chains = new Map<string, Chain>();
  /** Monotonic milliseconds when all folders and files had last been looked at. */
  lookedAt = 0;
  #selection: Selection;
  readonly #listener: TailListener;
  readonly #descriptors: Descriptors;
  readonly #clock: Clock;
  readonly #log: Log;
  /** Paths that are not followed, with the reason; told once each. */
  readonly #refused = new Map<string, Refusal>();
  /** Files and folders of known chains that can't be read; told once each. */
  readonly #troubled = new Map<string, Chain>();
  /** What is followed, and what the link said. */
  readonly #links = new Map<string, { readonly chain: Chain; readonly text: string }>();
  readonly #folders = new Folders((base, error) => {
    this.complete = false;
    // The folder appears with the first pod.
    if (errorCode(error) !== "ENOENT") this.#refuse(base, "unreadable", errorText(error));
  });
  readonly #lookout: Lookout;
  /** Nothing can come that an alarm would not tell. */
  #resting = false;
  #sweeps = 0;
  /** What the folders held at the last sweep, if all of it was understood. */
  #swept: readonly (readonly Entry[])[] = [];
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sweptAt = Number.NEGATIVE_INFINITY;
  #early = true;
  #stopped = false;
  /** The last sweep could list all folders, so that what it did not find is not there. */
  complete = false;
  #turn: Promise<void> = Promise.resolve();
  /** A look that is asked for and has not begun. */
  #next: Promise<void> | undefined;

  constructor(options: SourceOptions, listener: TailListener, descriptors: Descriptors, clock: Clock, log: Log) {
    this.#selection = new Selection(options);
    this.#listener = listener;
    this.#descriptors = descriptors;
    this.#clock = clock;
    this.#log = log;
    const alarms = new Alarms<Chain>(() => this.#answer(), clock, log);
    this.#lookout = new Lookout(alarms, (chain) => listener.onChange(chain), clock);
  }

  /** Lists everything once, then goes on in the background until `stop`. */
  async start(): Promise<void> {
    await this.#tick(true);
    this.#early = false;
    this.#watch();
    this.#schedule();
  }

  /** Goes on with other options: what they name no longer is left at once, what is new to them is read from its beginning. */
  async reconfigure(options: SourceOptions): Promise<void> {
    await this.#watcher?.close();
    await this.inTurn(async () => {
      this.#selection = new Selection(options);
      this.#swept = [];
      this.#leave();
      this.#sweptAt = Number.NEGATIVE_INFINITY;
    });
    this.#watch();
    await this.look();
  }

  /** Does something between two looks: no chain changes under it. */
  inTurn(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(work);
    return this.#turn;
  }

  #watch(): void {
    const { folders } = this.#selection;
    this.#watcher = watch(
      folders.map(({ base }) => base),
      {
        // Links are watched, not followed: following goes blind at the first rotation and costs 27 % of a core.
        followSymlinks: false,
        ignoreInitial: true,
        atomic: false,
        awaitWriteFinish: false,
        ignorePermissionErrors: true,
        depth: Math.max(...folders.map(({ depth }) => depth)),
      },
    );
    const hint = (): void => void this.look();
    this.#watcher.on("add", hint).on("unlink", hint).on("ready", hint);
    this.#watcher.on("error", (error) => {
      this.#log.warn(
        { error: errorText(error) },
        "watching the log folders failed; new files are found by the sweep every 2 s (fs.inotify.max_user_watches may be too low)",
      );
    });
  }

  /** Sweeps and polls as soon as what is under way is done; calls meanwhile share one. Resolves when it is done. */
  look(): Promise<void> {
    this.#sweptAt = Number.NEGATIVE_INFINITY;
    if (this.#next === undefined) {
      this.#next = this.#turn.then(() => {
        this.#next = undefined;
        return this.#stopped ? undefined : this.#tick(true);
      });
      this.#turn = this.#next.then(() => this.#schedule());
    }
    return this.#next;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#watcher?.close();
    await this.#turn;
    this.#lookout.close();
    for (const chain of this.chains.values()) chain.close();
  }

  /** How many paths are in which state. */
  states(): Map<FileState, number> {
    const states = new Map<FileState, number>([
      ["active", 0],
      ["rotated", 0],
      ["dangling", 0],
      ["outside", 0],
      ["foreign", 0],
      ["unreadable", 0],
    ]);
    const count = (state: FileState): void => void states.set(state, (states.get(state) ?? 0) + 1);
    for (const { files } of this.chains.values()) for (const file of files) count(file.final ? "rotated" : "active");
    for (const state of this.#refused.values()) count(state);
    for (let left = this.#troubled.size; left > 0; left--) count("unreadable");
    return states;
  }

  /** Every reader is done with a chain whose files are all gone. */
  forget(chain: Chain): void {
    this.chains.delete(chain.key);
    this.#lookout.forget(chain);
    for (const [path, of] of this.#troubled) if (of === chain) this.#troubled.delete(path);
    this.#listener.onGone(chain);
    chain.close();
  }

  #schedule(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    const tick = (): void => {
      this.#turn = this.#turn.then(() => this.#tick(false)).then(() => this.#schedule());
    };
    this.#timer = setTimeout(tick, this.#resting ? untilBeat(this.#clock.monotonic(), REST_MS) : POLL_MS);
  }

  /** Looks at once at what the kernel told of, and goes on at the usual pace. */
  #answer(): void {
    this.#turn = this.#turn.then(async () => {
      await this.#lookout.answer((chain) => this.chains.get(chain.key) === chain);
      if (!this.#resting) return;
      this.#resting = false;
      this.#schedule();
    });
  }

  /** @param isAsked somebody wants to know, so that all is looked at. */
  async #tick(isAsked: boolean): Promise<void> {
    const now = this.#clock.monotonic();
    if (now - this.#sweptAt >= SWEEP_MS) {
      this.#sweptAt = now;
      await this.#sweep(now);
    }
    let resting = true;
    for (const chain of this.chains.values()) {
      if (this.#stopped) return;
      const isTold = this.#lookout.look(chain, now, isAsked);
      if (!(typeof isTold === "boolean" ? isTold : await isTold)) resting = false;
    }
    this.#resting = resting;
    this.lookedAt = this.#clock.monotonic();
  }

  async #sweep(now: number): Promise<void> {
    this.complete = true;
    const follow = this.#sweeps++ % FOLLOW_SWEEPS === 0;
    const found = this.#selection.folders.map(({ base, depth }) => this.#folders.entries(base, depth, follow));
    if (!follow && found.length === this.#swept.length && found.every((entries, i) => entries === this.#swept[i]))
      return;
    const roots = this.#selection.roots();
    const seen = new Set<string>();
    const linked = new Map<string, Chain>();
    for (const { path, text } of found.flat()) {
      if (seen.has(path) || !this.#selection.names(path)) continue;
      seen.add(path);
      if (follow || text === "" || this.#links.get(path)?.text !== text) this.#look(path, text, roots, linked);
    }
    // Only now: links come in no order, and nobody may begin with a container's second run before its first is known.
    for (const chain of linked.values()) await this.#announce(chain, now);
    for (const path of this.#refused.keys()) if (!seen.has(path)) this.#refused.delete(path);
    for (const [path, { chain }] of this.#links) {
      if (seen.has(path)) continue;
      chain.unlink(path);
      this.#links.delete(path);
      this.#listener.onChange(chain);
    }
    this.#swept = this.#refused.size > 0 ? [] : found;
  }

  /** Lets go of the logs that the options name no longer; none of them is gone, so none must be read to its end first. */
  #leave(): void {
    const roots = this.#selection.roots();
    const left = new Set<Chain>();
    for (const [path, { chain }] of this.#links) {
      if (this.#selection.names(path) && resolveLog(path, roots).kind !== "outside") continue;
      this.#links.delete(path);
      chain.unlink(path);
      left.add(chain);
    }
    const followed = new Set([...this.#links.values()].map(({ chain }) => chain));
    for (const chain of left) if (!followed.has(chain)) this.forget(chain);
  }

  /** @param linked gets the chains that have new runs, by key. */
  #look(path: string, text: string, roots: readonly string[], linked: Map<string, Chain>): void {
    const found = resolveLog(path, roots);
    if (found.kind !== "log") {
      // A link dangles for a moment at every rotation: what is known stays known.
      if (found.kind === "dangling" && this.#links.has(path)) return;
      this.#refuse(path, found.kind, found.detail);
      return;
    }
    this.#refused.delete(path);
    const key = chainKey(found.log);
    const chain =
      linked.get(key) ??
      this.chains.get(key) ??
      new Chain(key, this.#descriptors, (of, at, code) => this.#trouble(of, at, code));
    if (chain.link(found.log, found.target)) linked.set(key, chain);
    this.#links.set(path, { chain, text });
  }

  async #announce(chain: Chain, now: number): Promise<void> {
    // The runs before, too: what came in them since the last look is older than the new one.
    for (const segment of chain.segments) await chain.list(segment, now);
    if (this.chains.has(chain.key)) this.#listener.onChange(chain);
    else {
      this.chains.set(chain.key, chain);
      this.#listener.onChain(chain, this.#early);
    }
  }

  #refuse(path: string, why: Refusal, detail: string): void {
    if (this.#refused.get(path) === why) return;
    this.#refused.set(path, why);
    this.#log.warn({ path, why, detail }, `not followed: ${REFUSALS[why]}`);
  }

  /** A file or folder of a chain can't be read: that file's problem, told once and tried again at each look. */
  #trouble(chain: Chain, path: string, code: string): void {
    if (this.#troubled.has(path)) return;
    this.#troubled.set(path, chain);
    this.#log.warn({ path, code }, `not read: ${REFUSALS.unreadable}`);
  }
}
