/**
 * Real container logs from test/samples, laid out as on a node, and what a reader must make of them.
 *
 * `unpackSample` puts a case below a folder of the caller's: pods/, containers/ (absolute links into pods/), and for
 * docker docker/containers/ with pods/ linking there. What is expected comes from the bytes that the programs printed,
 * by the rules in test/samples/README.md, never from the log files.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";

const samples = join(import.meta.dirname, "..", "samples");

/** The cases kept as .tar.gz. */
const packed = ["long", "fast", "docker-long", "docker-fast", "docker-rotated"];

export const sampleCases: readonly string[] = [
  ...["plain", "timezone", "long", "bytes", "apps", "fast", "rotated", "lifecycle", "tty"],
  ...["docker-plain", "docker-long", "docker-bytes", "docker-apps", "docker-fast", "docker-tty"],
  ...["docker-lifecycle", "docker-rotated"],
];

/** One entry of a case's manifest.json. */
interface ManifestEntry {
  driver?: "json-file";
  namespace: string;
  pod: string;
  uid: string;
  container: string;
  attempt: number;
  containerId: string;
  exitCode: number;
  tty?: boolean;
  symlink: string;
  logs: string[];
  printed: { stdout?: string; stderr?: string };
}

/** One container of a case, or one of its restarts. */
export interface SampleContainer {
  driver: "cri" | "docker";
  namespace: string;
  pod: string;
  uid: string;
  container: string;
  /** Restart count. */
  attempt: number;
  containerId: string;
  exitCode: number;
  tty: boolean;
  /** Absolute path of the link in containers/. */
  link: string;
  /** Absolute path of the log in pods/, which is the link's target. */
  target: string;
  /** Absolute paths of all files, oldest first. */
  logs: string[];
  /** What a reader must find, for each stream in the order printed. */
  messages: { stdout: string[]; stderr: string[] };
  /**
   * The runtime has deleted the oldest files: only the end of `messages` is in the log, and of the first one that is
   * there perhaps only the end.
   */
  lossy: boolean;
}

/** Lays out a case below `root`, a folder that exists. */
export function unpackSample(name: string, root: string): SampleContainer[] {
  if (packed.includes(name)) {
    execFileSync("tar", ["-xzf", join(samples, `${name}.tar.gz`), "-C", root, "--strip-components=1"]);
  } else {
    cpSync(join(samples, name), root, { recursive: true });
  }
  rmSync(join(root, "containers"), { recursive: true, force: true });
  const manifest = JSON.parse(readFileSync(join(root, "manifest.json"), "utf8")) as ManifestEntry[];
  return manifest.map((entry) => layOut(root, entry));
}

function layOut(root: string, entry: ManifestEntry): SampleContainer {
  const { namespace, pod, uid, container, attempt, containerId, exitCode } = entry;
  const driver = entry.driver === "json-file" ? "docker" : "cri";
  const logs = entry.logs.map((log) => join(root, log));
  const target = join(root, "pods", `${namespace}_${pod}_${uid}`, container, `${attempt}.log`);
  if (driver === "docker") replaceByLink(logs.at(-1)!, target);
  const link = join(root, entry.symlink);
  replaceByLink(target, link);
  const tty = entry.tty === true;
  const read = (path: string | undefined): string[] =>
    path === undefined ? [] : expectedMessages(readFileSync(join(root, path)), driver, tty);
  const messages = { stdout: read(entry.printed.stdout), stderr: read(entry.printed.stderr) };
  const lossy = driver === "docker" && container === "lossy";
  const identity = { namespace, pod, uid, container, attempt, containerId, exitCode };
  return { driver, ...identity, tty, link, target, logs, messages, lossy };
}

function replaceByLink(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  symlinkSync(target, path);
}

/** Messages that a program's output becomes. */
export function expectedMessages(printed: Buffer, driver: "cri" | "docker", tty: boolean): string[] {
  const text = printed.toString("latin1");
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  return lines.map((line) => {
    const stored = driver === "cri" ? storeCri(line, tty) : storeDocker(line, tty);
    return Buffer.from(stored.replace(/\n$/, "").replace(/\r$/, ""), "latin1").toString("utf8");
  });
}

/** containerd drops one CR before a newline; with a tty that is the one that the terminal added. */
function storeCri(line: string, tty: boolean): string {
  return tty ? line : line.replace(/\r\n$/, "\n");
}

/** docker keeps the CR, the terminal's too, and replaces each invalid byte of a part of 16384 bytes by U+FFFD. */
function storeDocker(line: string, tty: boolean): string {
  const written = tty ? line.replace(/\n$/, "\r\n") : line;
  const parts = written.match(/.{1,16384}/gs) ?? [];
  return parts.map(replaceInvalidBytes).join("");
}

/** A valid UTF-8 character, by the table in the Unicode standard; bytes are Latin-1 characters here. */
const character = new RegExp(
  [
    "[\\x00-\\x7f]",
    "[\\xc2-\\xdf][\\x80-\\xbf]",
    "\\xe0[\\xa0-\\xbf][\\x80-\\xbf]",
    "[\\xe1-\\xec\\xee\\xef][\\x80-\\xbf]{2}",
    "\\xed[\\x80-\\x9f][\\x80-\\xbf]",
    "\\xf0[\\x90-\\xbf][\\x80-\\xbf]{2}",
    "[\\xf1-\\xf3][\\x80-\\xbf]{3}",
    "\\xf4[\\x80-\\x8f][\\x80-\\xbf]{2}",
    "([\\s\\S])",
  ].join("|"),
  "g",
);

/** Go's way: one U+FFFD for each byte that begins no character. */
function replaceInvalidBytes(part: string): string {
  return part.replace(character, (whole, invalid: string | undefined) =>
    invalid === undefined ? whole : "\xef\xbf\xbd",
  );
}
