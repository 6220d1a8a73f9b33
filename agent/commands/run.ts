/** `tailrace run`: the agent, until a signal ends it. A changed configuration is taken up as it comes, and at SIGHUP. */
import { setFlagsFromString } from "node:v8";
import { Agent } from "../agent.ts";
import { systemClock } from "../clock.ts";
import { formatProblem } from "../config/load.ts";
import { ConfigWatch } from "../config/watch.ts";
import { FatalError } from "../errors.ts";
import { createLog } from "../log.ts";
import { Trim } from "../trim.ts";
import { load, type Options, signalled } from "./command.ts";

/**
 * How much the heap may grow before all of it is marked again, in percent; request bodies count with it. V8 gives a heap
 * of 17 MB no more than half. With 120 % nothing is quicker, and Cloud Logging's peak is 6 MB higher.
 */
const HEAP_GROWTH = 70;

export async function run({ config: file }: Options): Promise<number> {
  const loaded = load(file, true);
  if ("problems" in loaded) {
    const log = createLog("info");
    for (const problem of loaded.problems) log.error({}, formatProblem(problem));
    return 2;
  }
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH}`);
  // A copy of each function in machine code before it is optimised: 2 MB, and nothing is faster for it at full speed.
  setFlagsFromString("--no-sparkplug");
  const log = createLog(loaded.config.logLevel);
  const agent = new Agent(loaded, process.env, systemClock, log);
  const watch = new ConfigWatch(file, loaded.text, () => agent.reload(load(file, true)), log);
  process.on("SIGHUP", () => watch.ask());
  const stop = signalled();
  try {
    await agent.start();
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    log.error({}, error.message);
    return 1;
  }
  watch.start();
  const trim = new Trim();
  trim.start();
  await stop;
  trim.stop();
  // A second signal ends at once.
  process.once("SIGTERM", () => process.exit(1));
  process.once("SIGINT", () => process.exit(1));
  await Promise.all([agent.stop(), watch.stop()]);
  return 0;
}
