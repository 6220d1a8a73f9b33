/** Loaded before everything else by `npm run test:twins`: no kernels, as on a machine without SIMD. */
import { switchKernels } from "../../agent/kernel/kernel.ts";

switchKernels(false);
