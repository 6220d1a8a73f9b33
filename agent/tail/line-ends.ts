/** Where lines begin and end in a plain log file, for those who begin reading in its middle. */
import type { LogFile } from "./file.ts";

const NEWLINE = 0x0a;

/** The head of the first line that begins at `offset` or later in a plain file; its end when there is none yet. */
export function lineAfter(file: LogFile, offset: number): number {
  const chunk = Buffer.allocUnsafe(64 * 1024);
  for (let from = Math.max(0, offset - 1); from < file.size; from += chunk.length) {
    const got = file.read(chunk, 0, Math.min(chunk.length, file.size - from), from);
    const at = chunk.subarray(0, got).indexOf(NEWLINE);
    if (at >= 0) return from + at + 1;
  }
  return endOfLines(file);
}

/** Where a file's last complete line ends: the place to begin when nothing of the past is wanted. */
export function endOfLines(file: LogFile, size = file.size): number {
  const chunk = Buffer.allocUnsafe(64 * 1024);
  for (let end = file.compressed ? 0 : size; end > 0; end -= chunk.length) {
    const from = Math.max(0, end - chunk.length);
    const got = file.read(chunk, 0, end - from, from);
    const at = chunk.subarray(0, got).lastIndexOf(NEWLINE);
    if (at >= 0) return from + at + 1;
  }
  return 0;
}
