/**
 * The programs of a Kubernetes node, for `npm run test:node`: what a distribution has is looked for and named when it is
 * missing, what none has is built once by Go into a cache that git ignores (TAILRACE_CACHE names another). The sums of
 * all that is built stand in go/*\/go.sum.
 *
 *   node test/node/tools.ts [--install]      only builds; --install: as root, what is missing comes from Debian's packages
 */
import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { contain } from "./contain.ts";

const GO = join(import.meta.dirname, "go");

/** Program or file, and Debian's package that has it. */
const NEEDED: Readonly<Record<string, string>> = {
  buildah: "buildah",
  containerd: "containerd",
  ctr: "containerd",
  runc: "runc",
  busybox: "busybox-static",
  "/usr/lib/cni/bridge": "containernetworking-plugins",
  ip: "iproute2",
  iptables: "iptables",
  mount: "mount",
  openssl: "openssl",
  setpriv: "util-linux",
  tar: "tar",
  unshare: "util-linux",
};

interface Build {
  /** Folder under go/; the cache's folder has the version behind it. */
  readonly module: string;
  /** The module's requirement that gives the version. */
  readonly requirement: string;
  /** Go packages by the name of the program. */
  readonly packages: Readonly<Record<string, string>>;
  readonly ldflags?: (version: string) => string;
  /** What of it is left out. */
  readonly tags?: string;
}

/** Of a build, and how long after one that failed. */
const TRIES = 3;
const PAUSE_MS = 15_000;

const KUBERNETES = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl"] as const;
const VERSION = "k8s.io/component-base/version";

const BUILDS: readonly Build[] = [
  { module: "etcd", requirement: "go.etcd.io/etcd/server/v3", packages: { etcd: "go.etcd.io/etcd/server/v3" } },
  {
    module: "kubernetes",
    requirement: "k8s.io/kubernetes",
    packages: Object.fromEntries(KUBERNETES.map((name) => [name, `k8s.io/kubernetes/cmd/${name}`])),
    // Unstamped they call themselves v0.0.0, which clients and servers take for incompatible with each other.
    ldflags: (version) => {
      const [major, minor] = version.split(".");
      return `-X ${VERSION}.gitVersion=v${version} -X ${VERSION}.gitMajor=${major} -X ${VERSION}.gitMinor=${minor}`;
    },
  },
  {
    module: "promtool",
    requirement: "github.com/prometheus/prometheus",
    packages: { promtool: "github.com/prometheus/prometheus/cmd/promtool" },
    // Service discovery, and with it the clients of all clouds.
    tags: "remove_all_sd",
  },
];

export type Tool = (typeof KUBERNETES)[number] | "etcd" | "promtool";

export const CACHE = process.env.TAILRACE_CACHE || join(import.meta.dirname, "..", "..", ".cache");

/** What the machine lacks, by name. */
export function missingTools(): string[] {
  const missing = Object.keys(NEEDED)
    .filter((name) => !isExecutable(name))
    .map((name) => `${name} (Debian: ${NEEDED[name]})`);
  if (!isExecutable("go")) missing.unshift("Go 1.24 or newer, which fetches the toolchain that a module asks for");
  if (process.platform !== "linux") missing.unshift("Linux");
  else if (process.getuid?.() !== 0) missing.unshift("root: mounts, namespaces and containers take it");
  return missing;
}

function installTools(): void {
  const packages = Object.keys(NEEDED).filter((name) => !isExecutable(name));
  if (packages.length === 0) return;
  const names = new Set(packages.map((name) => NEEDED[name] ?? ""));
  for (const command of [["update"], ["install", "-y", "--no-install-recommends", ...names]])
    execFileSync("apt-get", ["-q", "-o", "Acquire::Retries=3", ...command], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
}

function isExecutable(name: string): boolean {
  // Debian keeps what only root runs out of a user's PATH.
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return (name.startsWith("/") ? [name] : folders.map((folder) => join(folder, name))).some((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Builds what is not there yet. @returns the path of each program. */
export async function buildTools(say: (line: string) => void): Promise<Readonly<Record<Tool, string>>> {
  const paths: Record<string, string> = {};
  for (const build of BUILDS) {
    const version = versionOf(build);
    const folder = join(CACHE, `${build.module}-${version}`);
    for (const name of Object.keys(build.packages)) paths[name] = join(folder, name);
    const absent = Object.keys(build.packages).filter((name) => !existsSync(join(folder, name)));
    if (absent.length > 0) await compile(build, version, absent, folder, say);
  }
  return paths as Record<Tool, string>;
}

function versionOf({ module, requirement }: Build): string {
  const text = readFileSync(join(GO, module, "go.mod"), "utf8");
  const line = text.split("\n").find((line) => line.includes(`${requirement} v`)) ?? "";
  return line.slice(line.indexOf(" v") + 2).split(" ")[0] ?? "";
}

async function compile(
  { module, packages, ldflags, tags = "" }: Build,
  version: string,
  names: readonly string[],
  folder: string,
  say: (line: string) => void,
): Promise<void> {
  const scratch = join(folder, "building");
  mkdirSync(scratch, { recursive: true });
  say(`building ${names.join(", ")} ${version}; this happens once`);
  for (const name of names) {
    const begun = performance.now();
    const flags = `-s -w ${ldflags?.(version) ?? ""}`.trim();
    const output = join(scratch, name);
    const args = ["build", "-v", "-trimpath", "-tags", tags, "-ldflags", flags, "-o", output, packages[name] ?? ""];
    // Registries may stumble. What was fetched and compiled before is in Go's caches, so the next try goes on from there.
    for (let tries = 1; ; tries++) {
      const code = await go(name, module, args, say);
      if (code === 0) break;
      if (tries === TRIES) throw new Error(`go build of ${name} ended with ${code}, ${TRIES} times; see above why`);
      say(`  ${name}: go build ended with ${code}; it is tried again`);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    // Whole or not at all: a build that is broken off must not leave half a program.
    renameSync(join(scratch, name), join(folder, name));
    say(`  ${name}: built in ${Math.round((performance.now() - begun) / 1000)} s`);
  }
  rmSync(scratch, { recursive: true });
}

/** One try of Go, at a low priority. @returns its exit status. */
function go(name: string, module: string, args: readonly string[], say: (line: string) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = contain(["nice", "-n", "10", "go", ...args], {
      cwd: join(GO, module),
      env: { ...process.env, CGO_ENABLED: "0" },
      stdio: ["ignore", "inherit", "pipe"],
    });
    let built = 0;
    let fetched = 0;
    let last = "";
    const timer = setInterval(
      () => say(`  ${name}: ${fetched} modules fetched, ${built} packages compiled, the last ${last}`),
      20_000,
    );
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      for (const line of text.split("\n").filter((line) => line !== "")) {
        // `go build -v` names each package; everything else is worth reading.
        if (/^[\w.\-/]+$/.test(line)) {
          built++;
          last = line;
        } else if (line.startsWith("go: downloading")) {
          fetched++;
          last = line.slice("go: downloading ".length);
        } else say(line);
      }
    });
    child.once("error", reject);
    child.once("close", (code) => {
      clearInterval(timer);
      resolve(code ?? 1);
    });
  });
}

if (import.meta.main) {
  if (process.argv.includes("--install")) installTools();
  const missing = missingTools();
  if (missing.length > 0) {
    process.stderr.write(`missing: ${missing.join("; ")}\n`);
    process.exit(1);
  }
  await buildTools((line) => process.stdout.write(`${line}\n`));
}
