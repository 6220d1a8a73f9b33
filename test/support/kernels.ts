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

/** A batch as requests, not compressed: how many rows and bytes each has, and its body. */
export function requestsOf(output: Output, batch: Batch, maxBytes: number, maxRows: number): string[] {
  const requests: string[] = [];
  for (let at = 0; at < batch.rows; ) {
    const request = output.open(output.requestKey(batch));
    at = request.append(batch, at, maxBytes, maxRows);
    const closed = request.close();
    requests.push(`${closed.rows} ${closed.bytes} ${closed.body.toString("latin1")}`);
  }
  return requests;
}
