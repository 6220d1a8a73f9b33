/** Configurations written to a temporary file and loaded from there. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatProblem, type Loaded, type LoadedConfig, loadConfig } from "../../agent/config/load.ts";
import { temporaryFolder } from "./program.ts";

export type Context = Parameters<typeof temporaryFolder>[0];
export type Environment = Readonly<Record<string, string>>;

export function load(context: Context, text: string, env: Environment = {}, checkFiles = true): Loaded {
  const file = join(temporaryFolder(context), "config.yaml");
  writeFileSync(file, text);
  return loadConfig(file, { env, hostname: "host-1", checkFiles });
}

/** The problems as LINE:COLUMN: path: message. */
export function problemsOf(context: Context, text: string, env?: Environment, checkFiles?: boolean): string[] {
  const loaded = load(context, text, env, checkFiles);
  if (!("problems" in loaded)) return [];
  return loaded.problems.map((problem) => formatProblem({ ...problem, file: "" }).slice(1));
}

export function loadGood(context: Context, text: string, env?: Environment): LoadedConfig {
  const loaded = load(context, text, env);
  if ("problems" in loaded) throw new Error(loaded.problems.map(formatProblem).join("\n"));
  return loaded;
}
