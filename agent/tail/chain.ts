/**
 * Chain: all files of one container, oldest first: the rotated generations and the live file of every restart. Outputs
 * read it in this order, each file to its end, whatever the files are called by then.
 *
 *   kubelet:  0.log.20261122-101530.gz  0.log.20261122-101612  0.log  1.log        (X.tmp is never touched)
 *   docker:   ID-json.log.2.gz  ID-json.log.1  ID-json.log
 */
import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { errorCode } from "../errors.ts";
import type { ContainerLog } from "../pods/origin.ts";
import { LogFile } from "./file.ts";

// After a rename the runtime writes on to the renamed file until it has reopened; containerd's writers even a moment
// longer. A file is left only after it has been quiet for this long behind its successor.
const QUIET_MS = 1000;

/** One run of the container: a live file and its rotated siblings. */
export interface Segment {
  readonly log: ContainerLog;
  /** Real path of the live file. */
  readonly target: string;
  /** No link leads to it any more. */
  unlinked: boolean;
}

export type FileTrouble = (chain: Chain, path: string, code: string) => void;

export class Chain {
  readonly key: string;
  readonly segments: Segment[] = [];
  /** Known files, oldest first. */
  files: LogFile[] = [];
  readonly #onTrouble: FileTrouble;

  constructor(key: string, onTrouble: FileTrouble) {
    this.key = key;
    this.#onTrouble = onTrouble;
  }

  /** The newest file; undefined while nothing was found. */
  get last(): LogFile | undefined {
    return this.files.at(-1);
  }

  /** All links and all names are gone, so nothing can follow the files that are known. */
  get ended(): boolean {
    return this.segments.every((segment) => segment.unlinked);
  }

  /** Adds a run of the container, or notes that its link is (still) there. @returns the run if it is new. */
  link(log: ContainerLog, target: string): Segment | undefined {
    const known = this.segments.find((segment) => segment.target === target);
    if (known !== undefined) {
      known.unlinked = false;
      return undefined;
    }
    const segment = { log, target, unlinked: false };
    this.segments.push(segment);
    this.segments.sort((a, b) => a.log.restart - b.log.restart);
    return segment;
  }

  unlink(path: string): void {
    for (const segment of this.segments) if (segment.log.path === path) segment.unlinked = true;
  }

  /**
   * One cheap look (a stat of each live path): growth is noted, and a changed file behind the path makes the folder be
   * listed again. @returns whether anything changed for readers.
   */
  async poll(now: number): Promise<boolean> {
    let changed = false;
    for (const segment of this.segments) {
      const live = this.#live(segment);
      let moved = live === undefined;
      try {
        const stat = statSync(segment.target);
        if (live !== undefined) {
          moved = stat.ino !== live.ino || stat.dev !== live.dev || stat.size < live.size;
          if (!moved && live.resize(stat.size, now)) changed = true;
        }
      } catch (error) {
        // Between kubelet's rename and the runtime's reopen there is no live file.
        if (errorCode(error) !== "ENOENT") this.#onTrouble(this, segment.target, errorCode(error));
        else if (live !== undefined && live.path === segment.target && !live.unlinked) moved = true;
        else moved = false;
      }
      if (moved && (await this.list(segment, now))) changed = true;
    }
    for (const file of this.files) {
      if (!file.isOpen) continue;
      if (!file.final && this.#settle(file, now)) changed = true;
      if (file.fingerprint === "" && (await file.identify())) changed = true;
    }
    return changed;
  }

  /** Lists a run's folder and matches what is there with what is known. @returns whether the files changed. */
  async list(segment: Segment, now: number): Promise<boolean> {
    const present: LogFile[] = [];
    let changed = false;
    for (const { path, compressed } of this.#names(segment)) {
      const file = await this.#match(segment, path, compressed, now);
      if (file === undefined) continue;
      if (!this.files.includes(file)) changed = true;
      if (!present.includes(file)) present.push(file);
    }
    const mine = this.files.filter((file) => file.log === segment.log);
    // What has no name any more was deleted, and kubelet deletes the oldest first: it comes before all that is there.
    const gone = mine.filter((file) => !present.includes(file) && file.isOpen);
    for (const file of gone)
      if (present.some((other) => other.ino === file.ino && other.dev === file.dev)) file.supersede();
      else file.refresh(now);
    this.files = this.segments.flatMap((s) =>
      s === segment ? [...gone, ...present] : this.files.filter((file) => file.log === s.log),
    );
    return changed || gone.some((file) => !file.final);
  }

  /** Closes the files that every reader has left; they stay known while they have a name. @param keep the first needed. */
  trim(keep: LogFile): void {
    const at = this.files.indexOf(keep);
    for (let i = 0; i < at; i++) this.files[i]?.close();
  }

  /** The file after this one, once it may be read: not before this one can get no more bytes. */
  successor(file: LogFile): LogFile | undefined {
    return this.files[this.files.indexOf(file) + 1];
  }

  close(): void {
    for (const file of this.files) file.close();
    this.files = [];
  }

  #live(segment: Segment): LogFile | undefined {
    return this.files.findLast((file) => file.log === segment.log && file.path === segment.target);
  }

