/** Parts: which batches the rows of a request came from, so that each is settled where it belongs, also when only some rows go on. */
import type { Receipt } from "../agent/acks.ts";

/** Rows of one batch within a request. */
export interface Part {
  readonly receipt: Receipt;
  readonly rows: number;
  /** Seconds since 1970 of the last of them. */
  readonly newest: number;
}

/** The parts and sizes of some rows, given as `Piece.runs`, whose order need not be that of the parts. */
export function choose(
  parts: readonly Part[],
  sizes: Float64Array,
  runs: ArrayLike<number>,
): { parts: readonly Part[]; sizes: Float64Array } {
  const chosen: (Part & { rows: number })[] = [];
  const chosenSizes = new Float64Array(countRows(runs));
  let count = 0;
  let at = 0;
  let first = 0;
  let last: Part | undefined;
  for (let i = 0; i < runs.length; i += 2) {
    let row = runs[i] as number;
    const end = runs[i + 1] as number;
    // Runs are short where a container writes to both streams: a view for each was a quarter of all garbage.
    for (let at = row; at < end; at++) chosenSizes[count++] = sizes[at] as number;
    if (row < first) at = first = 0;
    while (row < end) {
      let part = parts[at] as Part;
      for (; row >= first + part.rows; part = parts[++at] as Part) first += part.rows;
      const taken = Math.min(end, first + part.rows) - row;
      const open = chosen.at(-1);
      if (part === last && open !== undefined) open.rows += taken;
      else chosen.push({ ...part, rows: taken });
      last = part;
      row += taken;
    }
  }
  return { parts: chosen, sizes: chosenSizes };
}

function countRows(runs: ArrayLike<number>): number {
  let rows = 0;
  for (let i = 0; i < runs.length; i += 2) rows += (runs[i + 1] as number) - (runs[i] as number);
  return rows;
}
