/**
 * `npm run soak -- [--seeds 5000] [--from 1] [--steps 60] [--joins]`: the model test over as many histories as one wants. Prints
 * each seed that fails, and exits 1 when one did.
 */
import { parseArgs } from "node:util";
import { Drive } from "./drive.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "5000" },
    from: { type: "string", default: "1" },
    steps: { type: "string", default: "60" },
    joins: { type: "boolean", default: false },
  },
});
const from = Number(values.from);
const end = from + Number(values.seeds);
let failed = 0;
for (let seed = from; seed < end; seed++) {
  const drive = new Drive(seed, values.joins);
  try {
    await drive.run(Number(values.steps));
  } catch (error) {
    failed++;
    console.log(`seed ${seed}: ${(error as Error).message.slice(0, 300)}\n  after ${drive.steps.join(", ")}`);
  }
  if ((seed - from) % 100 === 99) console.log(`${seed - from + 1} histories, ${failed} failed`);
}
console.log(`${end - from} histories, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
