/**
 * Tap: a live view of the records on their way to the outputs, after the processors. Nobody watching costs nothing; a
 * watcher gets at most a fixed share of records in a while, and a slow one misses records, is told how many, and never
 * holds the agent up.
 *
 * Each record is a line: {"output":"es","record":{…}}, the record in ECS. What is missed is a line {"missed":17}.
 */
import picomatch from "picomatch";
import { type Batch, DROPPED } from "../batch.ts";
import type { Origin } from "../pods/origin.ts";

export const TAP_FILTERS = ["namespace", "pod", "container", "output"] as const;

/** Globs; what is not given matches everything. */
export type TapFilter = { readonly [name in (typeof TAP_FILTERS)[number]]?: string };

/** Where a watcher's lines go, as far as a response or any other stream has it. */
interface Sink {
  /** @returns whether it wants more. */
  write(text: string): boolean;
  on(event: "drain" | "close", listener: () => void): unknown;
}

const FLUSH_MS = 100;
/** Bytes for a watcher between two flushes: some 2.5 MB/s, more than anyone reads. */
const ROOM_BYTES = 256 * 1024;
/** Line ends that say nothing, so that a watcher whose connection is broken is noticed. */
const ALIVE_MS = 15_000;
const MAX_WATCHERS = 16;

export class Tap {
  readonly #watchers = new Set<Watcher>();
  readonly #render: (batch: Batch, row: number) => string;

  /** @param render one record as a line of JSON, without the line end. */
  constructor(render: (batch: Batch, row: number) => string) {
    this.#render = render;
  }

  /** Shows a batch to whoever watches. Called for each batch of each output, so it returns at once when nobody does. */
  see(output: string, batch: Batch): void {
    for (const watcher of this.#watchers) watcher.see(output, batch, this.#render);
  }

  /** Writes what the filter lets through to the sink until it closes. @returns false when too many watch already. */
  open(filter: TapFilter, sink: Sink): boolean {
    if (this.#watchers.size >= MAX_WATCHERS) return false;
    const watcher = new Watcher(filter, sink);
    this.#watchers.add(watcher);
    sink.on("close", () => {
      this.#watchers.delete(watcher);
      watcher.close();
    });
    return true;
  }
}

class Watcher {
  readonly #sink: Sink;
  readonly #ofOutput: (name: string) => boolean;
  readonly #ofOrigin: (origin: Origin) => boolean;
  readonly #timer: NodeJS.Timeout;
  #lines: string[] = [];
  #room = ROOM_BYTES;
  #missed = 0;
  #blocked = false;
  #silentMs = 0;

  constructor({ namespace, pod, container, output }: TapFilter, sink: Sink) {
    this.#sink = sink;
    this.#ofOutput = glob(output);
    const [ofNamespace, ofPod, ofContainer] = [glob(namespace), glob(pod), glob(container)];
    const known = new WeakMap<Origin, boolean>();
    this.#ofOrigin = (origin) => {
      let matches = known.get(origin);
      if (matches === undefined) {
        matches = ofNamespace(origin.namespace) && ofPod(origin.pod) && ofContainer(origin.container);
        known.set(origin, matches);
      }
      return matches;
    };
    sink.on("drain", () => {
      this.#blocked = false;
    });
    this.#timer = setInterval(() => this.#flush(), FLUSH_MS);
  }

  see(output: string, batch: Batch, render: (batch: Batch, row: number) => string): void {
    if (!this.#ofOutput(output) || !this.#ofOrigin(batch.origin)) return;
    for (let row = 0; row < batch.rows; row++) {
      if (((batch.flags[row] as number) & DROPPED) !== 0) continue;
      if (this.#room <= 0) {
        this.#missed++;
        continue;
      }
      const line = `{"output":${JSON.stringify(output)},"record":${render(batch, row)}}\n`;
      this.#room -= line.length;
      this.#lines.push(line);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #flush(): void {
    if (this.#blocked) return;
    if (this.#missed > 0) this.#lines.push(`{"missed":${this.#missed}}\n`);
    this.#silentMs += FLUSH_MS;
    if (this.#lines.length === 0 && this.#silentMs < ALIVE_MS) return;
    this.#blocked = !this.#sink.write(this.#lines.join("") || "\n");
    this.#lines = [];
    this.#room = ROOM_BYTES;
    this.#missed = 0;
    this.#silentMs = 0;
  }
}

function glob(pattern: string | undefined): (value: string) => boolean {
  return pattern === undefined || pattern === "" ? () => true : picomatch(pattern, { dot: true });
}
