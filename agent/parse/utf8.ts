/**
 * What keeps messages valid UTF-8: cuts between characters, and repair of what was never valid.
 * Runtimes split long lines at a byte, so validity is judged for joined messages only.
 */
import { isUtf8 } from "node:buffer";
import type { Rows } from "../batch.ts";

/**
 * The end, at most `to`, of bytes[from, to) without a character that `to` cuts in two.
 * Bytes that begin no character are left alone.
 */
export function cutBetweenCharacters(bytes: Uint8Array, from: number, to: number): number {
  for (let back = 1; back <= 3 && to - back >= from; back++) {
    const byte = bytes[to - back]!;
    if (byte >= 0x80 && byte <= 0xbf) continue;
    const length =
      byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 && byte <= 0xef ? 3 : byte >= 0xc2 && byte <= 0xdf ? 2 : 1;
    return length > back ? to - back : to;
  }
  return to;
}

/** Gives every row from `first` on whose message is not valid UTF-8 a repaired one, at the end of `rows.bytes`. */
export function repairRows(rows: Rows, first: number): void {
  for (let row = first; row < rows.rows; row++) {
    const from = rows.from[row]!;
    const to = rows.to[row]!;
    if (isUtf8(rows.bytes.subarray(from, to))) continue;
    rows.from[row] = rows.used;
    appendRepaired(rows, rows.bytes, from, to);
    rows.to[row] = rows.used;
  }
}

/** Appends bytes[from, to) to `rows.bytes`, each invalid sequence replaced by U+FFFD as the WHATWG decoder does. */
export function appendRepaired(rows: Rows, bytes: Buffer, from: number, to: number): void {
  const text = bytes.toString("utf8", from, to);
  rows.reserve(Buffer.byteLength(text));
  rows.used += rows.bytes.write(text, rows.used);
}
