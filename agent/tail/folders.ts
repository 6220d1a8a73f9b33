/**
 * Folders: the names in the folders that are looked through for logs, and what those say that are links. It remembers a
 * folder that is at rest, since to read each link anew was a quarter of what 1000 idle files cost.
 */
import { readdirSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

/** Longer than a tick of any file system's clock. */
const SETTLED_MS = 2500;

export interface Entry {
  readonly path: string;
  /** What the link says; "" for what is none or can't be read. */
  readonly text: string;
}

export class Folders {
  readonly #onTrouble: (folder: string, error: unknown) => void;
  /** As they were when last read, where they were at rest. */
  readonly #known = new Map<string, { readonly changedMs: number; readonly entries: readonly Entry[] }>();

  /** @param onTrouble told of each folder that can't be listed, each time. */
  constructor(onTrouble: (folder: string, error: unknown) => void) {
    this.#onTrouble = onTrouble;
  }

  /**
   * What is in a folder and those in it, down to `depth`. One without folders that has the time of change that it had
   * holds what it held. @param all read it anyway.
   */
  entries(folder: string, depth: number, all: boolean): readonly Entry[] {
    const changedMs = depth === 0 ? changeOf(folder) : Number.NaN;
    const known = this.#known.get(folder);
    if (!all && known !== undefined && known.changedMs === changedMs) return known.entries;
    const entries = this.#paths(folder, depth).map((path) => ({ path, text: textOf(path) }));
    // Another change within the same tick of the file system's clock would not show.
    if (Date.now() - changedMs >= SETTLED_MS) this.#known.set(folder, { changedMs, entries });
    else this.#known.delete(folder);
    return entries;
  }

  #paths(folder: string, depth: number): string[] {
    try {
      return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
        const path = join(folder, entry.name);
        if (entry.isDirectory()) return depth > 0 ? this.#paths(path, depth - 1) : [];
        return [path];
      });
    } catch (error) {
      this.#onTrouble(folder, error);
      return [];
    }
  }
}

/** Milliseconds since 1970 when a name in the folder last came, went or changed; NaN where nobody knows. */
function changeOf(folder: string): number {
  try {
    return statSync(folder).mtimeMs;
  } catch {
    // Not there yet, or unreadable: listing it tells.
    return Number.NaN;
  }
}

function textOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
