/**
 * Fetches the real servers, each by an ordinary client of a package registry, into a folder that git ignores: `.cache` at
 * the repository's top, or TAILRACE_CACHE. What is there already is not made again.
 *
 *   node test/real/fetch.ts [--install] [NAME …]      --install: as root, missing tools come from Debian's packages
 *
 * Elasticsearch is under the Elastic licence: fetched to be tested against, never committed or shipped.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "../node/tools.ts";

/** A tool that is not there and could not be installed. */
export class MissingTool extends Error {
  override name = "MissingTool";
}

interface Source {
  /** The folder or program below the cache; its version is part of the name, so another one is fetched anew. */
  readonly made: string;
  readonly tools: readonly Tool[];
  /** Makes it at `target`, a path that does not exist. */
  make(target: string): Promise<void>;
}

type Tool = "mvn" | "go" | "java17" | "java21";

const MAVEN_UNPACK = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:unpack";

/** The real distributions lie in Maven's repository as "integ-test-zip": fewer modules, no JDK. */
function distribution(group: string, name: string, version: string, java: Tool): Source {
  return {
    made: `${name}-${version}`,
    tools: ["mvn", java],
    make: async (target) => {
      const artifact = `-Dartifact=${group}:${name}:${version}:zip`;
      mkdirSync(`${target}.zip`, { recursive: true });
      // Run in the new folder: the plugin leaves its marks where it is started.
      await run("mvn", ["-B", "-q", MAVEN_UNPACK, artifact, `-DoutputDirectory=${target}.zip`], `${target}.zip`);
      renameSync(join(`${target}.zip`, `${name}-${version}`), target);
      rmSync(`${target}.zip`, { recursive: true });
    },
  };
}

/** A program of a Go module of ours that requires it, so that go.sum holds every version. */
function program(name: string, version: string, path: string): Source {
  return {
    made: `${name}-${version}`,
    tools: ["go"],
    make: (target) =>
      run(
        "go",
        ["build", "-trimpath", "-mod=readonly", "-ldflags", "-s -w", "-o", target, path],
        join(import.meta.dirname, "go", name),
        { CGO_ENABLED: "0" },
      ),
  };
}

const ELASTIC = "org.elasticsearch.distribution.integ-test-zip";
const OPENSEARCH = "org.opensearch.distribution.integ-test-zip";

const SOURCES = {
  "elasticsearch-8": distribution(ELASTIC, "elasticsearch", "8.19.21", "java17"),
  "elasticsearch-9": distribution(ELASTIC, "elasticsearch", "9.5.3", "java21"),
  "opensearch-2": distribution(OPENSEARCH, "opensearch", "2.19.6", "java17"),
  "opensearch-3": distribution(OPENSEARCH, "opensearch", "3.6.0", "java21"),
  victorialogs: program("victorialogs", "1.51.1", "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs"),
  loki: program("loki", "3.7.8", "github.com/grafana/loki/v3/cmd/loki"),
} as const satisfies Record<string, Source>;

export type ServerName = keyof typeof SOURCES;

export interface Fetched {
  /** The distribution's folder, or the program. */
  readonly path: string;
  /** For those in Java: the home of one that is new enough. */
  readonly javaHome: string;
}

/**
 * Fetches or builds a server unless that is done.
 * @param install whether missing tools may be installed.
 * @throws MissingTool
 */
