/** Multiline on rows made by hand. */
import type { Rows } from "../../agent/batch.ts";
import { Multiline, type MultilineOptions } from "../../agent/process/multiline.ts";
import { type Preset, presetTrace } from "../../agent/process/presets.ts";
import { rowsOf } from "./rows.ts";

export const JOINING: MultilineOptions = { timeout: 1000, maxLines: 1000, maxBytes: 1 << 20 };

/** Messages that lines of one stream and one moment become. */
export function joinLines(preset: Preset, lines: readonly string[], options: Partial<MultilineOptions> = {}): string[] {
  const multiline = new Multiline(presetTrace(preset), { ...JOINING, ...options }, undefined);
  const rows = rowsOf(lines);
  rows.seconds.fill(1_790_000_000, 0, rows.rows);
  multiline.process(rows, 0);
  multiline.release(rows, Number.POSITIVE_INFINITY);
  return messagesOf(rows);
}

export function messagesOf(rows: Rows): string[] {
  return Array.from({ length: rows.rows }, (_, row) => rows.bytes.toString("utf8", rows.from[row], rows.to[row]));
}
