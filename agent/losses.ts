/** What was lost of the log files is told once, with file and range, and counted: for each range an error and a metric. */
import type { LostRange } from "./cursor.ts";
import type { Log } from "./log.ts";
import type { SavedPosition } from "./tail/checkpoints.ts";

const WORDS: Record<LostRange["reason"], string> = {
  deleted: "a log file was deleted before it was read, and could not be kept open for want of descriptors",
  truncated: "a log file was cut before all of it was read",
  damaged: "a compressed log file is damaged; what could be unpacked is delivered, the rest is lost",
  hold: "deleted log files that wait for this output took more than source.hold.maxBytes; the oldest is given up",
  backlog: "this output is further behind than its maxBacklog; the oldest is left out",
};

export class Losses {
  readonly #output: string;
  readonly #log: Log;
  readonly #count: (bytes: number, reason: string) => void;

  /** @param count counts a range; 0 bytes where nobody knows how many. */
  constructor(output: string, log: Log, count: (bytes: number, reason: string) => void) {
    this.#output = output;
    this.#log = log;
    this.#count = count;
  }

  /** Bytes that a cursor will never read; the cursor has counted them in its ledger. */
  report(container: string, { file, from, to, reason }: LostRange): void {
    this.#tell(container, file.path, from, to, reason, WORDS[reason]);
  }

  /** The file that was being read is gone since the last run. @param bytes of it that nobody read; Infinity: not known. */
  reportGone(container: string, { path, offset }: SavedPosition, bytes: number): void {
    const words =
      "the file that was being read was deleted while the agent was away; reading goes on with what is there";
    this.#tell(container, path, offset, offset + bytes, "deleted", words);
  }

  #tell(container: string, path: string, from: number, to: number, reason: string, words: string): void {
    const known = Number.isFinite(to);
    this.#count(known ? to - from : 0, reason);
    this.#log.error({ output: this.#output, container, path, from, to: known ? to : null, reason }, words);
  }
}
