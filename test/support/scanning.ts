/** Feeds a Scanner as the agent does, and reads its rows back as objects that tests can compare. */
import { type Generation, type RowExtra, Rows, STDERR, TRUNCATED, UNPARSED } from "../../agent/batch.ts";
import type { Scanner } from "../../agent/parse/scanner.ts";
import type { Origin } from "../../agent/pods/origin.ts";

export interface ScannedRow {
  message: string;
  generation: string;
  offset: number;
  size: number;
  stream: "stdout" | "stderr";
  unparsed: boolean;
  originalBytes: number | undefined;
  seconds: number;
  nanos: number;
  digits: number;
}

/** Scanners never look at it. */
const origin = {} as Origin;

export function generationOf(key: string): Generation {
  return { key };
}

/** Scans whole lines, given with their place in the file, in one call. */
export function scanBytes(
  scanner: Scanner,
  bytes: Buffer,
  { generation = generationOf("g"), offset = 0, final = false, rows = new Rows(16, 1) } = {},
): ScannedRow[] {
  rows.reset(origin, generation);
  // Chunks need not begin at the head of the buffer, nor does it end where they do.
  rows.reserve(bytes.length + 7);
  rows.bytes.fill("\n", 0, 7);
  rows.used = bytes.copy(rows.bytes, 7) + 7;
  scanner.scan(rows, 7, rows.used, offset, final);
  return readRows(rows);
}

/** What `scanner.flush` gives, while `generation` is being read. */
export function flushRows(scanner: Scanner, generation = generationOf("g")): ScannedRow[] {
  const rows = new Rows(16, 1);
  rows.reset(origin, generation);
  scanner.flush(rows);
  return readRows(rows);
}

/** What `scanner.scanHuge` gives for the head of a line. */
export function scanHead(scanner: Scanner, head: Buffer, rawSize: number, offset = 0): ScannedRow[] {
  const rows = new Rows(head.length, 1);
  rows.reset(origin, generationOf("g"));
  rows.used = head.copy(rows.bytes);
  scanner.scanHuge(rows, 0, rows.used, offset, rawSize);
  return readRows(rows);
}

export function readRows(rows: Rows): ScannedRow[] {
  return Array.from({ length: rows.rows }, (_, row) => {
    const extra: RowExtra = rows.extra?.get(row) ?? {};
    const flags = rows.flags[row]!;
    if (((flags & TRUNCATED) !== 0) !== (extra.originalBytes !== undefined))
      throw new Error("TRUNCATED without length");
    if (((flags & UNPARSED) !== 0) !== (extra.error !== undefined)) throw new Error("UNPARSED without error");
    return {
      // The strict decoder: messages promise to be valid UTF-8.
      message: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
        rows.bytes.subarray(rows.from[row], rows.to[row]),
      ),
      generation: (extra.generation ?? rows.generation).key,
      offset: rows.offset[row]!,
      size: rows.size[row]!,
      stream: flags & STDERR ? "stderr" : "stdout",
      unparsed: (flags & UNPARSED) !== 0,
      originalBytes: extra.originalBytes,
      seconds: rows.seconds[row]!,
      nanos: rows.nanos[row]!,
      digits: rows.digits[row]!,
    };
  });
}
