/**
 * A real server as a process: run by an unprivileged user, in a folder of its own, ended by its process id. Nothing of
 * it is left when the test is over, however that ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { until } from "../support/program.ts";

/** `nobody`: some servers refuse to run as root, and none needs it. */
const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;
/** Of a server's output, kept for what a failure says. */
const MAX_OUTPUT = 20_000;

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Also the working folder; the server may write there. */
  readonly folder: string;
  /** Where the server writes its process id, when what is started is only a launcher. */
  readonly pidFile?: string;
}

const running = new Set<ServerProcess>();
process.on("exit", () => {
  for (const server of running) server.crash();
});
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => process.exit(1));

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #readPid: () => number | undefined;
  readonly #exited: Promise<void>;
  output = "";
  hasExited = false;

  /** @param readPid the process id of the server itself, once it is known. */
  constructor({ program, args, env = {}, folder }: Command, readPid?: () => number | undefined) {
    this.#child = spawn(program, args, {
      cwd: folder,
      env: { PATH: process.env.PATH ?? "", HOME: folder, ...env },
      stdio: ["ignore", "pipe", "pipe"],
      ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
    });
    this.#readPid = readPid ?? (() => this.#child.pid);
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output = (this.output + text).slice(-MAX_OUTPUT);
      });
    running.add(this);
    this.#exited = new Promise((resolve) => {
      const end = (): void => {
        this.hasExited = true;
        running.delete(this);
        resolve();
      };
      this.#child.once("close", end);
      this.#child.once("error", (error) => {
        this.output += String(error);
        end();
      });
    });
  }

  /** Waits until the server is ready. @throws with its output when it ends instead. */
  ready(condition: () => Promise<boolean>, name: string): Promise<unknown> {
    return until(
      async () => {
        if (this.hasExited) throw new Error(`${name} ended: ${this.output}`);
        return condition().catch(() => false);
      },
      `${name} is ready`,
      300_000,
    );
  }

  /** SIGKILL to the server itself. */
  crash(): void {
    for (const pid of new Set([this.#readPid(), this.#child.pid])) if (pid !== undefined) kill(pid, "SIGKILL");
  }

  /** SIGKILL, and waits for its end. */
  async killed(): Promise<void> {
    this.crash();
    await this.#exited;
  }

  /** SIGTERM, and waits for its end. */
  async stopped(): Promise<void> {
    const pid = this.#readPid() ?? this.#child.pid;
    if (!this.hasExited && pid !== undefined) kill(pid, "SIGTERM");
    await this.#exited;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}

/** A folder for a server's configuration and data, its own; the caller removes it. */
export function serverFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `tailrace-${name}-`));
  chmodSync(folder, 0o755);
  return folder;
}

/** Gives all that is in a folder to the server's user. */
export function give(folder: string): void {
  if (!isRoot) return;
  chownSync(folder, NOBODY, NOBODY);
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (lstatSync(path).isDirectory()) give(path);
    else chownSync(path, NOBODY, NOBODY);
  }
}

/** A program or distribution where the server's user can read it: there, or a copy in `folder`. */
export function readable(path: string, folder: string): string {
  if (!isRoot) return path;
  for (let at = dirname(path); ; at = dirname(at)) {
    if ((statSync(at).mode & 0o005) !== 0o005) break;
    if (at === dirname(at)) return path;
  }
  const copy = join(folder, basename(path));
  if (!existsSync(copy)) cpSync(path, copy, { recursive: true });
  return copy;
}

/** Removes a server's folder. */
export function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
