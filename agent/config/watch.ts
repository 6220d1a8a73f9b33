/**
 * ConfigWatch: says when the configuration file may have changed, however that happens: written in place, renamed over,
 * or kubelet swapping the `..data` link of a mounted ConfigMap. chokidar's events on the folder wake it early; a look
 * every 10 s is the truth, since events can be lost and the file may be a link to somewhere else.
 *
 * Content counts, not time stamps. One change is taken up at a time, and the last one always is.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { type FSWatcher, watch } from "chokidar";
import { errorText } from "../errors.ts";
import type { Log } from "../log.ts";

const LOOK_MS = 10_000;
/** A file must be the same for this long: whoever writes it in place may not be done. */
const STILL_MS = 100;

export class ConfigWatch {
  readonly #file: string;
  readonly #onChange: () => Promise<void>;
  readonly #log: Log;
  #seen: string;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  /** Something happened since the last look began. */
  #again = false;
  /** Somebody asked for it by name, changed or not. */
  #asked = false;
  #started = false;
  #stopped = false;

  /** @param text the file as it was loaded. @param onChange loads it and takes it up; not called again before it is done. */
  constructor(file: string, text: string, onChange: () => Promise<void>, log: Log) {
    this.#file = file;
    this.#seen = digest(text);
    this.#onChange = onChange;
    this.#log = log;
  }

  start(): void {
    this.#started = true;
    // Links are watched, not followed: followed, the second swap of `..data` and all after it go unnoticed.
    const options = { followSymlinks: false, ignoreInitial: true, depth: 0, atomic: false, awaitWriteFinish: false };
    this.#watcher = watch(dirname(this.#file), options);
    this.#watcher.on("all", () => this.#look()).on("ready", () => this.#look());
    this.#watcher.on("error", (error) =>
      this.#log.warn(
        { error: errorText(error) },
        "watching the configuration's folder failed; changes are found by a look every 10 s",
      ),
    );
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#look();
  }

  /** Takes the file up now, also when nothing of it has changed. */
  ask(): void {
    this.#asked = true;
    if (this.#started) this.#look();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#watcher?.close();
    await this.#looking;
  }

  #look(): void {
    this.#again = true;
    this.#looking ??= this.#run().finally(() => {
      this.#looking = undefined;
    });
  }

  async #run(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      const asked = this.#asked;
      let text = this.#read();
      if (text === this.#seen && !asked) continue;
      for (let before = ""; before !== text && !this.#stopped; text = this.#read()) {
        before = text;
        await new Promise((resolve) => setTimeout(resolve, STILL_MS));
      }
      if (this.#stopped || (text === this.#seen && !asked)) continue;
      this.#asked = false;
      this.#seen = text;
      await this.#onChange();
      // What came while it was being taken up may be told by no further event.
      this.#again = true;
    }
  }

  #read(): string {
    try {
      return digest(readFileSync(this.#file, "utf8"));
    } catch (error) {
      return `can't be read: ${errorText(error)}`;
    }
  }
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