export async function fetchServer(name: ServerName, install = false): Promise<Fetched> {
  const { made, tools, make }: Source = SOURCES[name];
  const path = join(CACHE, made);
  const java = tools.find((tool) => tool === "java17" || tool === "java21");
  const there = existsSync(path);
  for (const tool of tools) if (!there || tool === java) provide(tool, install);
  if (!there) {
    mkdirSync(CACHE, { recursive: true });
    const started = performance.now();
    console.log(`${made}: fetching into ${CACHE}`);
    const work = mkdtempSync(join(CACHE, "making-"));
    try {
      await make(join(work, made));
      // Whole or not at all, also when two do it at once.
      if (!existsSync(path)) renameSync(join(work, made), path);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
    console.log(`${made}: ready after ${Math.round((performance.now() - started) / 1000)} s`);
  }
  return { path, javaHome: java === undefined ? "" : (findJava(java) as string) };
}

/** @returns the path of a server that was fetched before; "" of one that was not. */
export function fetchedBefore(name: ServerName): string {
  const path = join(CACHE, SOURCES[name].made);
  return existsSync(path) ? path : "";
}

/** Why a server can't be tested on this machine; false when it can. In CI nothing may be missing, so it is always false. */
export function whyNot(name: ServerName): string | false {
  const { made, tools }: Source = SOURCES[name];
  const there = existsSync(join(CACHE, made));
  const missing = tools.find((tool) => (!there || tool.startsWith("java")) && !has(tool));
  return missing !== undefined && process.env.CI !== "true" && `${NEEDED[missing]} is missing`;
}

/** Debian's packages by which a tool can come; the first one that is to be had. */
const PACKAGES: Readonly<Record<Tool, readonly string[]>> = {
  mvn: ["maven"],
  go: [],
  java17: ["openjdk-17-jdk-headless", "openjdk-21-jdk-headless"],
  java21: ["openjdk-25-jdk-headless", "openjdk-21-jdk-headless"],
};

const NEEDED: Readonly<Record<Tool, string>> = {
  mvn: "Maven (mvn on the PATH; Debian: maven)",
  go: "Go 1.24 or newer, which fetches the toolchain that a module asks for (go on the PATH)",
  java17: "a JDK of version 17 or newer (under /usr/lib/jvm or in JAVA_HOME; Debian: openjdk-17-jdk-headless)",
  java21:
    "a whole JDK of version 21 or newer (under /usr/lib/jvm or in JAVA_HOME; Debian 13: openjdk-21-jdk-headless, Debian 12 has none)",
};

/** The list of Debian's packages is up to date. */
let isListed = false;

function provide(tool: Tool, install: boolean): void {
  if (has(tool)) return;
  if (install && process.getuid?.() === 0)
    for (const name of PACKAGES[tool]) {
      console.log(`${name}: installing by apt-get`);
      try {
        if (!isListed) aptGet("update", "-q");
        isListed = true;
        aptGet("install", "-y", "-q", "--no-install-recommends", name);
      } catch {
        continue;
      }
      if (has(tool)) return;
    }
  throw new MissingTool(`${NEEDED[tool]} is missing`);
}

function aptGet(...args: readonly string[]): void {
  execFileSync("apt-get", args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}

function has(tool: Tool): boolean {
  if (tool === "java17" || tool === "java21") return findJava(tool) !== undefined;
  try {
    execFileSync(tool, [tool === "go" ? "version" : "-v"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** The oldest one that will do: the servers are tested by their makers with those. */
function findJava(tool: "java17" | "java21"): string | undefined {
  const needed = tool === "java17" ? 17 : 21;
  const homes = [process.env.JAVA_HOME ?? "", ...list("/usr/lib/jvm")];
  return homes
    .map((home) => ({ home, version: versionOf(home) }))
    .filter(({ version }) => version >= needed)
    .sort((a, b) => a.version - b.version)[0]?.home;
}

function list(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}

/** 0 for what is no whole JDK. */
function versionOf(home: string): number {
  const release = join(home, "release");
  if (home === "" || !existsSync(release) || !existsSync(join(home, "bin", "javac"))) return 0;
  return Number(/^JAVA_VERSION="(\d+)/m.exec(readFileSync(release, "utf8"))?.[1] ?? 0);
}

function run(command: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, ...env },
    });
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? resolve() : reject(new Error(`${command} ${args.join(" ")} ended with ${code}`)),
    );
  });
}

if (import.meta.main) {
  const args = process.argv.slice(2);
  const install = args.includes("--install");
  const names = args.filter((arg) => arg !== "--install");
  for (const name of names.length > 0 ? names : Object.keys(SOURCES)) {
    if (!Object.hasOwn(SOURCES, name)) throw new Error(`${name} is none of ${Object.keys(SOURCES).join(", ")}`);
    await fetchServer(name as ServerName, install);
  }
}
