/**
 * Descriptors: how many log files are open at once. A file stays open as long as there is room, because only an open file
 * survives its deletion. When there is no room, the one that was used longest ago is closed and opened again on its next
 * use; a file that has lost its name is never closed here, since nobody could open it again.
 */
import { readFileSync } from "node:fs";

/** What can be closed and opened again. */
export interface Descriptor {
  /** Whether its name leads back to it. */
  readonly named: boolean;
  release(): void;
}

/** Sockets, checkpoints, libraries and the runtime need some too. */
const RESERVED = 256;
/** More would not help: the kernel's own tables cost memory as well. */
const MOST = 65_536;

export class Descriptors {
  readonly limit: number;
  /** Least recently used first. */
  readonly #open = new Set<Descriptor>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Notes a use, just before a file is opened or read. May close another one. */
  use(file: Descriptor): void {
    if (this.#open.delete(file)) {
      this.#open.add(file);
      return;
    }
    if (this.#open.size >= this.limit)
      for (const other of this.#open) {
        if (!other.named) continue;
        this.#open.delete(other);
        other.release();
        break;
      }
    this.#open.add(file);
  }

  /** The file was closed, or could not be opened. */
  forget(file: Descriptor): void {
    this.#open.delete(file);
  }
}

/** @param limits the text of /proc/self/limits. */
export function openFilesLimit(limits: string): number {
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  const all = soft === undefined ? 1024 : Number(soft);
  return Math.min(MOST, Math.max(16, all - RESERVED));
}

/** As many as this process may have, less what else it needs. */
export function systemDescriptors(): Descriptors {
  let limits = "";
  try {
    limits = readFileSync("/proc/self/limits", "utf8");
  } catch {
    // No /proc: the smallest limit that any system has.
  }
  return new Descriptors(openFilesLimit(limits));
}
