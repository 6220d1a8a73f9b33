/**
 * DeadLetter: the records that a backend refused for good, one JSON object a line with the reason, in two files that
 * take turns: when the current one holds half of the limit it becomes the former one, and what was there before is gone.
 */
import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../agent/errors.ts";

export class DeadLetter {
  readonly #folder: string;
  readonly #file: string;
  readonly #maxBytes: number;
  #bytes = -1;

  /** @param maxBytes of both files together; 0: nothing is written. */
  constructor(folder: string, maxBytes: number) {
    this.#folder = folder;
    this.#file = join(folder, "current.ndjson");
    this.#maxBytes = maxBytes;
  }

  /**
   * @param entry the record as the output would have sent it.
   * @throws system errors of writing.
   */
  write(time: Date, type: string, reason: string, entry: string): void {
    if (this.#maxBytes === 0) return;
    const line = Buffer.from(`${JSON.stringify({ time: time.toISOString(), type, reason, entry })}\n`);
    if (this.#bytes < 0) {
      mkdirSync(this.#folder, { recursive: true, mode: 0o750 });
      this.#bytes = sizeOf(this.#file);
    }
    if (this.#bytes > 0 && this.#bytes + line.length > this.#maxBytes / 2) {
      renameSync(this.#file, join(this.#folder, "former.ndjson"));
      this.#bytes = 0;
    }
    appendFileSync(this.#file, line, { mode: 0o640 });
    this.#bytes += line.length;
  }
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return 0;
    throw error;
  }
}
