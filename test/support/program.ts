/** The shipped program as a process: the bundle that the image runs, on the Node that runs the tests. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const top = join(import.meta.dirname, "..", "..");
/** The bundle runs on what the tests run on: see no-kernels.ts. */
const { TAILRACE_KERNEL } = process.env;
const kernelSwitch = TAILRACE_KERNEL === undefined ? {} : { TAILRACE_KERNEL };
const bundle = join(top, "dist", "tailrace.mjs");

/** Makes the bundle once for all end-to-end tests of a run, unless the caller of the tests has made it. */
export function buildBundle(): string {
  if (process.env.TAILRACE_BUNDLE === undefined || !existsSync(bundle))
    execFileSync(process.execPath, [join(top, "build.ts")], { cwd: top, stdio: ["ignore", "ignore", "inherit"] });
  return bundle;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Those that run, with what they were called with. */
const running = new Map<ChildProcess, readonly string[]>();

export class Program {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly exited: Promise<Exit>;

  constructor(
    args: readonly string[],
    options: { uid?: number; env?: Record<string, string>; nodeFlags?: string[]; openFiles?: number } = {},
  ) {
    const node = [process.execPath, ...(options.nodeFlags ?? []), bundle, ...args];
    const limited =
      options.openFiles === undefined ? [] : ["sh", "-c", `ulimit -n ${options.openFiles}; exec "$0" "$@"`];
    const [command = "", ...words] = [...limited, ...node];
    this.child = spawn(command, words, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env.PATH ?? "", ...kernelSwitch, ...options.env },
      ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    running.set(this.child, args);
    this.exited = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        running.delete(this.child);
        resolve({ code, signal });
      });
    });
  }

  /** The lines of its own log so far. */
  get log(): Record<string, unknown>[] {
    return this.stderr
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** The address of the admin listener, once it runs. */
  async running(): Promise<{ metrics: string; status: string }> {
    const line = await until(() => {
      if (this.child.exitCode !== null) throw new Error(`the agent ended with ${this.child.exitCode}: ${this.stderr}`);
      return this.log.find(({ msg }) => msg === "running");
    }, "the agent runs");
    return { metrics: String(line.metrics), status: String(line.status) };
  }

  async end(signal: NodeJS.Signals): Promise<Exit> {
    this.child.kill(signal);
    return this.exited;
  }
}

/** Waits for a condition. Fails with its name after a generous time, since a hanging test says nothing. */
export async function until<T>(
  condition: () => T | undefined | false | null | Promise<T | undefined | false | null>,
  name: string,
  limitMs = 60_000,
  everyMs = 20,
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    // Not in the middle of what others do in one go.
    await new Promise((resolve) => setImmediate(resolve));
    const value = await condition();
    if (value !== undefined && value !== false && value !== null) return value;
    if (performance.now() > end) throw new Error(`never became true: ${name}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** A temporary folder that is gone when the test is over. */
export function temporaryFolder(context: { after(done: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "tailrace-test-"));
  context.after(() => {
    // A test that fails halfway leaves no agent behind, whose open pipes would keep the test's own process from ending.
    for (const [child, args] of running) if (args.some((arg) => arg.startsWith(folder))) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A port on which nothing listens. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

/** Writes a configuration for a node tree below `root`; see `configText`. */
export function writeConfig(root: string, outputs: string, source = "", ui?: string, kubernetes?: string): string {
  const file = join(root, "config.yaml");
  writeFileSync(file, configText(root, outputs, source, ui, kubernetes));
  return file;
}

/** @param outputs YAML of the list under `outputs:`. @param source more lines under `source:`. @param ui the page's address. */
export function configText(
  root: string,
  outputs: string,
  source = "",
  ui = 'uiListen: "127.0.0.1:0"',
  kubernetes = "{ enabled: false }",
): string {
  return `nodeName: node-a
dataDir: ${join(root, "state")}
source:
  include: ["${join(root, "containers")}/*.log"]
  roots: ["${root}"]
${source}kubernetes: ${kubernetes}
admin: { listen: "127.0.0.1:0", ${ui} }
outputs:
${outputs}
`;
}
