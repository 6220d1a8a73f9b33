/**
 * `npm run bench`: the shipped bundle on one core against a sink on another, pod metadata attached. Prints one table: each
 * figure beside what it must be and what was recorded last (recorded.json; `--record` writes it anew). In the same run,
 * `gzip -1` over the same files and the same work in plain JavaScript, so that ratios mean something on any machine.
 *
 * An agent runs for weeks, so a backlog is large enough that what it takes to start and to compile, about a CPU-second, is
 * less than an eighth of any row.
 *
 *   node test/bench/run.ts [--mb 3000] [--files 30] [--seconds 20] [--only TEXT] [--record]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { criLine, LogNode } from "../support/node.ts";
import { buildBundle, type Program, until } from "../support/program.ts";
import { type Format, packBacklog, writeBacklog } from "./data.ts";
import { Bench, gzipSeconds, plainSeconds } from "./process.ts";

const { values } = parseArgs({
  options: {
    mb: { type: "string", default: "3000" },
    files: { type: "string", default: "30" },
    seconds: { type: "string", default: "20" },
    only: { type: "string", default: "" },
    record: { type: "boolean", default: false },
  },
});
const BYTES = Number(values.mb) * 1e6;
const FILES = Number(values.files);
const SECONDS = Number(values.seconds);
/** What runs for weeks is compiled by then. */
const WARM_SECONDS = 5;

type Outputs = (url: string) => string;

const elasticsearch: Outputs = (url) => `  - { name: es, type: elasticsearch, endpoints: ["${url}"] }`;
const slow: Outputs = (url) =>
  `  - { name: es, type: elasticsearch, endpoints: ["${url}"], batch: { maxWait: 200ms } }`;
const stackdriver: Outputs = (url) =>
  `  - { name: gcl, type: stackdriver, projectId: bench-1, location: europe-west1, clusterName: bench, endpoint: "${url}" }`;

const loki: Outputs = (url) => `  - { name: loki, type: loki, endpoint: "${url}" }`;
const both: Outputs = (url) => `${elasticsearch(url)}\n${loki(url)}`;
const parsed: Outputs = (url) =>
  `  - { name: es, type: elasticsearch, endpoints: ["${url}"], processors: [{ json: { into: root } }] }`;

interface Row {
  readonly name: string;
  /** What is promised. */
  readonly must: string;
  measure(): Promise<string>;
}

const ROWS: readonly Row[] = [
  { name: "Elasticsearch, gzip", must: "0.80 x gzip -1", measure: () => backlog(elasticsearch) },
  { name: "Elasticsearch, gzip, docker", must: "0.95 x gzip -1", measure: () => backlog(elasticsearch, "docker") },
  {
    name: "Elasticsearch, gzip, 1000 files",
    must: "1.2 x 30 files",
    measure: () => backlog(elasticsearch, "cri", 1000),
  },
  {
    name: "Elasticsearch, gzip, from .gz",
    must: "as fast as the plain files, and what unpacking takes",
    measure: () => backlog(elasticsearch, "cri", FILES, 1, true),
  },
  { name: "Cloud Logging, gzip", must: "0.95 x gzip -1", measure: () => backlog(stackdriver) },
  { name: "Loki, protobuf, snappy", must: "0.35 x gzip -1", measure: () => backlog(loki) },
  { name: "Elasticsearch, gzip, json into root", must: "1.30 x gzip -1", measure: () => backlog(parsed) },
  {
    name: "Elasticsearch and Loki",
    must: "1.1 x the sum of each alone",
    measure: () => backlog(both, "cri", FILES, 2),
  },
  { name: "idle, 100 files", must: "0.3 %, 80 MB, start 400 ms", measure: () => idle(100) },
  { name: "idle, 1000 files", must: "1.5 %", measure: () => idle(1000) },
  { name: "10 MB/s live over 100 files", must: "10 %", measure: () => live(100, 10e6, elasticsearch) },
  {
    name: "200,000 lines/s, rotated at 10 MB",
    must: "lost 0",
    measure: () => rotating(200_000, elasticsearch, SECONDS),
  },
  {
    name: "dead sink for 2 min, 10,000 lines/s",
    must: "120 MB",
    measure: () => rotating(10_000, () => elasticsearch("http://127.0.0.1:9"), 120),
  },
  { name: "one line beside 50 MB/s", must: "worst 500 ms", measure: () => fairness(50e6, 0) },
  { name: "one line beside a backlog of 1 GB", must: "worst 500 ms", measure: () => fairness(0, 1e9) },
  { name: "latency at 1 MB/s, maxWait 200ms", must: "p99 500 ms", measure: () => live(10, 1e6, slow, true) },
];

