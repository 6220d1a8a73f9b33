/** What commands get, and what several of them do. */
import { hostname } from "node:os";
import { formatProblem, type Loaded, loadConfig } from "../config/load.ts";

/** As given on the command line. */
export interface Options {
  readonly config: string;
  readonly "no-files"?: boolean;
  readonly json?: boolean;
  readonly admin?: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly container?: string;
  readonly output?: string;
}

/** @returns the exit status. */
export type Command = (options: Options, argument: string) => Promise<number>;

export function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

export function load(file: string, checkFiles: boolean): Loaded {
  return loadConfig(file, { env: process.env, hostname: hostname(), checkFiles });
}

/** Prints a configuration's problems where they belong. @returns exit status 2. */
export function report(loaded: Extract<Loaded, { problems: unknown }>): number {
  for (const problem of loaded.problems) process.stdout.write(`${formatProblem(problem)}\n`);
  return 2;
}

/** Resolves at the first SIGTERM or SIGINT. */
export function signalled(): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
}
