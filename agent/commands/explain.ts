/** `tailrace explain`: what would become of each record of a log, without sending any. */
import { systemClock } from "../clock.ts";
import { errorCode, errorText, FatalError } from "../errors.ts";
import { explain as explainLog } from "../explain.ts";
import { load, type Options, print, report } from "./command.ts";

export async function explain(options: Options, file: string): Promise<number> {
  const loaded = load(options.config, false);
  if ("problems" in loaded) return report(loaded);
  const now = Math.floor(systemClock.wall() / 1000);
  try {
    await explainLog(loaded.config, file, process.stdin, now, process.env, print, writable);
  } catch (error) {
    if (errorCode(error) === "") throw error;
    throw new FatalError(`can't read ${file}: ${errorText(error)}`);
  }
  return 0;
}

/** Waits for a slow reader. @returns false when it is gone. */
async function writable(): Promise<boolean> {
  const { stdout } = process;
  if (stdout.writableNeedDrain && !stdout.destroyed)
    await new Promise<void>((resolve) => stdout.once("drain", resolve).once("close", resolve));
  return !stdout.destroyed;
}
