/**
 * Programs in namespaces of their own: whatever ends this process, or them, all that they started ends with them, and what
 * they mounted is gone.
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";

/** unshare(1) kills its child when it dies itself, and setpriv(1) has it die with this process. */
const CONTAINED = ["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];

const running = new Set<ChildProcess>();
let over = false;

/** Starts a program, its name before its arguments. @param flags of unshare(1), for more namespaces. */
export function contain(command: readonly string[], options: SpawnOptions, ...flags: readonly string[]): ChildProcess {
  if (over) throw new Error("broken off");
  const child = spawn("setpriv", [...CONTAINED, ...flags, ...command], options);
  running.add(child);
  child.once("close", () => running.delete(child));
  return child;
}

/** Ends all that run, and lets none begin. */
export function breakOff(): void {
  over = true;
  for (const child of running) child.kill("SIGKILL");
}
