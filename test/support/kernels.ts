/** Kernels on and off within one process. */
import type { Batch } from "../../agent/batch.ts";
import { kernelsEnabled, switchKernels } from "../../agent/kernel/kernel.ts";
import type { Output } from "../../outputs/output.ts";

export function withKernels<T>(on: boolean, run: () => T): T {
  const before = kernelsEnabled();
  switchKernels(on);
  try {
    return run();
  } finally {
    switchKernels(before);
  }
}

/** A batch as requests, not compressed: how many rows and bytes each has, its body, and its last row alone. */
export function requestsOf(
  output: Output,
  batch: Batch,
  maxBytes: number,
  maxRows: number,
  key = output.requestKey(batch),
): string[] {
  const requests: string[] = [];
  for (let at = 0; at < batch.rows; ) {
    const request = output.open(key);
    at = request.append(batch, at, maxBytes, maxRows);
    const closed = request.close();
    const last = closed.rows === 0 ? "" : output.entry(closed, closed.rows - 1);
    requests.push(`${closed.rows} ${closed.bytes} ${closed.body.toString("latin1")} ${last}`);
  }
  return requests;
}
