/** A server of the test node as a process, with its log in a file; and commands that are waited for. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";

export class Daemon {
  readonly name: string;
  readonly #folder: string;
  readonly #program: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  /** @param folder for its log, NAME.log. */
  constructor(name: string, folder: string, program: string, args: readonly string[]) {
    this.name = name;
    this.#folder = folder;
    this.#program = program;
    this.#args = args;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  start(): void {
    if (this.running) throw new Error(`${this.name} runs already`);
    const log = openSync(join(this.#folder, `${this.name}.log`), "a");
    const child = spawn(this.#program, [...this.#args], { stdio: ["ignore", log, log] });
    closeSync(log);
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once("error", () => resolve());
      child.once("exit", () => resolve());
    });
  }

  /** Ends it and waits until it has. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#child?.kill(signal);
    await this.#exited;
  }

  /** The end of its log. */
  tail(lines: number): string {
    if (this.#child === undefined) return "never started";
    return readFileSync(join(this.#folder, `${this.name}.log`), "utf8")
      .trimEnd()
      .split("\n")
      .slice(-lines)
      .join("\n");
  }
}

/** @returns standard output. @throws with standard error, when it fails. */
export function run(program: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], { maxBuffer: 64 * 1024 ** 2 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${program} ${args.join(" ")}: ${stderr || error.message}`));
    });
    // A program that ends without reading says why itself.
    child.stdin?.on("error", () => {});
    child.stdin?.end(input);
  });
}
