/**
 * `npm run test:node`: the whole way from the Dockerfile to records at a backend, on a real Kubernetes node that is made
 * for it and taken away afterwards. The node lives in mount, PID and network namespaces: whatever happens, its processes
 * die with the first of them, its mounts with the last, and nothing listens where anybody else could ask. What a run
 * leaves behind that is killed (files, empty control groups, kernel settings) the next one puts right. An argument is a
 * pattern for the names of the tests to run.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fetchedBefore } from "../real/fetch.ts";
import { until } from "../support/program.ts";
import { breakOff, contain } from "./contain.ts";
import { buildImages, rebuild } from "./images.ts";
import type { Setting } from "./node.ts";
import { buildTools, missingTools } from "./tools.ts";

const PREFIX = "tailrace-node-";
const CGROUPS = "/sys/fs/cgroup";
/** File in a run's folder with what the settings of the kernel were before. */
const TUNED = "tunables.json";
/** What kubelet sets for the whole machine. */
const TUNABLES = [
  "vm/overcommit_memory",
  "kernel/panic",
  "kernel/panic_on_oops",
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
];

const say = (line: string): void => void process.stdout.write(`[${Math.round(performance.now() / 1000)}s] ${line}\n`);

async function main(): Promise<number> {
  const missing = missingTools();
  if (missing.length > 0) {
    const must = process.env.CI === "true";
    say(`${must ? "can't run" : "skipped"}: this machine lacks ${missing.join("; ")}`);
    return must ? 1 : 0;
  }
  const tools = await buildTools(say);
  await sweep();
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  writeFileSync(join(folder, "pid"), String(process.pid));
  const tunables = TUNABLES.map((name) => join("/proc/sys", name)).map((path) => [path, readFileSync(path, "utf8")]);
  writeFileSync(join(folder, TUNED), JSON.stringify(tunables));
  try {
    const images = await buildImages(folder, say);
    say(`image: ${(images.agent.compressedBytes / 1e6).toFixed(1)} MB compressed`);
    const loki = fetchedBefore("loki");
    say(
      loki === ""
        ? "no second backend: `node test/real/fetch.ts loki` builds the real Loki, to which all is then shipped too"
        : "second backend: the real Loki",
    );
    writeFileSync(join(folder, "setting.json"), JSON.stringify({ folder, tools, images, loki } satisfies Setting));
    say("starting the node");
    const again = rebuild(folder, images).catch(String);
    const code = await inNamespaces(folder);
    const difference = await again;
    say(difference || "built again, both images came out the same");
    return difference === "" ? code : 1;
  } finally {
    await takeAway(folder);
    say("cleaned up");
  }
}

/** Runs the tests as the second process of new namespaces, under a shell that reaps what others leave behind. */
function inNamespaces(folder: string): Promise<number> {
  for (const name of ["log", "lib", "run", "tmp"]) mkdirSync(join(folder, name));
  // Servers that run as nobody have to find their folders.
  chmodSync(folder, 0o711);
  const script = [
    "set -e",
    'mount --bind "$0/log" /var/log',
    'mount --bind "$0/lib" /var/lib',
    // Kubelet's own is a link on most systems.
    'mount --bind "$0/run" /run',
    "mount --make-rshared /",
    // Not exec: the first process of a PID namespace has to reap what others leave behind.
    '"$1" --test --test-reporter=spec "$3" "$2"',
    "exit $?",
  ].join("\n");
  const tests = join(import.meta.dirname, "suite.ts");
  // The first test brings the agent, which the others need.
  const names = `--test-name-pattern=${process.argv[2] === undefined ? "." : `^applying|${process.argv[2]}`}`;
  const child = contain(
    ["bash", "-c", script, folder, process.execPath, tests, names],
    {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, TAILRACE_NODE: join(folder, "setting.json"), TMPDIR: join(folder, "tmp") },
    },
    "--net",
  );
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}

/** Takes away what runs left behind that were killed before they could do so themselves. */
async function sweep(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((name) => name.startsWith(PREFIX))) {
    const folder = join(tmpdir(), name);
    const owner = join(folder, "pid");
    if (existsSync(owner) && !existsSync(join("/proc", readFileSync(owner, "utf8")))) await takeAway(folder);
  }
}

/** A run's settings of the kernel, control groups and files. */
async function takeAway(folder: string): Promise<void> {
  const tuned = join(folder, TUNED);
  if (existsSync(tuned))
    for (const [path, value] of JSON.parse(readFileSync(tuned, "utf8")) as [string, string][])
      writeFileSync(path, value);
  for (const root of [CGROUPS, ...readdirSync(CGROUPS).map((name) => join(CGROUPS, name))]) {
    const path = join(root, basename(folder));
    if (existsSync(path)) await removeGroup(path);
  }
  rmSync(folder, { recursive: true, force: true });
}

/** A control group goes once it is empty, which it is soon after its processes were killed; its children go before it. */
async function removeGroup(path: string): Promise<void> {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) await removeGroup(join(path, entry.name));
  await until(() => {
    try {
      rmdirSync(path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EBUSY") return false;
      throw error;
    }
  }, `the control group ${path} is empty`);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, breakOff);
process.exitCode = await main();
