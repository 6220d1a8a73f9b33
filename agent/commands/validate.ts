/** `tailrace validate`: every problem of a configuration. */
import { load, type Options, print, report } from "./command.ts";

export async function validate({ config: file, "no-files": noFiles }: Options): Promise<number> {
  const loaded = load(file, noFiles !== true);
  return "problems" in loaded ? report(loaded) : print(`${file}: valid\n`);
}
