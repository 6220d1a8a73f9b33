/**
 * Chain: all files of one container, oldest first: the rotated generations and the live file of every restart. Outputs
 * read it in this order, each file to its end, whatever the files are called by then. More than 300 lines, since contents
 * and order are matched against one list of files.
 *
 *   kubelet:  0.log.20261122-101530.gz  0.log.20261122-101612  0.log  1.log        (X.tmp is never touched)
 *   docker:   ID-json.log.2.gz  ID-json.log.1  ID-json.log
 */
import { type Stats, statSync } from "node:fs";
import { errorCode } from "../errors.ts";
import type { ContainerLog } from "../pods/origin.ts";
import type { Descriptors } from "./descriptors.ts";
import { LogFile } from "./file.ts";
import { generationsOf, type Name } from "./names.ts";

// After a rename the runtime writes on to the renamed file until it has reopened; containerd's writers even a moment
// longer. A file is left only after it has been quiet for this long behind its successor.
const QUIET_MS = 1000;
/** A folder whose names change faster than this many looks is taken as it was seen last. */
const MOST_LOOKS = 5;
// Kubelet and docker rotate a file because it grew. One that has not for a while is asked by its descriptor alone, which
// costs half of a look by name, or not even that where an alarm is set on it; by name too once in LOOK_MS, in case somebody
// else moved it. A bit less than the time between two sweeps.
const SILENT_MS = 5000;
const LOOK_MS = 1900;

