/** What the bench measures: processes pinned to a core, their CPU time and memory, and what packing the logs costs at all. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { ApiServer } from "../support/apiserver.ts";
import { fakePod, NODE } from "../support/pods.ts";
import { Program } from "../support/program.ts";
import { uidOf } from "./data.ts";

/** The agent's and its rivals' core is the first, all else is on the last. */
const LAST_CORE = String(cpus().length - 1);

export interface Usage {
  /** Seconds, user and system. */
  readonly cpu: number;
  readonly peakMb: number;
  readonly rssMb: number;
}

export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
  return { cpu: (Number(stat[11]) + Number(stat[12])) / 100, peakMb: field("VmHWM"), rssMb: field("VmRSS") };
}

export interface SinkStats {
  readonly documents: number;
  /** How many delays the others are taken from. */
  readonly measured: number;
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
}

/** A node tree in a temporary folder, the sink that takes its logs, and an API server that knows its pods. */
export class Bench {
  readonly root = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  readonly #api = new ApiServer();
  readonly #sink: ChildProcess;
  #agent: Program | undefined;
  url = "";

  /** @param mode of the sink: see sink.ts. */
  constructor(mode = "plain") {
    this.#sink = spawn("taskset", ["-c", LAST_CORE, process.execPath, join(import.meta.dirname, "sink.ts"), mode], {
      stdio: ["ignore", "pipe", "inherit"],
    });
  }

  /** Runs an agent on the first core, its pods' metadata attached. @param outputs YAML of the list. */
  async start(outputs: (url: string) => string, files: number): Promise<Program> {
    const port = await new Promise<string>((resolve) =>
      this.#sink.stdout?.once("data", (data) => resolve(String(data).trim())),
    );
    this.url = `http://127.0.0.1:${port}`;
    await this.#api.start();
    for (let i = 0; i < files; i++) {
      const labels = { "app.kubernetes.io/name": `bench-${i}`, "app.kubernetes.io/part-of": "shop", team: "payments" };
      this.#api.apply("pods", fakePod({ uid: uidOf(i), name: `bench-${i}`, labels }));
    }
    const { root } = this;
    writeFileSync(
      join(root, "kubeconfig"),
      `{ current-context: x, contexts: [{ name: x, context: { cluster: c, user: u } }],
         clusters: [{ name: c, cluster: { server: "${this.#api.url}" } }], users: [{ name: u, user: {} }] }`,
    );
    writeFileSync(
      join(root, "config.yaml"),
      `nodeName: ${NODE}
clusterName: bench
dataDir: ${join(root, "state")}
source:
  include: ["${join(root, "containers")}/*.log"]
  roots: ["${root}"]
kubernetes: { kubeconfig: "${join(root, "kubeconfig")}" }
admin: { listen: "127.0.0.1:0", uiListen: "127.0.0.1:0" }
outputs:
${outputs(this.url)}
`,
    );
    const agent = new Program(["run", "-c", join(root, "config.yaml")], {
      nodeFlags: ["--max-semi-space-size=1"],
      // As in the image.
      env: { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "32768", GCE_METADATA_HOST: `127.0.0.1:${port}` },
    });
    this.#agent = agent;
    execFileSync("taskset", ["-apc", "0", String(agent.child.pid)], { stdio: "ignore" });
    return agent;
  }

  async stats(): Promise<SinkStats> {
    return (await (await fetch(`${this.url}/stats`)).json()) as SinkStats;
  }

  /** Forgets the delays so far: a container's first read waits for its pod, which nobody knows here. */
  async reset(): Promise<void> {
    await fetch(`${this.url}/reset`);
  }

  usage(): Usage {
    return usageOf(this.#agent?.child.pid ?? 0);
  }

  async close(): Promise<void> {
    await this.#agent?.end("SIGTERM");
    this.#sink.kill();
    await this.#api.stop();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** CPU-seconds of a command on the first core over all logs below `root`. */
function secondsOf(command: readonly string[], root: string): number {
  const files = readdirSync(join(root, "pods")).map((pod) => join(root, "pods", pod, "app", "0.log"));
  const script = `import os,subprocess,sys
subprocess.run(["taskset","-c","0"]+sys.argv[1:],stdout=subprocess.DEVNULL,check=True)
t=os.times();print(t.children_user+t.children_system)`;
  return Number(execFileSync("python3", ["-c", script, ...command, ...files], { encoding: "utf8" }));
}

/** Merely packing the logs. */
export function gzipSeconds(root: string): number {
  return secondsOf(["gzip", "-1", "-c"], root);
}

/** Bulk requests as one would write them at first, without sending them. */
export function plainSeconds(root: string): number {
  return secondsOf([process.execPath, join(import.meta.dirname, "plain.ts")], root);
}
