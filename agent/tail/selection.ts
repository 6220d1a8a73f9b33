/** Selection: which log files the configuration names, and which folders have to be looked through for them. */
import { realpathSync } from "node:fs";
import picomatch from "picomatch";

export interface SourceOptions {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly roots: readonly string[];
}

interface Folder {
  readonly base: string;
  /** Folders below `base` that can hold a match. */
  readonly depth: number;
}

export class Selection {
  readonly folders: readonly Folder[];
  readonly #roots: readonly string[];
  readonly #included: readonly ((path: string) => boolean)[];
  readonly #excluded: readonly ((path: string) => boolean)[];

  constructor({ include, exclude, roots }: SourceOptions) {
    this.folders = include.map(folderOf);
    this.#roots = roots;
    this.#included = include.map((glob) => picomatch(glob, { dot: true }));
    this.#excluded = exclude.map((glob) => picomatch(glob, { dot: true }));
  }

  names(path: string): boolean {
    return this.#included.some((matches) => matches(path)) && !this.#excluded.some((matches) => matches(path));
  }

  /** The real paths of the folders that may be read, as far as they are there. */
  roots(): string[] {
    return this.#roots.flatMap((root) => {
      try {
        return [realpathSync(root)];
      } catch {
        return [];
      }
    });
  }
}

function folderOf(glob: string): Folder {
  const { base, glob: rest } = picomatch.scan(glob);
  return { base: base === "" ? "." : base, depth: rest.includes("**") ? 8 : rest.split("/").length - 1 };
}