/** Reads all there is and delivers it. @param packed all of it lies in compressed generations. */
async function backlog(
  outputs: Outputs,
  format: Format = "cri",
  files = FILES,
  count = 1,
  packed = false,
): Promise<string> {
  const bench = new Bench();
  try {
    const total = writeBacklog(bench.root, files, BYTES, format);
    const gzip = gzipSeconds(bench.root);
    const withPlain = format === "cri" && files === FILES && !packed;
    const plain = withPlain ? `, plain JavaScript ${(plainSeconds(bench.root) / (total / 1e9)).toFixed(1)}` : "";
    if (packed) packBacklog(bench.root);
    const agent = await bench.start(outputs, files);
    const { metrics } = await agent.running();
    const begun = performance.now();
    await drained(metrics, total, count);
    const seconds = (performance.now() - begun) / 1000;
    const { cpu, peakMb } = bench.usage();
    const gb = total / 1e9;
    return [
      `${(cpu / gb).toFixed(2)} CPU-s/GB = ${(cpu / gzip).toFixed(2)} x gzip -1 (${(gzip / gb).toFixed(2)}${plain})`,
      `${(total / 1e6 / seconds).toFixed(0)} MB/s`,
      `peak ${peakMb.toFixed(0)} MB`,
    ].join(", ");
  } finally {
    await bench.close();
  }
}

/** @param outputs how many there are. */
async function drained(metrics: string, bytes: number, outputs = 1): Promise<void> {
  await until(
    async () => {
      const text = await (await fetch(metrics)).text();
      const read = [...text.matchAll(/^tailrace_source_read_bytes_total\{.*\} (\d+)/gm)];
      const idle = [...text.matchAll(/^tailrace_output_pending_bytes\{.*\} 0$/gm)];
      return read.length === outputs && read.every(([, value]) => Number(value) >= bytes) && idle.length === outputs;
    },
    "all is delivered",
    600_000,
    // As seldom as a Prometheus asks at most: each answer takes 8 ms.
    5000,
  );
}

/** How long single lines of a quiet container take, beside a loud one or a large backlog. */
async function fairness(loudBytesPerSecond: number, backlogBytes: number): Promise<string> {
  const bench = new Bench("quiet");
  try {
    if (backlogBytes > 0) writeBacklog(bench.root, FILES, backlogBytes);
    const node = new LogNode(bench.root);
    const [quiet, loud] = [node.container("quiet"), node.container("loud")];
    const block = Buffer.from(criLine("x".repeat(150)).repeat(Math.ceil(loudBytesPerSecond / 20 / 200)));
    const agent = await bench.start(slow, 0);
    await agent.running();
    for (const container of [quiet, loud]) container.write("quiet first line");
    await until(async () => (await bench.stats()).measured === 2, "the first lines");
    await bench.reset();
    let written = 0;
    const begun = performance.now();
    for (let due = 0; performance.now() - begun < SECONDS * 1000; due += 50) {
      if (loudBytesPerSecond > 0) loud.raw(block);
      if (written % 4 === 0) quiet.write(`quiet ${written}`);
      written++;
      await pause(Math.max(0, due + 50 - (performance.now() - begun)) / 1000);
    }
    await pause(5);
    const { p50, p99, worst } = await bench.stats();
    return `p50 ${p50} ms, p99 ${p99} ms, worst ${worst} ms of one line, maxWait 200 ms included`;
  } finally {
    await bench.close();
  }
}

/** A node on which nobody logs anything. */
async function idle(files: number): Promise<string> {
  const bench = new Bench();
  try {
    const total = writeBacklog(bench.root, files, files * 20_000);
    const agent = await bench.start(elasticsearch, files);
    const { metrics } = await agent.running();
    const started = bench.usage();
    await drained(metrics, total);
    const share = await shareOfCore(bench);
    return `${share.toFixed(2)} % of a core, ${bench.usage().rssMb.toFixed(0)} MB, start ${(started.cpu * 1000).toFixed(0)} ms CPU`;
  } finally {
    await bench.close();
  }
}

/** Percent of a core that the agent takes, once it has settled down. */
async function shareOfCore(bench: Bench): Promise<number> {
  // Files count as silent after 5 s, the first calm two seconds end in a collection, and V8 makes another 8 s later.
  await pause(25);
  const before = bench.usage().cpu;
  await pause(SECONDS);
  return ((bench.usage().cpu - before) / SECONDS) * 100;
}

