/**
 * DeadLetter: the records that a backend refused for good, one JSON object a line with the reason.
 *
 * They are in segments, files that are only ever appended to by the one process that made them; the oldest go when all
 * together would exceed the limit. So an agent may write here while `tailrace replay` takes segments away and sends them
 * again: it takes one by renaming it, and whoever was about to append to it starts another.
 */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { errorCode } from "../agent/errors.ts";

export interface Letter {
  /** RFC 3339. */
  readonly time: string;
  /** A short name with few values, as in the counter. */
  readonly type: string;
  /** The backend's own words. */
  readonly reason: string;
  /** The request key of the record's output. */
  readonly key: string;
  /** The record as the output would have sent it. */
  readonly entry: string;
}

/** A segment, and one that is being sent again. */
const NAMES = /^\d+-\d+-\d+\.(ndjson|replay)$/;
const MAX_SEGMENTS = 8;

/** Segments of a folder as paths, oldest first. */
export function segmentsOf(folder: string): string[] {
  let names: string[] = [];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
  return names
    .filter((name) => NAMES.test(name))
    .sort()
    .map((name) => join(folder, name));
}

/** Removes the oldest segments until all together have at most so many bytes. */
export function trimSegments(folder: string, maxBytes: number): void {
  let total = 0;
  for (const path of segmentsOf(folder).reverse()) {
    total += statOf(path)?.size ?? 0;
    if (total > maxBytes) rmSync(path, { force: true });
  }
}

export class DeadLetter {
  readonly #folder: string;
  readonly #maxBytes: number;
  #segment = "";
  #made = 0;

  /** @param maxBytes of all segments together; 0: nothing is written. */
  constructor(folder: string, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** @throws system errors of writing. */
  write(letter: Letter): void {
    if (this.#maxBytes === 0) return;
    const line = Buffer.from(`${JSON.stringify(letter)}\n`);
    while (!this.#append(line)) this.#begin(line.length);
  }

  /** @returns false when there is no segment that the line could go to. */
  #append(line: Buffer): boolean {
    if (this.#segment === "") return false;
    let fd: number;
    try {
      fd = openSync(this.#segment, constants.O_WRONLY | constants.O_APPEND);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return false;
      throw error;
    }
    try {
      const { size, ino } = fstatSync(fd);
      if (size > 0 && size + line.length > this.#maxBytes / MAX_SEGMENTS) return false;
      for (let at = 0; at < line.length; ) at += writeSync(fd, line, at);
      // Taken away while we wrote: it may have been read already, so the line must stand elsewhere too.
      return statOf(this.#segment)?.ino === ino;
    } finally {
      closeSync(fd);
    }
  }

  /** A new segment, and room for it and a line. */
  #begin(bytes: number): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o750 });
    trimSegments(this.#folder, this.#maxBytes - Math.max(bytes, this.#maxBytes / MAX_SEGMENTS));
    const name = `${Date.now()}-${process.pid}-${String(this.#made++).padStart(6, "0")}.ndjson`;
    this.#segment = join(this.#folder, name);
    closeSync(openSync(this.#segment, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o640));
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
