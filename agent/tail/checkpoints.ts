/**
 * Checkpoints: for every output and container the position up to which all bytes are delivered or dropped by a rule.
 *
 * One JSON file that a person can read. Each save writes a new file, syncs it, keeps the former one as `.bak`, renames
 * and syncs the folder: at any instruction a whole and valid file is there, and it never runs ahead of acceptance.
 */
import { constants, existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { LineTime } from "../acks.ts";
import { errorCode, errorText, FatalError } from "../errors.ts";
import type { Log } from "../log.ts";

/** Where reading goes on after a restart. */
export interface SavedPosition {
  readonly restart: number;
  /** Of the file's first line; "" when nothing of the file was ready to be read. */
  readonly fingerprint: string;
  /** In the uncompressed file. */
  readonly offset: number;
  /** Of the last good line before the offset. */
  readonly time: LineTime;
  /** So far one of the streams is settled, which is farther. */
  readonly ahead?: SavedAhead;
  /** A hash of the bytes before the offset, to notice that they are others now; "" where it is not known. */
  readonly marker: string;
  /** Bytes that the file held; 0 where it is not known. What is gone without being read is counted with it. */
  readonly size: number;
  /** Fingerprints of the older files that were there and have been read, so that none is taken for unread, or for read. */
  readonly done: readonly string[];
  /** The file's name when last seen; for people, never for finding it again. */
  readonly path: string;
}

export interface SavedAhead {
  readonly stderr: boolean;
  readonly restart: number;
  readonly fingerprint: string;
  readonly offset: number;
}

const VERSION = 1;
type Saved = Record<string, Record<string, SavedPosition>>;

export class Checkpoints {
  readonly #folder: string;
  readonly #log: Log;
  readonly #outputs: Map<string, Map<string, SavedPosition>>;
  /** As in the file. */
  #durable: ReadonlyMap<string, ReadonlyMap<string, SavedPosition>> = new Map();
  readonly #listeners = new Set<() => void>();
  #dirty = false;
  /** Milliseconds after which changes are saved by themselves; undefined: only when asked. */
  #delayMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  /** Saves that reached the disk, and those that failed. */
  writes = 0;
  failures = 0;

  /** What was known is lost, so no output counts as new: all is read from the beginning, never from the end. */
  readonly #lost: boolean;

  private constructor(folder: string, log: Log, saved: Saved | undefined) {
    this.#folder = folder;
    this.#log = log;
    this.#lost = saved === undefined;
    this.#outputs = new Map(
      Object.entries(saved ?? {}).map(([name, chains]) => [name, new Map(Object.entries(chains))]),
    );
  }

  /** @throws FatalError when the folder can't be made or written. A damaged file is survived with its fallback. */
  static async open(folder: string, log: Log): Promise<Checkpoints> {
    try {
      makeFolder(folder);
    } catch (error) {
      throw notWritable(folder, error);
    }
    const checkpoints = new Checkpoints(folder, log, load(folder, log));
    try {
      await checkpoints.#write();
    } catch (error) {
      throw notWritable(folder, error);
    }
    return checkpoints;
  }

  /** Whether this output has ever run here. */
  has(output: string): boolean {
    return this.#lost || this.#outputs.has(output);
  }

  /** Notes that an output runs here from now on. */
  add(output: string): void {
    if (this.#outputs.has(output)) return;
    this.#outputs.set(output, new Map());
    this.#changed();
  }

  get(output: string, chain: string): SavedPosition | undefined {
    return this.#outputs.get(output)?.get(chain);
  }

  /** All places of an output, by container. A copy. */
  entries(output: string): [string, SavedPosition][] {
    return [...(this.#outputs.get(output) ?? [])];
  }

  /** Calls back after each attempt to save. @returns what ends that. */
  onSaved(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What a crash would leave; "unknown" while saving fails. */
  durable(output: string, chain: string): SavedPosition | "unknown" | undefined {
    return this.failures > 0 ? "unknown" : this.#durable.get(output)?.get(chain);
  }

  set(output: string, chain: string, position: SavedPosition): void {
    this.#outputs.get(output)?.set(chain, position);
    this.#changed();
  }

  delete(output: string, chain: string): void {
    if (this.#outputs.get(output)?.delete(chain)) this.#changed();
  }

  /** From now on, until `stop`, changes are saved so many milliseconds later: an idle agent does not wake up for none. */
  start(delayMs: number): void {
    this.#delayMs = delayMs;
    if (this.#dirty) this.#changed();
  }

  stop(): void {
    this.#delayMs = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Writes what has changed since the last save. Never throws: a full disk is tried again at the next call. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      if (!this.#dirty) return;
      try {
        await this.#write();
      } catch (error) {
        this.#changed();
        if (this.failures++ === 0)
          this.#log.error(
            { folder: this.#folder, error: errorText(error) },
            "can't write the checkpoints; delivery goes on, and after a crash the records since the last good write come again",
          );
      }
      for (const listener of this.#listeners) listener();
    });
    return this.#saving;
  }

  #changed(): void {
    this.#dirty = true;
    if (this.#delayMs === undefined || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.save();
    }, this.#delayMs);
  }

  async #write(): Promise<void> {
    this.#dirty = false;
    const outputs: Saved = {};
    for (const [name, chains] of this.#outputs) outputs[name] = Object.fromEntries(chains);
    const written = new Map([...this.#outputs].map(([name, chains]) => [name, new Map(chains)]));
    const text = `${JSON.stringify({ version: VERSION, outputs }, undefined, 1)}\n`;
    const file = join(this.#folder, "checkpoints.json");
    const temporary = `${file}.tmp`;
    const handle = await open(temporary, "w", 0o640);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    keepFormer(file);
    await rename(temporary, file);
    const folder = await open(this.#folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
    this.writes++;
    this.#durable = written;
    if (this.failures > 0) this.#log.info({ folder: this.#folder }, "checkpoints are written again");
    this.failures = 0;
  }
}

/** Not mkdir's own `recursive`: where a parent refuses new entries with ENOENT, as /proc does, that never returns. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder, { mode: 0o750 });
}

function keepFormer(file: string): void {
  rmSync(`${file}.bak`, { force: true });
  try {
    linkSync(file, `${file}.bak`);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

function notWritable(folder: string, error: unknown): FatalError {
  return new FatalError(
    `can't write to dataDir ${folder} (${errorText(error)}): mount a writable folder that outlives the pod there, or set dataDir to one`,
  );
}

/** @returns undefined when there were checkpoints and none of them is whole. */
function load(folder: string, log: Log): Saved | undefined {
  let damaged = false;
  for (const name of ["checkpoints.json", "checkpoints.json.bak"]) {
    const file = join(folder, name);
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      if (errorCode(error) === "ENOENT") continue;
      throw new FatalError(`can't read ${file} (${errorText(error)}): give the agent the right to read its dataDir`);
    }
    try {
      return parse(text);
    } catch (error) {
      damaged = true;
      renameSync(file, `${file}.damaged`);
      log.error(
        { file: `${file}.damaged`, error: errorText(error) },
        "a checkpoint file is damaged and was put aside; its fallback is used, so some records come again under the same ids",
      );
    }
  }
  if (damaged)
    log.error({ folder }, "no checkpoint file is whole: all logs are read from their beginning, so records come again");
  return damaged ? undefined : {};
}

/** @throws Error when the text is not a checkpoint file of this version. */
function parse(text: string): Saved {
  const value = JSON.parse(text) as { version?: unknown; outputs?: unknown } | null;
  if (value?.version !== VERSION) throw new Error(`version ${String(value?.version)} instead of ${VERSION}`);
  if (typeof value.outputs !== "object" || value.outputs === null) throw new Error("no outputs");
  for (const chains of Object.values(value.outputs as Saved))
    for (const { restart, fingerprint, offset, time, path } of Object.values(chains))
      if (
        !isCount(restart) ||
        !isCount(offset) ||
        typeof fingerprint !== "string" ||
        typeof path !== "string" ||
        !Array.isArray(time) ||
        time.length !== 3 ||
        !time.every(Number.isSafeInteger)
      )
        throw new Error("a position is incomplete");
  return value.outputs as Saved;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
