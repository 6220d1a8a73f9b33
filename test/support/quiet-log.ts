/** A log that keeps its lines for the test to look at. */
import { createLog, type Log } from "../../agent/log.ts";

export interface KeptLog {
  readonly log: Log;
  readonly lines: Record<string, unknown>[];
}

export function keepLog(): KeptLog {
  const lines: Record<string, unknown>[] = [];
  const log = createLog("debug", { write: (line: string) => lines.push(JSON.parse(line)) }, false);
  return { log, lines };
}
