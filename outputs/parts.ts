/** Parts: which batches the rows of a request came from, so that each is settled where it belongs, also when only some rows go on. */
import type { Receipt } from "../agent/acks.ts";

/** Rows of one batch within a request. */
export interface Part {
  readonly receipt: Receipt;
  readonly rows: number;
  /** Seconds since 1970 of the last of them. */
  readonly newest: number;
}

/**
 * The parts and sizes of some rows, given as `Piece.runs`, whose order need not be that of the parts. Its loops are functions
 * of their own: V8 optimised the whole in the first of them, before the others had run, and gave that up again in each call.
 */
export function choose(
  parts: readonly Part[],
  sizes: Float64Array,
  runs: ArrayLike<number>,
): { parts: readonly Part[]; sizes: Float64Array } {
  return { parts: chooseParts(parts, runs), sizes: chooseSizes(sizes, runs) };
}

function chooseParts(parts: readonly Part[], runs: ArrayLike<number>): readonly Part[] {
  const chosen: Part[] = [];
  let at = 0;
  let first = 0;
  let last: Part | undefined;
  let rows = 0;
  for (let i = 0; i < runs.length; i += 2) {
    let row = runs[i] as number;
    const end = runs[i + 1] as number;
    if (row < first) at = first = 0;
    while (row < end) {
      let part = parts[at] as Part;
      for (; row >= first + part.rows; part = parts[++at] as Part) first += part.rows;
      const taken = Math.min(end, first + part.rows) - row;
      if (part !== last && last !== undefined) {
        chosen.push({ receipt: last.receipt, rows, newest: last.newest });
        rows = 0;
      }
      last = part;
      rows += taken;
      row += taken;
    }
  }
  if (last !== undefined) chosen.push({ receipt: last.receipt, rows, newest: last.newest });
  return chosen;
}

function chooseSizes(sizes: Float64Array, runs: ArrayLike<number>): Float64Array {
  const chosen = new Float64Array(countRows(runs));
  let count = 0;
  for (let i = 0; i < runs.length; i += 2) {
    const end = runs[i + 1] as number;
    // Runs are short where a container writes to both streams: a view for each was a quarter of all garbage.
    for (let at = runs[i] as number; at < end; at++) chosen[count++] = sizes[at] as number;
  }
  return chosen;
}

function countRows(runs: ArrayLike<number>): number {
  let rows = 0;
  for (let i = 0; i < runs.length; i += 2) rows += (runs[i + 1] as number) - (runs[i] as number);
  return rows;
}