/** A node whose containers write `bytesPerSecond` all together. */
async function live(files: number, bytesPerSecond: number, outputs: Outputs, latency = false): Promise<string> {
  const bench = new Bench(latency ? "latency" : "plain");
  try {
    const node = new LogNode(bench.root);
    const containers = Array.from({ length: files }, (_, i) => node.container(`live-${i}`));
    const agent: Program = await bench.start(outputs, 0);
    await agent.running();
    const message = "a line of a live pod, with some words to make it as long as lines of logs are in the middle, id ";
    const lineBytes = message.length + 50;
    for (const container of containers) container.write("the first line");
    await until(async () => (await bench.stats()).documents >= files, "the first lines");
    await bench.reset();
    let before = 0;
    const begun = performance.now();
    let written = 0;
    for (let passed = 0; passed < WARM_SECONDS + SECONDS; passed = (performance.now() - begun) / 1000) {
      if (before === 0 && passed >= WARM_SECONDS) before = bench.usage().cpu;
      const due = Math.floor((passed * bytesPerSecond) / lineBytes);
      for (; written < due; written++) containers[written % files]?.write(message + written);
      await pause(0.005);
    }
    await until(async () => (await bench.stats()).documents >= written + files, "all is there");
    const share = ((bench.usage().cpu - before) / SECONDS) * 100;
    const { p50, p99, worst } = await bench.stats();
    const delays = latency ? `, p50 ${p50} ms, p99 ${p99} ms, worst ${worst} ms` : "";
    return `${share.toFixed(1)} % of a core, peak ${bench.usage().peakMb.toFixed(0)} MB${delays}`;
  } finally {
    await bench.close();
  }
}

/** Containers write so many lines all together, and are rotated as kubelet does; with a sink that answers, what arrives. */
async function rotating(linesPerSecond: number, outputs: Outputs, seconds: number): Promise<string> {
  const bench = new Bench();
  try {
    const node = new LogNode(bench.root);
    const containers = Array.from({ length: FILES }, (_, i) => node.container(`storm-${i}`));
    const agent = await bench.start(outputs, 0);
    const { metrics } = await agent.running();
    const begun = performance.now();
    const sizes = containers.map(() => 0);
    let written = 0;
    while (performance.now() - begun < seconds * 1000) {
      const due = Math.floor((((performance.now() - begun) / 1000) * linesPerSecond) / FILES) - written;
      const block = Buffer.from(criLine(`a line of a storm ${"x".repeat(180)}`).repeat(due));
      for (const [i, container] of containers.entries()) {
        container.raw(block);
        const size = (sizes[i] ?? 0) + block.length;
        if (size > 10e6) container.rotate({ keep: 3 });
        sizes[i] = size > 10e6 ? 0 : size;
      }
      written += due;
      await pause(0.02);
    }
    const isUp = outputs(bench.url).includes(bench.url);
    const { cpu, peakMb } = bench.usage();
    const share = ((cpu / seconds) * 100).toFixed(0);
    if (!isUp) return `peak ${peakMb.toFixed(0)} MB, ${share} % of a core`;
    await quiet(metrics);
    const lost = written * FILES - (await bench.stats()).documents;
    return `lost ${lost} of ${written * FILES}, ${share} % of a core, peak ${peakMb.toFixed(0)} MB`;
  } finally {
    await bench.close();
  }
}

/** Waits until nothing is unread and nothing pending. */
async function quiet(metrics: string): Promise<void> {
  await until(
    async () => {
      const text = await (await fetch(metrics)).text();
      return (
        /^tailrace_output_pending_bytes\{.*\} 0$/m.test(text) && !/^tailrace_source_lag_bytes\{.*\} [1-9]/m.test(text)
      );
    },
    "all is delivered",
    600_000,
    1000,
  );
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

const file = join(import.meta.dirname, "recorded.json");
const recorded = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
buildBundle();
for (const { name, must, measure } of ROWS.filter((row) => row.name.includes(values.only))) {
  const found = await measure();
  console.log(`${name.padEnd(34)} ${found}\n${"".padEnd(34)}   must ${must}; recorded ${recorded[name] ?? "nothing"}`);
  recorded[name] = found;
}
if (values.record) writeFileSync(file, `${JSON.stringify(recorded, undefined, 2)}\n`);
