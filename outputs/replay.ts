/**
 * Sending dead letters again, segment by segment, whether an agent writes to the folder meanwhile or not.
 *
 * A segment is taken by renaming it, so that the agent starts another. It is gone only once a file of what is left of it
 * stands in its place: what was refused again, with the new reason, and what was not answered. So a crash at any moment
 * loses nothing; what was accepted before it is sent once more by the next replay, under the same id.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import type { Clock } from "../agent/clock.ts";
import { errorCode } from "../agent/errors.ts";
import type { Log } from "../agent/log.ts";
import { type Letter, segmentsOf, trimSegments } from "./dead-letter.ts";
import { Lane, type LaneOptions } from "./lane.ts";
import type { Output } from "./output.ts";

export interface ReplayOptions extends LaneOptions {
  readonly name: string;
  readonly folder: string;
  /** Of the dead letters, all together. */
  readonly maxBytes: number;
}

export interface Replayed {
  accepted: number;
  refused: number;
  /** Neither accepted nor refused: the backend could not be reached, or we were told to stop. */
  unanswered: number;
  /** Lines that are no whole letters, as a crash of the node may leave one. */
  damaged: number;
  /** The last trouble of the backend; "" when there was none. */
  trouble: string;
}

/** The backend is given up for now after this many attempts in a row without any record settled. */
const MAX_ATTEMPTS = 5;
/** Longer than it takes to write a line. */
const WRITING_MS = 20;

/** @param restore of the output. @param stop ends it after what is in the air. @throws system errors of the folder. */
export async function replayLetters(
  output: Output,
  restore: NonNullable<Output["restore"]>,
  options: ReplayOptions,
  clock: Clock,
  log: Log,
  stop: AbortSignal,
): Promise<Replayed> {
  const result: Replayed = { accepted: 0, refused: 0, unanswered: 0, damaged: 0, trouble: "" };
  const giveUp = new AbortController();
  const over = AbortSignal.any([stop, giveUp.signal]);
  let attempts = 0;
  const refused: Letter[] = [];
  const lane = new Lane(
    options.name,
    output,
    // One at a time, so that records keep their order.
    { ...options, request: { ...options.request, concurrency: 1 } },
    { write: (letter) => void refused.push(letter) },
    clock,
    log,
    {
      delivered: () => {
        attempts = 0;
      },
      dropped: () => {
        attempts = 0;
      },
      putAside: () => {},
      attempt: () => {},
      sated: () => {},
      retried: () => {
        result.trouble = lane.lastError;
        if (++attempts >= MAX_ATTEMPTS) giveUp.abort();
      },
    },
  );
  const aborted = new Promise<void>((resolve) => over.addEventListener("abort", () => resolve(), { once: true }));

  /** Sends some letters of one key. @returns those that were not answered. */
  const send = async (letters: readonly Letter[]): Promise<Letter[]> => {
    const left = new Set(letters);
    const receipts = letters.map((letter) => ({
      shipped: () => {
        left.delete(letter);
        result.accepted++;
      },
      dropped: () => {
        left.delete(letter);
        result.refused++;
      },
    }));
    const key = letters[0]?.key ?? "";
    const entries = letters.map(({ entry }) => entry);
    for (let at = 0; at < entries.length && !over.aborted; ) {
      const request = restore.call(output, key, entries.slice(at));
      lane.resend(key, request, receipts.slice(at, at + request.rows));
      await Promise.race([lane.flush(), aborted]);
      at += request.rows;
    }
    // Closing waits for what is in the air, which may still be accepted.
    if (over.aborted) await lane.close();
    return [...left];
  };

  try {
    for (const found of segmentsOf(options.folder)) {
      if (over.aborted) break;
      const taken = take(found);
      if (taken === undefined) continue;
      // The agent may be writing a line to it just now; it will write that line once more, elsewhere.
      await new Promise((resolve) => setTimeout(resolve, WRITING_MS));
      const { letters, damaged } = read(taken);
      result.damaged += damaged.length;
      const unanswered: Letter[] = [];
      for (const batch of batches(letters, options.batch))
        unanswered.push(...(over.aborted ? batch : await send(batch)));
      result.unanswered += unanswered.length;
      const left = [...unanswered, ...refused.splice(0)].map((letter) => JSON.stringify(letter));
      putBack(taken, [...damaged, ...left]);
    }
  } finally {
    await lane.close();
  }
  trimSegments(options.folder, options.maxBytes);
  return result;
}

/** @returns undefined when the agent has just dropped it to make room. */
function take(path: string): string | undefined {
  const taken = path.replace(/\.ndjson$/, ".replay");
  try {
    renameSync(path, taken);
    return taken;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function read(path: string): { letters: Letter[]; damaged: string[] } {
  const letters: Letter[] = [];
  const damaged: string[] = [];
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (line === "") continue;
    try {
      const { time, type, reason, key, entry } = JSON.parse(line) as Letter;
      if (typeof entry !== "string" || typeof key !== "string") throw new Error("no letter");
      letters.push({ time, type, reason, key, entry });
    } catch {
      damaged.push(line);
    }
  }
  return { letters, damaged };
}

/** Letters of one key, in their order, as many as a request may hold. */
function* batches(
  letters: readonly Letter[],
  { maxBytes, maxRecords }: LaneOptions["batch"],
): Generator<readonly Letter[]> {
  let batch: Letter[] = [];
  let bytes = 0;
  for (const letter of letters) {
    const length = Buffer.byteLength(letter.entry) + 1;
    if (batch.length > 0 && (batch[0]?.key !== letter.key || batch.length >= maxRecords || bytes + length > maxBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(letter);
    bytes += length;
  }
  if (batch.length > 0) yield batch;
}

/** What is left of a segment takes its place. */
function putBack(taken: string, lines: readonly string[]): void {
  if (lines.length > 0) {
    const temporary = `${taken}.tmp`;
    rmSync(temporary, { force: true });
    const fd = openSync(temporary, "wx", 0o640);
    try {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, taken.replace(/\.replay$/, ".ndjson"));
  }
  rmSync(taken, { force: true });
}