  /** A file that has been quiet behind its successor, or without any name, gets no more bytes. @returns a change. */
  #settle(file: LogFile, now: number): boolean {
    const behind = this.successor(file) !== undefined;
    if (!behind && !file.unlinked && !this.ended) {
      if (file.path !== "" && this.#hasName(file)) return false;
    }
    const grew = file.refresh(now);
    // The runtime reopens between two rotations: nobody writes to a file with two successors.
    const left = this.files.indexOf(file) < this.files.length - 2;
    const quiet = left || now - file.grownAt >= QUIET_MS;
    if (!grew && quiet && (behind || file.unlinked || this.ended)) {
      file.final = true;
      return true;
    }
    return grew;
  }

  #hasName(file: LogFile): boolean {
    return this.segments.some((segment) => segment.log === file.log && segment.target === file.path);
  }

  #names(segment: Segment): { path: string; compressed: boolean }[] {
    const folder = dirname(segment.target);
    const base = basename(segment.target);
    let entries: string[] = [];
    try {
      entries = readdirSync(folder);
    } catch (error) {
      if (errorCode(error) !== "ENOENT") this.#onTrouble(this, folder, errorCode(error));
    }
    const rotated: { path: string; order: string; compressed: boolean }[] = [];
    for (const name of entries) {
      if (name === base || !name.startsWith(base)) continue;
      const match = /^\.(?:(\d{8}-\d{6})|(\d+))(\.gz)?$/.exec(name.slice(base.length));
      if (match === null) continue;
      // kubelet's names sort by time; docker counts upwards from the newest.
      const order = match[1] ?? String(1e9 - Number(match[2])).padStart(10, "0");
      rotated.push({ path: join(folder, name), order, compressed: match[3] !== undefined });
    }
    // While kubelet compresses, X and X.gz may both be there; they are matched by content, the plain one first.
    rotated.sort((a, b) =>
      a.order < b.order ? -1 : a.order > b.order ? 1 : Number(a.compressed) - Number(b.compressed),
    );
    const live = entries.includes(base) ? [{ path: segment.target, compressed: false }] : [];
    return [...rotated, ...live];
  }

  /** The known file behind a name, or a newly opened one; undefined when it can't be opened. */
  async #match(segment: Segment, path: string, compressed: boolean, now: number): Promise<LogFile | undefined> {
    const mine = this.files.filter((file) => file.log === segment.log);
    try {
      const stat = statSync(path);
      // An open file can't lose its inode to another one; a closed one is only taken for what kept its name too.
      const same = mine.find(
        (file) =>
          file.ino === stat.ino &&
          file.dev === stat.dev &&
          (file.isOpen ? !(file.size > stat.size) || compressed : file.path === path),
      );
      if (same !== undefined) {
        same.path = path;
        return same;
      }
      if (compressed) {
        const plain = mine.find((file) => file.path === path.slice(0, -3));
        if (plain !== undefined) {
          if (!plain.isOpen) plain.path = path;
          return plain;
        }
      }
      const file = new LogFile(segment.log, path, compressed, now);
      await file.identify();
      // Written, renamed and compressed between two looks: the open file has yet to be asked who it is.
      for (const other of mine) {
        other.refresh(now);
        if (other.isOpen) await other.identify();
      }
      const known = file.fingerprint === "" ? undefined : mine.find((other) => other.fingerprint === file.fingerprint);
      if (known === undefined) return file;
      file.close();
      known.path = path;
      if (!compressed) known.resize(stat.size, now);
      return known;
    } catch (error) {
      const code = errorCode(error);
      if (code === "") throw error;
      if (code !== "ENOENT") this.#onTrouble(this, path, code);
      return undefined;
    }
  }
}
