/** maxBacklog: an output that is further behind than its owner wants leaves out the oldest, which counts as lost. */
import type { Cursor } from "./cursor.ts";
import type { ScannerOptions } from "./parse/scanner.ts";
import { seekAfter } from "./seek.ts";
import type { LogFile } from "./tail/file.ts";
import { lineAfter } from "./tail/line-ends.ts";

/** Bytes of all containers together, 0 for any, or the age of a line in milliseconds. */
export type Backlog = { readonly bytes: number } | { readonly ms: number };

/**
 * Moves cursors forward as far as their output is too far behind: over whole files, and over the older lines of a plain
 * one. A compressed file is left out as a whole or not at all.
 * @param wallMs the time, for ages.
 */
export function limitBacklog(
  cursors: Iterable<Cursor>,
  backlog: Backlog,
  options: ScannerOptions,
  wallMs: number,
): void {
  if ("bytes" in backlog) {
    if (backlog.bytes > 0) limitBytes([...cursors], backlog.bytes);
  } else for (const cursor of cursors) limitAge(cursor, options, wallMs - backlog.ms);
}

function limitBytes(cursors: readonly Cursor[], bytes: number): void {
  let excess = cursors.reduce((sum, cursor) => sum + cursor.unreadBytes, 0) - bytes;
  while (excess > 0) {
    let oldest: { cursor: Cursor; file: LogFile; offset: number } | undefined;
    for (const cursor of cursors) {
      const file = cursor.chain.files.find(
        (other) => cursor.needs(other) && other.expectedBytes > cursor.offsetIn(other),
      );
      if (file !== undefined && (oldest === undefined || file.writtenAt < oldest.file.writtenAt))
        oldest = { cursor, file, offset: cursor.offsetIn(file) };
    }
    if (oldest === undefined) return;
    const { cursor, file, offset } = oldest;
    const before = cursor.unreadBytes;
    const next = cursor.chain.successor(file);
    if (file.expectedBytes - offset > excess && !file.compressed)
      cursor.skipTo(file, lineAfter(file, offset + excess), "backlog");
    else if (next !== undefined) cursor.skipTo(next, 0, "backlog");
    else cursor.skipTo(file, lineAfter(file, file.size), "backlog");
    const skipped = before - cursor.unreadBytes;
    // A file that is being read this moment, or whose last line has no end yet.
    if (skipped <= 0) return;
    excess -= skipped;
  }
}

function limitAge(cursor: Cursor, options: ScannerOptions, cutoffMs: number): void {
  const isOld = (file: LogFile): boolean => file.final && file.writtenAt < cutoffMs;
  const file = cursor.chain.files.find((other) => cursor.needs(other) && !isOld(other));
  if (file === undefined) return;
  const { lastTime: time } = cursor;
  const from = cursor.offsetIn(file);
  if (file === cursor.file && from > 0 && time[0] * 1000 >= cutoffMs) return;
  const cutoff = [Math.floor(cutoffMs / 1000), Math.floor(cutoffMs % 1000) * 1e6, 3] as const;
  const plain = !file.compressed && file.fingerprint !== "";
  cursor.skipTo(file, plain && file.size > from ? seekAfter(file, options, from, cutoff) : from, "backlog");
}
