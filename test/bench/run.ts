/**
 * `npm run bench`: the shipped bundle on one core against a sink on another, and beside it in the same run `gzip -1` over
 * the same files, so that the ratio means something on any machine. Prints one table.
 *
 *   node test/bench/run.ts [--mb 300] [--files 30] [--seconds 20]
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LogNode } from "../support/node.ts";
import { buildBundle, Program, until, writeConfig } from "../support/program.ts";
import { writeBacklog } from "./data.ts";

const { values } = parseArgs({
  options: {
    mb: { type: "string", default: "300" },
    files: { type: "string", default: "30" },
    seconds: { type: "string", default: "20" },
  },
});

interface Sink {
  readonly child: ChildProcess;
  readonly url: string;
  stats(): Promise<{ documents: number; wireBytes: number; p50: number; p99: number; worst: number }>;
}

async function startSink(mode: string): Promise<Sink> {
  const child = spawn("taskset", ["-c", LAST_CORE, process.execPath, join(import.meta.dirname, "sink.ts"), mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const port = await new Promise<string>((resolve) =>
    child.stdout?.once("data", (data) => resolve(String(data).trim())),
  );
  const url = `http://127.0.0.1:${port}`;
  return {
    child,
    url,
    stats: async () => (await (await fetch(`${url}/stats`)).json()) as Awaited<ReturnType<Sink["stats"]>>,
  };
}

const LAST_CORE = String(cpus().length - 1);
const rows: string[][] = [];

/** CPU-seconds (user and system) and peak memory of a process so far. */
function usage(pid: number): { cpu: number; peakMb: number; rssMb: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
  return { cpu: (Number(stat[11]) + Number(stat[12])) / 100, peakMb: field("VmHWM"), rssMb: field("VmRSS") };
}

function startAgent(config: string): Program {
  const program = new Program(["run", "-c", config], { nodeFlags: ["--max-semi-space-size=1"] });
  execFileSync("taskset", ["-apc", "0", String(program.child.pid)], { stdio: "ignore" });
  return program;
}

function elasticsearch(url: string, more = ""): string {
  return `  - { name: es, type: elasticsearch, endpoints: ["${url}"]${more} }`;
}

/** `gzip -1` over the same files: what merely packing the logs costs. */
function gzipSeconds(root: string): number {
  const files = readdirSync(join(root, "pods")).map((pod) => join(root, "pods", pod, "app", "0.log"));
  const script = `import os,subprocess,sys
subprocess.run(["taskset","-c","0","gzip","-1","-c"]+sys.argv[1:],stdout=subprocess.DEVNULL,check=True)
t=os.times();print(t.children_user+t.children_system)`;
  return Number(execFileSync("python3", ["-c", script, ...files], { encoding: "utf8" }));
}

async function backlog(bytes: number, files: number): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  const sink = await startSink("plain");
  try {
    const total = writeBacklog(root, files, bytes);
    const gzip = gzipSeconds(root);
    const config = writeConfig(root, elasticsearch(sink.url));
    const agent = startAgent(config);
    const begun = performance.now();
    const { status } = await agent.running();
    await until(
      async () => {
        const reply = (await (await fetch(status)).json()) as {
          containers: { outputs: { es: { shippedBytes: number } } }[];
        };
        return reply.containers.reduce((sum, { outputs }) => sum + outputs.es.shippedBytes, 0) >= total;
      },
      "all is shipped",
      600_000,
    );
    const seconds = (performance.now() - begun) / 1000;
    const { cpu, peakMb } = usage(agent.child.pid ?? 0);
    await agent.end("SIGTERM");
    const gb = total / 1e9;
    const stats = await sink.stats();
    rows.push([
      `backlog ${Math.round(total / 1e6)} MB, ${files} files, gzip`,
      `${(total / 1e6 / seconds).toFixed(0)} MB/s`,
      `${(cpu / gb).toFixed(1)} CPU-s/GB`,
      `${(cpu / gzip).toFixed(2)} x gzip -1 (${(gzip / gb).toFixed(1)})`,
      `peak ${peakMb.toFixed(0)} MB, ${stats.documents} records`,
    ]);
  } finally {
    sink.child.kill();
    rmSync(root, { recursive: true, force: true });
  }
}

async function idle(files: number, seconds: number): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  const sink = await startSink("plain");
  try {
    writeBacklog(root, files, files * 20_000);
    const agent = startAgent(writeConfig(root, elasticsearch(sink.url)));
    const { metrics } = await agent.running();
    const start = usage(agent.child.pid ?? 0);
    await until(
      async () => /tailrace_output_pending_bytes\{output="es"\} 0/.test(await (await fetch(metrics)).text()),
      "idle",
    );
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const before = usage(agent.child.pid ?? 0);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const after = usage(agent.child.pid ?? 0);
    await agent.end("SIGTERM");
    rows.push([
      `idle, ${files} files`,
      "",
      `${(((after.cpu - before.cpu) / seconds) * 100).toFixed(2)} % of a core`,
      `start-up ${(start.cpu * 1000).toFixed(0)} ms CPU`,
      `RSS ${after.rssMb.toFixed(0)} MB`,
    ]);
  } finally {
    sink.child.kill();
    rmSync(root, { recursive: true, force: true });
  }
}

async function latency(perSecond: number, seconds: number): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  const sink = await startSink("latency");
  try {
    const node = new LogNode(root);
    const containers = Array.from({ length: 10 }, (_, i) => node.container(`live-${i}`));
    const agent = startAgent(writeConfig(root, elasticsearch(sink.url, ", batch: { maxWait: 200ms }")));
    await agent.running();
    const before = usage(agent.child.pid ?? 0);
    let written = 0;
    const begun = performance.now();
    while (performance.now() - begun < seconds * 1000) {
      const due = Math.floor(((performance.now() - begun) / 1000) * perSecond);
      for (; written < due; written++) {
        const container = containers[written % containers.length];
        container?.write(`a line of a live pod, number ${written}, with some words to make it as long as others are`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await until(async () => (await sink.stats()).documents >= written, "all is there");
    const after = usage(agent.child.pid ?? 0);
    const stats = await sink.stats();
    await agent.end("SIGTERM");
    rows.push([
      `live, ${perSecond} lines/s, maxWait 200ms`,
      `p50 ${stats.p50} ms`,
      `p99 ${stats.p99} ms`,
      `worst ${stats.worst} ms`,
      `${(((after.cpu - before.cpu) / seconds) * 100).toFixed(1)} % of a core`,
    ]);
  } finally {
    sink.child.kill();
    rmSync(root, { recursive: true, force: true });
  }
}

buildBundle();
await backlog(Number(values.mb) * 1e6, Number(values.files));
await idle(100, Number(values.seconds));
await latency(5000, Number(values.seconds));
const widths = rows.reduce<number[]>((all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)), []);
for (const row of rows) console.log(row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  "));