/** kubelet keeps 5 files of a container unless told otherwise. */
const MAX_READ = 64;

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
  /** Known files in the order in which they are read: as they were found, and those found together oldest first. */
  files: LogFile[] = [];
  readonly #descriptors: Descriptors;
  readonly #onTrouble: FileTrouble;
  /** Fingerprints of files that every output has read and that had no name when last looked for. */
  readonly #read: string[] = [];
  /** The only file of which more can be expected, as the last look by name found. */
  #calm: LogFile | undefined;
  #lookedAt = 0;

  constructor(key: string, descriptors: Descriptors, onTrouble: FileTrouble) {
    this.key = key;
    this.#descriptors = descriptors;
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

  /** Adds a run of the container, or notes that its link is (still) there. @returns whether it is new. */
  link(log: ContainerLog, target: string): boolean {
    const known = this.segments.find((segment) => segment.target === target);
    if (known !== undefined) {
      known.unlinked = false;
      return false;
    }
    this.#calm = undefined;
    this.segments.push({ log, target, unlinked: false });
    this.segments.sort((a, b) => a.log.restart - b.log.restart);
    return true;
  }

  unlink(path: string): void {
    this.#calm = undefined;
    for (const segment of this.segments) if (segment.log.path === path) segment.unlinked = true;
  }

  /** The only file of which more can be expected, when it has not grown for a while and nothing is open about it. */
  silent(now: number): LogFile | undefined {
    const file = this.#calm;
    return file === undefined || file.doubted || now - file.grownAt < SILENT_MS ? undefined : file;
  }

  /** Whether a silent file was looked at by its name lately, so that asking its descriptor (1 us) will do. */
  isFresh(now: number): boolean {
    return now - this.#lookedAt < LOOK_MS;
  }

  /**
   * Looks by name whether a silent chain is as the last look left it. Nearly always it is, and then this takes a third of
   * what `poll` takes, and makes a third of its garbage. @returns false also when it can't tell.
   */
  isAsKnown(now: number): boolean {
    if (this.#calm === undefined || this.#calm.unlinked) return false;
    for (const file of this.files)
      if (file.doubted || (file.fingerprint === "" && !file.left && file.gone === "")) return false;
    try {
      for (const segment of this.segments) {
        const live = this.#live(segment);
        const { ino, dev, size } = statSync(segment.target);
        if (live?.ino !== ino || live.dev !== dev || live.size !== size || live.told !== size) return false;
      }
    } catch {
      // Whatever it is, `poll` finds it too.
      return false;
    }
    this.#lookedAt = now;
    return true;
  }

  /**
   * One cheap look (a stat of each live path): growth is noted, and a changed file behind the path makes the folder be
   * listed again. @returns whether anything changed for readers.
   */
  async poll(now: number): Promise<boolean> {
    let changed = false;
    const doubted = this.files.some((file) => file.doubted);
    for (const segment of this.segments) {
      const live = this.#live(segment);
      let moved = live === undefined;
      try {
        const stat = statSync(segment.target);
        if (live !== undefined) {
          moved = stat.ino !== live.ino || stat.dev !== live.dev || stat.size < live.size;
          // Some reader may have seen it grow, but the others have not.
          if (!moved && (live.resize(stat.size, now) || live.size !== live.told)) changed = true;
          live.told = live.size;
        }
      } catch (error) {
        // Between kubelet's rename and the runtime's reopen there is no live file.
        if (errorCode(error) !== "ENOENT") this.#onTrouble(this, segment.target, errorCode(error));
        moved = errorCode(error) === "ENOENT" && live !== undefined && !live.unlinked;
      }
      if (!moved && !doubted) continue;
      await this.list(segment, now);
      changed = true;
    }
    for (const file of this.files) {
      if (file.left || file.gone !== "") continue;
      if (!file.final && this.#settle(file, now)) changed = true;
      if (file.fingerprint === "" && (await this.#identify(file))) changed = true;
    }
    this.#lookedAt = now;
    this.#calm = changed ? undefined : this.#only();
    return changed;
  }

  /** The live file of the newest run, when nothing is open about the others. */
  #only(): LogFile | undefined {
    const segment = this.segments.at(-1);
    const { last } = this;
    if (segment === undefined || segment.unlinked || last === undefined) return undefined;
    if (last !== this.#live(segment) || last.fingerprint === "") return undefined;
    return this.files.every((file) => file === last || file.left || file.final || file.gone !== "") ? last : undefined;
  }

  /** Lists a run's folder and matches what is there with what is known. */
  async list(segment: Segment, now: number): Promise<void> {
    let cut = this.files.find((file) => file.log === segment.log && file.doubted && file.gone === "");
    const present = await this.#present(segment, now);
    const isMissing = (file: LogFile): boolean =>
      file.log === segment.log && !file.left && file.gone === "" && !present.has(file);
    // A name that changed while the folder was read is found by a second look.
    if (this.files.some((file) => isMissing(file) && !file.isOpen))
      for (const file of await this.#present(segment, now)) present.add(file);
    for (const file of this.files) {
      if (!isMissing(file)) continue;
      const { dev, ino } = file;
      if (file.doubted || [...present].some((other) => other.ino === ino && other.dev === dev)) {
        file.lose("truncated");
        cut ??= file;
      } else if (file.isOpen) file.refresh(now);
      else file.lose("deleted");
    }
    // What nobody needs and nobody can see any more is forgotten, but not that it was read: kubelet may just be
    // putting a compressed file in its place.
    this.files = this.files.filter((file) => {
      if (file.log !== segment.log || !file.left || present.has(file)) return true;
      this.#read.unshift(file.fingerprint);
      this.#read.length = Math.min(this.#read.length, MAX_READ);
      return false;
    });
    this.#insert([...present], cut);
  }

  /**
   * New files are younger than all known ones. But what was written to a file after somebody had cut it comes to light
   * late: by name or by run, known ones may be younger. It goes before those as long as nobody reads them, since readers
   * do not turn back. @param present in the order of their names.
   */
  #insert(present: readonly LogFile[], cut: LogFile | undefined): void {
    const { files } = this;
    for (const [at, file] of present.entries()) {
      if (files.includes(file)) continue;
      const isYounger = (other: LogFile): boolean =>
        other.log.restart > file.log.restart ||
        (cut !== undefined && files.indexOf(other) > files.indexOf(cut) && present.indexOf(other) > at);
      const younger = files.findIndex(isYounger);
      const isLate = younger >= 0 && files.slice(younger).some(({ entered }) => entered);
      // An empty one would only come between the parts of others' messages.
      if (isLate && file.size === 0) file.release();
      else files.splice(younger < 0 || isLate ? files.length : younger, 0, file);
    }
  }

  /** Puts files behind another one: they are younger, whatever their names say. */
  putBehind(file: LogFile, younger: readonly LogFile[]): void {
    this.files = this.files.filter((other) => !younger.includes(other));
    this.files.splice(this.files.indexOf(file) + 1, 0, ...younger);
  }

  /** Closes the files that every reader has left; they stay known while they have a name. @param keep the first needed. */
  trim(keep: LogFile): void {
    if (!this.files.includes(keep)) return;
    for (const file of this.files) {
      if (file === keep) return;
      file.left = true;
      file.release();
    }
  }

  /** Makes what every reader has left readable again where it still has a name, for one who begins with the first file. */
  async revive(now: number): Promise<void> {
    if (!this.files.some(({ left }) => left)) return;
    // They may have been renamed and compressed since anybody cared.
    for (const segment of this.segments) await this.list(segment, now);
    for (const file of this.files) {
      if (!file.left || file.gone !== "") continue;
      try {
        file.become(file.path, file.path.endsWith(".gz"));
        file.left = !(await file.isItself());
      } catch (error) {
        if (errorCode(error) === "") throw error;
      }
      if (file.left) file.release();
    }
    this.files = this.files.filter(({ left }) => !left);
  }

  /** The file after this one; it may be read once this one can get no more bytes. */
  successor(file: LogFile): LogFile | undefined {
    return this.files[this.files.indexOf(file) + 1];
  }

  /** Whether the file that a reader is at, or will begin with, is a compressed one. */
  isPacked(current: LogFile | undefined): boolean {
    return (current ?? this.files[0])?.compressed === true;
  }

  close(): void {
    for (const file of this.files) file.release();
    this.files = [];
  }

  #live(segment: Segment): LogFile | undefined {
    for (let i = this.files.length - 1; i >= 0; i--) {
      const file = this.files[i] as LogFile;
      if (file.log === segment.log && file.path === segment.target && file.gone === "") return file;
    }
    return undefined;
  }

  /** A file that has been quiet behind its successor, or without any name, gets no more bytes. @returns a change. */
  #settle(file: LogFile, now: number): boolean {
    // Four times a second for each busy file: closures and slices were most of what a look leaves to the collector.
    let younger = 0;
    let behind = false;
    for (let i = this.files.indexOf(file) + 1; i < this.files.length; i++) {
      const { log } = this.files[i] as LogFile;
      if (log === file.log) younger++;
      behind ||= log === file.log || log.restart > file.log.restart;
    }
    if (!behind && !file.unlinked && !this.ended && this.#isLive(file)) return false;
    const grew = file.refresh(now);
    // The runtime reopens between two rotations: nobody writes to a file with two successors.
    const quiet = younger > 1 || now - file.grownAt >= QUIET_MS;
    if (!grew && quiet && (behind || file.unlinked || this.ended)) {
      file.final = true;
      return true;
    }
    return grew;
  }

  #isLive(file: LogFile): boolean {
    return this.segments.some((segment) => segment.log === file.log && segment.target === file.path);
  }

  /**
   * The files behind a run's names, in their order. Rotation and compression may change names while they are looked at;
   * a file missed by that would be taken for a younger one later, so it is done again until the names stand still.
   */
  async #present(segment: Segment, now: number): Promise<Set<LogFile>> {
    for (let looks = 1; ; looks++) {
      const present = new Set<LogFile>();
      const names = this.#names(segment);
      for (const { path, compressed } of names) {
        try {
          present.add(await this.#match(segment, path, compressed, now));
        } catch (error) {
          const code = errorCode(error);
          if (code === "") throw error;
          if (code !== "ENOENT" && code !== "ESTALE") this.#onTrouble(this, path, code);
        }
      }
      const again = this.#names(segment);
      const still = names.length === again.length && names.every(({ path }, i) => path === again[i]?.path);
      if (still || looks === MOST_LOOKS) return present;
      for (const file of present) if (!this.files.includes(file)) file.release();
    }
  }

  #names({ target }: Segment): Name[] {
    return generationsOf(target, (folder, code) => this.#onTrouble(this, folder, code));
  }

  /** The known file behind a name, or a newly opened one. @throws system errors when it can't be opened. */
  async #match(segment: Segment, path: string, compressed: boolean, now: number): Promise<LogFile> {
    const mine = this.files.filter((file) => file.log === segment.log);
    const stat = statSync(path);
    // An open file can't lose its inode to another one; a closed one has to show who it is.
    const same = mine.find(
      (file) =>
        file.isOpen &&
        file.ino === stat.ino &&
        file.dev === stat.dev &&
        !file.doubted &&
        (file.compressed || file.size <= stat.size),
    );
    if (same !== undefined) {
      same.path = path;
      same.unlinked = false;
      return same;
    }
    const file = new LogFile(segment.log, path, compressed, now, this.#descriptors);
    await file.identify();
    // Written, renamed and compressed between two looks: the open file has yet to be asked who it is.
    for (const other of mine) {
      other.refresh(now);
      if (!other.left) await this.#identify(other);
    }
    const known = file.fingerprint === "" ? undefined : mine.find((other) => other.fingerprint === file.fingerprint);
    if (known === undefined) {
      file.left = file.fingerprint !== "" && this.#read.includes(file.fingerprint);
      if (file.left) file.release();
      return file;
    }
    file.release();
    // Unpacking takes its time, in which the file may have grown.
    this.#rename(known, path, compressed, statSync(path), now);
    return known;
  }

  /** A known content was found under another name, maybe as a copy of the file that was open. */
  #rename(known: LogFile, path: string, compressed: boolean, stat: Stats, now: number): void {
    const { doubted } = known;
    known.doubted = false;
    if (known.left || known.gone !== "" || (stat.ino === known.ino && stat.dev === known.dev)) {
      known.path = path;
      if (!compressed && !known.left && known.gone === "") known.resize(stat.size, now);
    } else if (known.isOpen ? doubted : !known.isThere) known.become(path, compressed);
    else if (compressed) known.packed = path;
  }

  /** @returns whether it has just become known. */
  async #identify(file: LogFile): Promise<boolean> {
    try {
      return file.fingerprint === "" && (await file.identify());
    } catch (error) {
      if (errorCode(error) === "") throw error;
      return false;
    }
  }
}
