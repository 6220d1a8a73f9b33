/** Parts: which batches the rows of a request came from, so that each is settled where it belongs, also when only some rows go on. */
import type { Receipt } from "../agent/acks.ts";
import type { Sizes } from "./sizes.ts";

/** Rows of one batch within a request. */
export interface Part {
  readonly receipt: Receipt;
  readonly rows: number;
  /** Raw bytes that they stand for. */
  readonly bytes: number;
  /** Seconds since 1970 of the last of them. */
  readonly newest: number;
}

/** The parts and sizes of some rows, given as `Piece.runs`, whose order need not be that of the parts. @param runs borrowed. */
export function choose(
  parts: readonly Part[],
  sizes: Sizes,
  runs: ArrayLike<number>,
): { parts: readonly Part[]; sizes: Sizes } {
  const chosen: Part[] = [];
  let at = 0;
  let first = 0;
  let last: Part | undefined;
  let rows = 0;
  let bytes = 0;
  for (let i = 0; i < runs.length; i += 2) {
    let row = runs[i] as number;
    const end = runs[i + 1] as number;
    if (row < first) at = first = 0;
    while (row < end) {
      let part = parts[at] as Part;
      for (; row >= first + part.rows; part = parts[++at] as Part) first += part.rows;
      const stop = Math.min(end, first + part.rows);
      if (part !== last && last !== undefined) {
        chosen.push({ receipt: last.receipt, rows, bytes, newest: last.newest });
        rows = bytes = 0;
      }
      last = part;
      rows += stop - row;
      bytes += sizes.sum(row, stop);
      row = stop;
    }
  }
  if (last !== undefined) chosen.push({ receipt: last.receipt, rows, bytes, newest: last.newest });
  return { parts: chosen, sizes: sizes.pick(runs) };
}
