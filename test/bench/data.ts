/** Log data made by seed: JSON application lines, access log, klog and Java traces in CRI format, as nodes really have. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readdirSync, renameSync, symlinkSync, writeSync } from "node:fs";
import { join } from "node:path";

/** A small generator of numbers that are the same on every machine (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const METHODS = ["GET", "GET", "GET", "POST", "PUT", "DELETE"];
const PATHS = ["/api/v1/orders", "/api/v1/items", "/healthz", "/static/app.js", "/search", "/checkout"];
const WORDS = ["order", "accepted", "customer", "payment", "timeout", "retry", "Zürich", "cache", "miss", "stored"];
const AGENTS = ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "curl/8.5.0", "kube-probe/1.34"];

export type Format = "cri" | "docker";

export class LogData {
  readonly #random: () => number;
  readonly #format: Format;
  #nanos = 0;
  #seconds = 1_790_000_000;

  constructor(seed: number, format: Format = "cri") {
    this.#random = numbers(seed);
    this.#format = format;
  }

  /** The runtime's lines of one printed line or trace. */
  lines(): string {
    const kind = this.#random();
    if (kind < 0.46) return this.#line("stdout", this.#json());
    if (kind < 0.86) return this.#line("stdout", this.#access());
    if (kind < 0.985) return this.#line("stderr", this.#klog());
    return this.#trace();
  }

  #pick(list: readonly string[]): string {
    return list[Math.floor(this.#random() * list.length)] ?? "";
  }

  #hex(length: number): string {
    let text = "";
    while (text.length < length)
      text += Math.floor(this.#random() * 0x10000000)
        .toString(16)
        .padStart(7, "0");
    return text.slice(0, length);
  }

  #int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #line(stream: string, message: string): string {
    this.#nanos += 1 + this.#int(400_000);
    if (this.#nanos >= 1e9) {
      this.#nanos -= 1e9;
      this.#seconds++;
    }
    const second = new Date(this.#seconds * 1000).toISOString().slice(0, 19);
    const time = `${second}.${String(this.#nanos).padStart(9, "0")}Z`;
    if (this.#format === "docker") return `${JSON.stringify({ log: `${message}\n`, stream, time })}\n`;
    return `${time} ${stream} F ${message}\n`;
  }

  #json(): string {
    return JSON.stringify({
      level: this.#pick(["info", "info", "info", "debug", "warn", "error"]),
      ts: this.#seconds + this.#nanos / 1e9,
      logger: `shop.${this.#pick(WORDS)}`,
      msg: `${this.#pick(WORDS)} ${this.#pick(WORDS)} ${this.#int(100000)} "${this.#pick(WORDS)}"`,
      trace_id: this.#hex(32),
      span_id: this.#hex(16),
      user: { id: this.#int(1e6), region: this.#pick(["eu", "us", "ap"]) },
      took_ms: this.#int(3000) / 10,
    });
  }

  #access(): string {
    return `10.${this.#int(255)}.${this.#int(255)}.${this.#int(255)} - - [22/Nov/2026:10:00:00 +0000] "${this.#pick(METHODS)} ${this.#pick(PATHS)}/${this.#int(9999)} HTTP/1.1" 200 ${this.#int(60000)} "-" "${this.#pick(AGENTS)}"`;
  }

  #klog(): string {
    return `I1122 10:00:00.${String(this.#int(1e6)).padStart(6, "0")}       1 controller.go:${this.#int(900)}] "Reconciled" ${this.#pick(WORDS)}="${this.#pick(WORDS)}-${this.#int(100)}" duration="${this.#int(900)}ms"`;
  }

  #trace(): string {
    let text = this.#line("stderr", `java.lang.IllegalStateException: ${this.#pick(WORDS)} ${this.#int(1000)}`);
    for (let i = 0; i < 12; i++)
      text += this.#line(
        "stderr",
        `\tat com.example.${this.#pick(WORDS)}.Service.call(Service.java:${this.#int(500)})`,
      );
    return text;
  }
}

/** The uid of the pod that writes file number `i`. */
export function uidOf(i: number): string {
  return `00000000-0000-4000-8000-${String(i).padStart(12, "0")}`;
}

/** Writes `bytes` of logs over `files` containers into a node tree below `root`. @returns bytes written. */
export function writeBacklog(root: string, files: number, bytes: number, format: Format = "cri"): number {
  mkdirSync(join(root, "containers"), { recursive: true });
  let total = 0;
  for (let i = 0; i < files; i++) {
    const data = new LogData(i + 1, format);
    const folder = join(root, "pods", `shop_bench-${i}_${uidOf(i)}`, "app");
    mkdirSync(folder, { recursive: true });
    const file = openSync(join(folder, "0.log"), "w");
    let chunk = "";
    let written = 0;
    while (written + chunk.length < bytes / files) {
      chunk += data.lines();
      if (chunk.length > 1 << 20) {
        written += writeSync(file, chunk);
        chunk = "";
      }
    }
    written += writeSync(file, chunk);
    closeSync(file);
    total += written;
    const id = i.toString(16).padStart(64, "0");
    symlinkSync(join(folder, "0.log"), join(root, "containers", `bench-${i}_shop_app-${id}.log`));
  }
  return total;
}

/** Rotates all of a backlog as kubelet does: each log is one compressed generation, behind it an empty live file. */
export function packBacklog(root: string): void {
  for (const pod of readdirSync(join(root, "pods"))) {
    const live = join(root, "pods", pod, "app", "0.log");
    const rotated = `${live}.20261122-000000`;
    renameSync(live, rotated);
    execFileSync("gzip", [rotated]);
    closeSync(openSync(live, "w"));
  }
}
