/** Kernels on and off within one process. */
import { kernelsEnabled, switchKernels } from "../../agent/kernel/kernel.ts";

export function withKernels<T>(on: boolean, run: () => T): T {
  const before = kernelsEnabled();
  switchKernels(on);
  try {
    return run();
  } finally {
    switchKernels(before);
  }
}
