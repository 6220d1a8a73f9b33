/** A node's log folders as kubelet and containerd make them, for tests that write, rotate and delete. */
import { randomBytes, randomUUID } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

export class LogNode {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
    mkdirSync(join(root, "containers"), { recursive: true });
    mkdirSync(join(root, "pods"), { recursive: true });
  }

  container(pod: string, options: { namespace?: string; container?: string; uid?: string } = {}): LogContainer {
    return new LogContainer(
      this.root,
      options.namespace ?? "shop",
      pod,
      options.container ?? "app",
      options.uid ?? randomUUID(),
    );
  }
}

/** One container: its files, its link, and what the runtime does to them. */
export class LogContainer {
  readonly folder: string;
  readonly uid: string;
  readonly #root: string;
  readonly #name: string;
  #restart = 0;
  #link = "";
  #rotations = 100_000;

  constructor(root: string, namespace: string, pod: string, container: string, uid: string) {
    this.#root = root;
    this.uid = uid;
    this.#name = `${pod}_${namespace}_${container}`;
    this.folder = join(root, "pods", `${namespace}_${pod}_${uid}`, container);
    mkdirSync(this.folder, { recursive: true });
    this.#begin();
  }

  get file(): string {
    return join(this.folder, `${this.#restart}.log`);
  }

  get link(): string {
    return this.#link;
  }

  /** Whole messages, as containerd writes them. */
  write(...messages: string[]): void {
    appendFileSync(this.file, messages.map((message) => criLine(message)).join(""));
  }

  raw(bytes: string | Buffer): void {
    appendFileSync(this.file, bytes);
  }

  /** kubelet's rotation: compress the older ones, delete beyond `keep`, rename, reopen. */
  rotate(options: { gzip?: boolean; keep?: number } = {}): void {
    const rotated = readdirSync(this.folder)
      .filter((name) => name.startsWith(`${this.#restart}.log.`) && !name.endsWith(".tmp"))
      .sort();
    const keep = options.keep ?? Number.POSITIVE_INFINITY;
    while (rotated.length > keep) rmSync(join(this.folder, rotated.shift() ?? ""));
    if (options.gzip === true)
      for (const name of rotated) {
        if (name.endsWith(".gz")) continue;
        const path = join(this.folder, name);
        writeFileSync(`${path}.tmp`, gzipSync(readFileSync(path)));
        renameSync(`${path}.tmp`, `${path}.gz`);
        unlinkSync(path);
      }
    renameSync(this.file, this.stamped());
    writeFileSync(this.file, "", { flag: "a" });
  }

  /** The name that the next rotation gives. Real ones have a resolution of a second; tests rotate faster, so they count. */
  stamped(): string {
    let name: string;
    do name = `${this.file}.20261122-${String(this.#rotations++).padStart(6, "0")}`;
    while (existsSync(name) || existsSync(`${name}.gz`));
    return name;
  }

  /** Sets the clock that names come from. */
  setClock(count: number): void {
    this.#rotations = count;
  }

  /** The container ends and starts again: another file, another link. */
  restart(): void {
    this.#restart++;
    this.#begin();
  }

  /** The pod is deleted: folder first, then the link, as kubelet does. */
  delete(): void {
    rmSync(this.folder, { recursive: true });
    for (const name of readdirSync(join(this.#root, "containers")))
      if (name.startsWith(`${this.#name}-`)) unlinkSync(join(this.#root, "containers", name));
  }

  #begin(): void {
    appendFileSync(this.file, "");
    this.#link = join(this.#root, "containers", `${this.#name}-${randomBytes(32).toString("hex")}.log`);
    symlinkSync(this.file, this.#link);
  }
}

let lastNanos = 0n;

/** One line of the CRI format, with a time that no other line has. */
export function criLine(message: string, stream = "stdout", tag = "F"): string {
  const now = BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n);
  lastNanos = now > lastNanos ? now : lastNanos + 1n;
  const seconds = lastNanos / 1_000_000_000n;
  const fraction = String(lastNanos % 1_000_000_000n).padStart(9, "0");
  const time = new Date(Number(seconds) * 1000).toISOString().replace(".000Z", `.${fraction}Z`);
  return `${time} ${stream} ${tag} ${message}\n`;
}
