/**
 * Secret: a password or key, given as text or as a file that is read again when it changes (mounted Secrets rotate). It
 * never shows itself: printing, logging or serialising one gives asterisks.
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { inspect } from "node:util";
import { type Clock, systemClock } from "../clock.ts";

const LOOK_MS = 1000;
const MASK = "***";

export class Secret {
  readonly file: string | undefined;
  readonly #clock: Clock;
  #value: string;
  #seen = "";
  #lookedAt = Number.NEGATIVE_INFINITY;

  private constructor(value: string, file: string | undefined, clock: Clock) {
    this.#value = value;
    this.file = file;
    this.#clock = clock;
  }

  static ofText(value: string): Secret {
    return new Secret(value, undefined, systemClock);
  }

  static ofFile(file: string, clock = systemClock): Secret {
    return new Secret("", file, clock);
  }

  /** The same for two settings that mean the same secret. One read from a file stays the same when it rotates. */
  get identity(): string {
    return this.file === undefined ? createHash("sha256").update(this.#value).digest("hex") : `file ${this.file}`;
  }

  /** The secret as it is now. When the file can't be read any more, the last good value; "" when there never was one. */
  value(): string {
    if (this.file === undefined) return this.#value;
    const now = this.#clock.monotonic();
    if (now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now;
      try {
        this.read();
      } catch {
        // A Secret that is being swapped is missing or empty for a moment.
      }
    }
    return this.#value;
  }

  /** Reads the file if it has changed. @throws system errors, and when the file is empty. */
  read(): void {
    if (this.file === undefined) return;
    const { mtimeMs, ctimeMs, ino, size } = statSync(this.file);
    const seen = `${mtimeMs} ${ctimeMs} ${ino} ${size}`;
    if (seen === this.#seen) return;
    const value = readFileSync(this.file, "utf8").replace(/\r?\n$/, "");
    if (value === "") throw new Error("the file is empty");
    this.#value = value;
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
