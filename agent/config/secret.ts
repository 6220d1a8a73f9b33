/**
 * Secret: a password or key, given as text or as a file that is read again when it changes (mounted Secrets rotate). It
 * never shows itself: printing, logging or serialising one gives asterisks.
 */
import { readFileSync, statSync } from "node:fs";
import { inspect } from "node:util";

const LOOK_MS = 1000;
export const MASK = "***";

export class Secret {
  readonly file: string | undefined;
  #value: string;
  #seen = "";
  #lookedAt = Number.NEGATIVE_INFINITY;

  private constructor(value: string, file: string | undefined) {
    this.#value = value;
    this.file = file;
  }

  static ofText(value: string): Secret {
    return new Secret(value, undefined);
  }

  static ofFile(file: string): Secret {
    return new Secret("", file);
  }

  /** The secret as it is now. When the file can't be read any more, the last good value. */
  value(): string {
    if (this.file !== undefined && performance.now() - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = performance.now();
      try {
        this.read();
      } catch {
        // A Secret that is being swapped is missing for a moment.
      }
    }
    return this.#value;
  }

  /** Reads the file if it has changed. @throws system errors. */
  read(): void {
    if (this.file === undefined) return;
    const { mtimeMs, ino, size } = statSync(this.file);
    const seen = `${mtimeMs} ${ino} ${size}`;
    if (seen === this.#seen) return;
    this.#value = readFileSync(this.file, "utf8").replace(/\r?\n$/, "");
    this.#seen = seen;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}
