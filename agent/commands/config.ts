/** `tailrace config`: the effective configuration. */
import { effectiveYaml } from "../config/effective.ts";
import { load, type Options, print, report } from "./command.ts";

export async function config({ config: file }: Options): Promise<number> {
  const loaded = load(file, false);
  return "problems" in loaded ? report(loaded) : print(effectiveYaml(loaded.config));
}
