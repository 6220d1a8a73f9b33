/** A lane around an output, and what it told of its work. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Receipt } from "../../agent/acks.ts";
import { systemClock } from "../../agent/clock.ts";
import { DeadLetter, type Letter, segmentsOf } from "../../outputs/dead-letter.ts";
import { Lane, type LaneOptions } from "../../outputs/lane.ts";
import type { Output } from "../../outputs/output.ts";
import { temporaryFolder } from "./program.ts";
import { keepLog } from "./quiet-log.ts";

export class Settled implements Receipt {
  shippedRows = 0;
  droppedRows = 0;
  bytes = 0;
  readonly reasons = new Set<string>();
  shipped(rows: number, bytes: number): void {
    this.shippedRows += rows;
    this.bytes += bytes;
  }
  dropped(rows: number, bytes: number, reason: string): void {
    this.droppedRows += rows;
    this.bytes += bytes;
    this.reasons.add(reason);
  }
}

export const quick: LaneOptions = {
  batch: { maxBytes: 1000, maxRecords: 10, maxWait: 1 },
  request: { timeout: 10_000, concurrency: 2 },
  retry: { initialDelay: 1, maxDelay: 2 },
};

export function makeLane(
  context: { after(done: () => unknown): void },
  output: Output,
  options: LaneOptions = quick,
  deadLetterBytes = 1 << 20,
) {
  const folder = join(temporaryFolder(context), "dead-letter");
  const { log, lines } = keepLog();
  const counts = { delivered: 0, retried: 0, putAside: 0, sated: false };
  const events = { ...counts, dropped: new Map<string, number>(), codes: [] as string[] };
  const lane = new Lane("out", output, options, new DeadLetter(folder, deadLetterBytes), systemClock, log, {
    delivered: (rows) => {
      events.delivered += rows;
    },
    dropped: (rows, type) => void events.dropped.set(type, (events.dropped.get(type) ?? 0) + rows),
    putAside: (rows) => {
      events.putAside += rows;
    },
    attempt: (code) => events.codes.push(code),
    retried: () => {
      events.retried++;
    },
    sated: (is) => {
      events.sated = is;
    },
  });
  context.after(() => lane.close());
  return { lane, folder, lines, events };
}

/** The dead letters in a folder, oldest first. */
export function letters(folder: string): Letter[] {
  return segmentsOf(folder).flatMap((path) => {
    // Behind the last line end may stand a line that is being written.
    const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Letter);
  });
}
