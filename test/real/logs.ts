/**
 * A node's logs for the real servers: the samples of real runtimes, and generated pods that write, rotate and compress
 * while the agent reads. What was printed is kept, to be compared with what arrives.
 */
import { existsSync, mkdirSync, renameSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { Printed } from "../support/arrived.ts";
import { criLine, type LogContainer, LogNode } from "../support/node.ts";
import { type SampleContainer, sampleCases, unpackSample } from "../support/samples.ts";

/** containerd splits what is longer. */
const PART_BYTES = 16_384;
const PODS = 24;
/** Of one pod in one go. */
const BURST = 250;
const BURSTS_PER_ROTATION = 6;

interface Pod {
  readonly log: LogContainer;
  readonly printed: Printed;
  bursts: number;
}

export class NodeLogs {
  readonly root: string;
  /** Every container with what it has printed so far. */
  readonly printed: Printed[];
  readonly #pods: Pod[];
  #serial = 0;

  /** @param root an empty folder. */
  constructor(root: string) {
    this.root = root;
    this.printed = sampleCases.flatMap((name, i) => {
      const folder = join(root, "samples", name);
      mkdirSync(folder, { recursive: true });
      return asOwnPods(unpackSample(name, folder), folder, i);
    });
    const node = new LogNode(join(root, "generated"));
    this.#pods = Array.from({ length: PODS }, (_, i) => {
      const names = { namespace: i % 3 === 0 ? "shop" : "kube-system", pod: `web-${i}`, container: "app" };
      const log = node.container(names.pod, names);
      const messages: Printed["messages"] = { stdout: [], stderr: [] };
      return { log, printed: { ...names, uid: log.uid, link: log.link, messages, lossy: false }, bursts: 0 };
    });
    this.printed.push(...this.#pods.map(({ printed }) => printed));
  }

  /** For `source.include` of the configuration. */
  get include(): string[] {
    return [
      join(this.root, "samples", "*", "containers", "*.log"),
      join(this.root, "generated", "containers", "*.log"),
    ];
  }

  /** Messages that must arrive, but for those of containers whose runtime has deleted files. */
  get count(): number {
    let count = 0;
    for (const { messages, lossy } of this.printed)
      if (!lossy) count += messages.stdout.length + messages.stderr.length;
    return count;
  }

  /** Lets the generated pods write until there are about this many messages on the node. */
  writeUpTo(count: number): void {
    for (let written = this.count; written < count; written += BURST) this.#burst();
  }

  /** One pod writes; now and then its log is rotated. */
  #burst(): void {
    const pod = this.#pods[Math.floor(this.#serial / BURST) % PODS] as Pod;
    let text = "";
    for (let i = 0; i < BURST; i++) {
      const serial = this.#serial++;
      const stream = serial % 10 === 9 ? "stderr" : "stdout";
      const message = messageOf(serial);
      pod.printed.messages[stream].push(message);
      text += lines(message, stream);
    }
    pod.log.raw(text);
    if (++pod.bursts % BURSTS_PER_ROTATION === 0) pod.log.rotate({ gzip: true });
  }
}

/** Samples of different cases share pods, a node's pods have a uid each. */
function asOwnPods(containers: readonly SampleContainer[], root: string, nth: number): SampleContainer[] {
  return containers.map((sample) => {
    const uid = `${String(nth).padStart(8, "0")}${sample.uid.slice(8)}`;
    const folder = (of: string): string => join(root, "pods", `${sample.namespace}_${sample.pod}_${of}`);
    if (!existsSync(folder(uid))) renameSync(folder(sample.uid), folder(uid));
    const target = sample.target.replace(folder(sample.uid), folder(uid));
    unlinkSync(sample.link);
    symlinkSync(target, sample.link);
    return { ...sample, uid, target };
  });
}

/** What programs print: mostly JSON and access logs, and now and then what breaks parsers. */
function messageOf(serial: number): string {
  const address = `10.0.${serial % 250}.${serial % 199}`;
  if (serial % 2000 === 1999) return `${serial} ${"long ".repeat(8_000)}`;
  if (serial % 500 === 499) return "";
  if (serial % 100 === 99) return `${serial} tab\tbell\x07 nul\x00 escape\x1b[31m quote " backslash \\ {"half": `;
  if (serial % 50 === 49) return `${serial} äöü 漢字 😀 \u2028 ${"é".repeat(serial % 40)}`;
  if (serial % 3 === 0)
    return `${address} - - "GET /cart/${serial}?page=${serial % 7} HTTP/1.1" 200 ${serial % 9973} "-" "curl/8.5.0"`;
  return JSON.stringify({
    level: "info",
    msg: "order placed",
    order: serial,
    user: `user-${serial % 997}`,
    took_ms: serial % 311,
  });
}

function lines(message: string, stream: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= PART_BYTES) return criLine(message, stream);
  let text = "";
  for (let at = 0; at < bytes.length; at += PART_BYTES) {
    const tag = at + PART_BYTES < bytes.length ? "P" : "F";
    text += criLine(bytes.toString("utf8", at, at + PART_BYTES), stream, tag);
  }
  return text;
}
