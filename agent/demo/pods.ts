/**
 * Sample pods: programs that never ran, whose logs are written as a node's runtime would write them: links in
 * containers/, files in pods/, CRI and docker formats, long lines in parts, a rotation now and then.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { appendFileSync, mkdirSync, renameSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { isoTime } from "../clock.ts";

const PART_BYTES = 16384;
const ROTATE_BYTES = 64 * 1024;

type Stream = "stdout" | "stderr";
/** What a pod prints at one moment. */
type Say = (round: number) => readonly (readonly [Stream, string])[];

interface SamplePod {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly format: "cri" | "docker";
  readonly say: Say;
}

const PATHS = ["/", "/cart", "/checkout", "/api/v1/items/17", "/healthz"];

const PODS: readonly SamplePod[] = [
  {
    namespace: "shop",
    pod: "web-7d4b9c6f5-x2x9z",
    container: "nginx",
    format: "cri",
    say: (round) => [
      [
        "stdout",
        `10.0.0.${round % 250} - - "GET ${PATHS[round % PATHS.length]} HTTP/1.1" ${round % 17 === 0 ? 502 : 200} ${400 + ((round * 7919) % 9000)}`,
      ],
    ],
  },
  {
    namespace: "shop",
    pod: "api-6c8f9d7b5d-q9zlk",
    container: "api",
    format: "cri",
    say: (round) => [
      [
        "stdout",
        JSON.stringify({
          level: round % 9 === 0 ? "WARN" : "INFO",
          msg: "order placed",
          order: 1000 + round,
          tookMs: (round * 37) % 250,
        }),
      ],
    ],
  },
  {
    namespace: "shop",
    pod: "report-7b6d5c4f8-n3p5r",
    container: "java",
    format: "cri",
    say: (round) =>
      round % 8 === 3
        ? [
            ["stderr", 'Exception in thread "main" java.lang.IllegalStateException: report 17 is not ready'],
            ["stderr", "\tat com.example.Report.render(Report.java:42)"],
            ["stderr", "\tat com.example.Main.main(Main.java:7)"],
            ["stderr", "Caused by: java.io.IOException: connection reset"],
            ["stderr", "\t... 2 more"],
          ]
        : [],
  },
  {
    namespace: "legacy",
    pod: "importer-0",
    container: "importer",
    format: "docker",
    say: (round) => [
      ["stdout", `imported <${round * 100}> rows & "quoted" Zürich 日本`],
      ...(round % 20 === 7 ? [["stdout", `a long line: ${"x".repeat(40_000)}`] as const] : []),
    ],
  },
];

class Writer {
  readonly #pod: SamplePod;
  readonly #file: string;

  constructor(root: string, sample: SamplePod) {
    this.#pod = sample;
    const { namespace, pod, container } = sample;
    const id = randomBytes(32).toString("hex");
    const folder = join(root, "pods", `${namespace}_${pod}_${randomUUID()}`, container);
    mkdirSync(folder, { recursive: true });
    this.#file = join(folder, "0.log");
    if (sample.format === "docker") {
      const target = join(root, "docker", id);
      mkdirSync(target, { recursive: true });
      const real = join(target, `${id}-json.log`);
      appendFileSync(real, "");
      symlinkSync(real, this.#file);
    } else appendFileSync(this.#file, "");
    symlinkSync(this.#file, join(root, "containers", `${pod}_${namespace}_${container}-${id}.log`));
  }

  write(round: number): void {
    for (const [stream, text] of this.#pod.say(round)) {
      if (this.#pod.format === "cri") this.#rotate();
      appendFileSync(this.#file, this.#pod.format === "cri" ? criLines(stream, text) : dockerLines(stream, text));
    }
  }

  /** As kubelet does: rename, and the runtime opens a new file. */
  #rotate(): void {
    if (statSync(this.#file).size < ROTATE_BYTES) return;
    const stamp = isoTime(Date.now()).replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
    renameSync(this.#file, `${this.#file}.${stamp}`);
    appendFileSync(this.#file, "");
  }
}

function criLines(stream: Stream, text: string): Buffer {
  const bytes = Buffer.from(text);
  const lines: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += PART_BYTES) {
    const tag = at + PART_BYTES < bytes.length ? "P" : "F";
    lines.push(Buffer.from(`${now()} ${stream} ${tag} `), bytes.subarray(at, at + PART_BYTES), Buffer.from("\n"));
  }
  return Buffer.concat(lines);
}

function dockerLines(stream: Stream, text: string): string {
  let lines = "";
  for (let at = 0; at <= text.length; at += PART_BYTES) {
    const part = `${text.slice(at, at + PART_BYTES)}${at + PART_BYTES > text.length ? "\n" : ""}`;
    const log = JSON.stringify(part).replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
    lines += `{"log":${log},"stream":"${stream}","time":"${now()}"}\n`;
  }
  return lines;
}

function now(): string {
  const nanos = String(process.hrtime.bigint() % 1_000_000n).padStart(6, "0");
  return isoTime(Date.now()).replace("Z", `${nanos}Z`);
}

/** Lays out a node's log folders and writes to them until stopped. */
export class SampleNode {
  readonly #writers: readonly Writer[];
  readonly #timer: NodeJS.Timeout;
  #round = 0;

  /** @param root an empty folder. */
  constructor(root: string, everyMs: number) {
    mkdirSync(join(root, "containers"), { recursive: true });
    this.#writers = PODS.map((sample) => new Writer(root, sample));
    this.#timer = setInterval(() => {
      for (const writer of this.#writers) writer.write(this.#round);
      this.#round++;
    }, everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
