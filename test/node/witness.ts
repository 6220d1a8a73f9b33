/**
 * The other witness: what kubelet's own log files hold, read plainly, against the records that were accepted. And for
 * loads what their lines say of themselves, so that a loss by the runtime is told from one by the agent.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { gunzipSync } from "node:zlib";
import type { Document } from "../support/bulk.ts";
import { loadLine } from "./writers.ts";

const PODS = "/var/log/pods";

/** What of a document is looked at. */
export interface Shipped {
  readonly message: string;
  readonly stream: string;
  readonly log: { readonly file: { readonly path: string }; readonly offset: number };
  readonly kubernetes: {
    readonly namespace: string;
    readonly pod: { readonly name: string; readonly uid: string; readonly ip?: string };
    readonly container: { readonly name: string };
    readonly node: { readonly name: string };
    readonly labels?: Readonly<Record<string, string>>;
  };
}

export const shipped = (document: Document): Shipped => document as unknown as Shipped;

/**
 * Messages of one container in the files of its pod, in order: each run's generations, oldest first. @returns undefined
 * when kubelet rotated meanwhile: a file that is renamed while its folder is listed may be in no list.
 */
export function messagesInFiles(
  namespace: string,
  pod: string,
  uid: string,
  container: string,
): readonly string[] | undefined {
  const folder = join(PODS, `${namespace}_${pod}_${uid}`, container);
  const before = inventory(folder);
  if (before === undefined) return undefined;
  const all = Object.keys(before);
  const messages: string[] = [];
  const runs = new Set(all.map((name) => Number(name.split(".")[0])));
  for (const run of [...runs].sort((a, b) => a - b)) {
    const names = all.filter((name) => name.startsWith(`${run}.log`) && !name.endsWith(".tmp"));
    // While kubelet compresses both are there.
    const rotated = names.filter((name) => name !== `${run}.log` && !names.includes(`${name}.gz`)).sort();
    const live = names.includes(`${run}.log`) ? [`${run}.log`] : [];
    const texts = [...rotated, ...live].map((name) => contentOf(join(folder, name)));
    if (texts.includes(undefined)) return undefined;
    messages.push(...parse(Buffer.concat(texts as Buffer[])));
  }
  return isDeepStrictEqual(inventory(folder), before) ? messages : undefined;
}

/** Unpacked; undefined when the file is gone. */
function contentOf(path: string): Buffer | undefined {
  try {
    const bytes = readFileSync(path);
    return path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Inode and size of each file. */
function inventory(folder: string): Readonly<Record<string, string>> | undefined {
  try {
    const entries = readdirSync(folder).map((name): [string, string] => {
      const { ino, size } = statSync(join(folder, name));
      return [name, `${ino} ${size}`];
    });
    return Object.fromEntries(entries);
  } catch {
    // The folder is not there yet, or a file of it no more.
    return undefined;
  }
}

/** Generations of one container that kubelet has made so far. */
export function generations(namespace: string, pod: string, uid: string, container: string): readonly string[] {
  const folder = join(PODS, `${namespace}_${pod}_${uid}`, container);
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** Runs of one container that have begun. */
export function runsInFiles(namespace: string, pod: string, uid: string, container: string): number {
  const runs = generations(namespace, pod, uid, container).map((name) => Number(name.split(".")[0]) + 1);
  return Math.max(0, ...runs);
}

/** What stands for a pod's uid in the name of its folder; "" while there is none. */
export function uidInFiles(namespace: string, pod: string): string {
  const prefix = `${namespace}_${pod}_`;
  const name = readdirSync(PODS).find((name) => name.startsWith(prefix)) ?? prefix;
  return name.slice(prefix.length);
}

/** Joins the parts that the runtime made of long lines, as bytes: it cuts within characters. */
function parse(bytes: Buffer): string[] {
  const messages: string[] = [];
  const parts: Record<string, Buffer[]> = { stdout: [], stderr: [] };
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, at);
    const end = newline < 0 ? bytes.length : newline;
    const line = bytes.subarray(at, end);
    at = end + 1;
    const [, stream = "", tag = ""] = line.subarray(0, 64).toString("latin1").split(" ", 3);
    const content = line.subarray(line.indexOf(` ${tag} `) + 3);
    parts[stream]?.push(content);
    if (tag !== "F") continue;
    messages.push(Buffer.concat(parts[stream] ?? []).toString());
    parts[stream] = [];
  }
  return messages;
}

export interface Difference {
  readonly missing: readonly string[];
  readonly surplus: readonly string[];
  /** A sentence; "" when there is no difference. */
  readonly told: string;
}

/** Compares two bags of messages. */
export function compare(expected: readonly string[], actual: readonly string[]): Difference {
  const left = new Map<string, number>();
  for (const message of expected) left.set(message, (left.get(message) ?? 0) + 1);
  const surplus: string[] = [];
  for (const message of actual) {
    const count = left.get(message) ?? 0;
    if (count === 0) surplus.push(message);
    else left.set(message, count - 1);
  }
  const missing = [...left].flatMap(([message, count]) => Array.from({ length: count }, () => message));
  const tell = (messages: readonly string[], what: string): string => {
    if (messages.length === 0) return "";
    const some = messages.slice(0, 3).map((text) => text.slice(0, 80));
    return `${messages.length} ${what}: ${some.join(" | ")}; `;
  };
  return { missing, surplus, told: `${tell(missing, "missing")}${tell(surplus, "too many")}` };
}

/** What a load's lines say of themselves. */
export interface LoadReport {
  readonly lines: number;
  /** Numbers between a run's first and last that are not there: the runtime lost them, or the agent did. */
  readonly gaps: number;
  /** Lines whose text is not what their number says. */
  readonly damaged: readonly string[];
  /** Runs that said how many lines there were, and all of them are there. */
  readonly complete: number;
  readonly runs: number;
}

export function checkLoad(messages: readonly string[]): LoadReport {
  const runs = new Map<string, Set<number>>();
  const ends = new Map<string, number>();
  const damaged: string[] = [];
  for (const message of messages) {
    const [first = "", second = "", third = ""] = message.split(" ", 3);
    if (first === "begin") runs.set(second, runs.get(second) ?? new Set());
    else if (first === "end") ends.set(second, Number(third));
    else {
      const n = Number(second);
      if (message !== loadLine(first, n)) damaged.push(message.slice(0, 80));
      const seen = runs.get(first) ?? new Set();
      runs.set(first, seen.add(n));
    }
  }
  let gaps = 0;
  let complete = 0;
  for (const [run, numbers] of runs) {
    const count = ends.get(run);
    let last = 0;
    for (const n of numbers) last = Math.max(last, n + 1);
    gaps += (count ?? last) - numbers.size;
    if (count !== undefined && numbers.size === count) complete++;
  }
  return { lines: messages.length, gaps, damaged, complete, runs: runs.size };
}
