/** `tailrace replay OUTPUT`: sends an output's dead letters again, whether an agent runs beside it or not. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createOutput } from "../../outputs/index.ts";
import { type Replayed, replayLetters } from "../../outputs/replay.ts";
import { systemClock } from "../clock.ts";
import { errorText, FatalError, UsageError } from "../errors.ts";
import { createLog } from "../log.ts";
import { acquireLock } from "../tail/lock.ts";
import { printable } from "../terminal.ts";
import { load, type Options, print, report, signalled } from "./command.ts";

export async function replay({ config: file }: Options, name: string): Promise<number> {
  const loaded = load(file, true);
  if ("problems" in loaded) return report(loaded);
  const { outputs, dataDir } = loaded.config;
  const config = outputs.find((output) => output.name === name);
  if (config === undefined)
    throw new UsageError(`no output is named ${name}; there are ${outputs.map((output) => output.name).join(", ")}`);
  const folder = join(dataDir, "dead-letter", name);
  const output = createOutput(config, { env: process.env });
  if (output.restore === undefined || !existsSync(folder)) return print(`${name}: no dead letters\n`);
  const stop = new AbortController();
  void signalled().then(() => stop.abort());
  // Two of them would send the same letters; the agent is not kept out by this lock and need not be.
  const lock = await acquireLock(folder, `another replay of ${name} is at work; wait for it`);
  const { batch, request, retry, deadLetter } = config;
  const options = { name, folder, maxBytes: deadLetter.maxBytes, batch, request, retry };
  try {
    const log = createLog("error");
    return told(name, await replayLetters(output, output.restore, options, systemClock, log, stop.signal));
  } catch (error) {
    throw new FatalError(`can't go on with ${folder} (${errorText(error)}); what was not accepted is still there`);
  } finally {
    lock.release();
  }
}

function told(name: string, { accepted, refused, unanswered, damaged, trouble }: Replayed): number {
  const parts = [`${accepted} accepted`];
  if (refused > 0) parts.push(`${refused} refused again, kept with the new reason`);
  if (unanswered > 0) parts.push(`${unanswered} not sent and kept${trouble === "" ? "" : ` (${printable(trouble)})`}`);
  if (damaged > 0) parts.push(`${damaged} lines damaged and kept`);
  print(`${name}: ${parts.join("; ")}\n`);
  return refused + unanswered + damaged === 0 ? 0 : 1;
}
