/** Everything from the files to the lane's door, on real files: what an output would be given, kept as records. */
import type { Receipt } from "../../agent/acks.ts";
import { type Batch, DROPPED, STDERR, TRUNCATED, UNPARSED } from "../../agent/batch.ts";
import { type Clock, systemClock } from "../../agent/clock.ts";
import { Consumer, type ConsumerOptions, type Routing } from "../../agent/consumer.ts";
import type { Cursor } from "../../agent/cursor.ts";
import { chunkBytesOf } from "../../agent/lines.ts";
import type { ContainerLog, Origin } from "../../agent/pods/origin.ts";
import { Checkpoints } from "../../agent/tail/checkpoints.ts";
import { Descriptors } from "../../agent/tail/descriptors.ts";
import { Tailer } from "../../agent/tail/discover.ts";
import { type KeptLog, keepLog } from "./quiet-log.ts";

export interface KeptRecord {
  readonly id: string;
  readonly pod: string;
  readonly uid: string;
  readonly restart: number;
  readonly message: string;
  readonly stream: "stdout" | "stderr";
  readonly truncated: boolean;
  readonly unparsed: boolean;
  readonly size: number;
  shipped: boolean;
  readonly reader: Consumer;
  settle(how: "shipped" | "dropped"): void;
}

const NO_PROCESSORS: Routing = { refusal: () => undefined, steps: () => [] };

const origins = new WeakMap<ContainerLog, Origin>();

function originOf(log: ContainerLog): Origin {
  let origin = origins.get(log);
  if (origin === undefined) {
    const unknown = { cluster: "", node: "", ip: "", image: "", runtime: "", workloadKind: "", workload: "" };
    origin = { ...log, ...unknown, labels: {}, annotations: {}, namespaceLabels: {} };
    origins.set(log, origin);
  }
  return origin;
}

export class Reader {
  readonly records: KeptRecord[] = [];
  readonly losses: { readonly bytes: number; readonly reason: string }[] = [];
  readonly kept: KeptLog;
  readonly tailer: Tailer;
  consumer: Consumer;
  readonly #build: () => Consumer;
  readonly checkpoints: Checkpoints;
  /** Rows are accepted as they come. */
  accepting = true;
  /** Called right before a file is read. */
  beforeRead = (): void => {};

  #saving: NodeJS.Timeout | undefined;

  private constructor(
    root: string,
    checkpoints: Checkpoints,
    kept: KeptLog,
    options: Partial<ConsumerOptions>,
    descriptors: Descriptors,
    clock: Clock,
    routing: Routing,
  ) {
    this.kept = kept;
    this.checkpoints = checkpoints;
    this.#build = () =>
      new Consumer(
        {
          name: "out",
          memory: 1 << 20,
          startAt: "beginning",
          partialTimeout: 60_000,
          format: "auto",
          maxRecordBytes: 1 << 20,
          maxBacklog: { bytes: 0 },
          ...options,
        },
        {
          origin: (log) => {
            this.beforeRead();
            return originOf(log);
          },
          settled: () => true,
        },
        routing,
        { append: (batch, receipt) => this.#keep(batch, receipt) },
        checkpoints,
        clock,
        kept.log,
        { read: () => {}, dropped: () => {}, lost: (bytes, reason) => this.losses.push({ bytes, reason }) },
        (chain) => {
          const file = this.consumer.cursors.get(chain)?.needed;
          if (file !== undefined) chain.trim(file);
        },
        (chain) => this.tailer.forget(chain),
      );
    this.consumer = this.#build();
    this.tailer = new Tailer(
      { include: [`${root}/containers/*.log`], exclude: [], roots: [root] },
      {
        onChain: (chain, early) => this.consumer.attach(chain, early),
        onChange: (chain) => this.consumer.wake(chain),
        onGone: () => {},
      },
      descriptors,
      clock,
      kept.log,
    );
  }

  static async start(
    root: string,
    options: Partial<ConsumerOptions> = {},
    accepting = true,
    descriptors = new Descriptors(512),
    clock: Clock = systemClock,
    routing: Routing = NO_PROCESSORS,
  ): Promise<Reader> {
    const kept = keepLog();
    const checkpoints = await Checkpoints.open(`${root}/state`, kept.log);
    const reader = new Reader(root, checkpoints, kept, options, descriptors, clock, routing);
    reader.accepting = accepting;
    await reader.tailer.start();
    reader.consumer.forgetGone();
    reader.consumer.start();
    // Containers in a convoy wait for checkpoints, which the agent saves every half second.
    if (options.convoy !== undefined) reader.#saving = setInterval(() => void reader.checkpoints.save(), 20);
    return reader;
  }

  get messages(): string[] {
    return this.records.map(({ message }) => message);
  }

  /** Accepts what was kept back, and everything from now on. */
  accept(): void {
    this.accepting = true;
    for (const record of this.records) record.settle("shipped");
  }

  /** Bytes read, accepted, dropped and pending of all containers; throws when they do not add up. */
  ledger(): { read: number; shipped: number; pending: number; dropped: number } {
    let [read, shipped, pending, byRule, dropped] = [0, 0, 0, 0, 0];
    for (const { ledger } of this.consumer.cursors.values()) {
      read += ledger.read;
      shipped += ledger.shipped;
      pending += ledger.pending;
      dropped += ledger.droppedTotal;
      byRule += ledger.droppedTotal - (ledger.dropped.get("test") ?? 0);
    }
    const followed = new Set([...this.consumer.cursors.keys()].map(({ segments }) => segments[0]?.log.uid));
    const kept = this.records.reduce(
      (sum, { size, uid, reader }) => sum + (followed.has(uid) && reader === this.consumer ? size : 0),
      0,
    );
    let unfinished = 0;
    for (const { pendingBytes } of this.consumer.cursors.values()) unfinished += pendingBytes;
    if (read !== kept + byRule + unfinished)
      throw new Error(`${read} bytes read, ${kept} in rows, ${byRule} dropped, ${unfinished} in unfinished messages`);
    return { read, shipped, pending, dropped };
  }

  /** Everything that there is to see now is seen and read, as far as the budget goes. */
  async look(): Promise<void> {
    await this.tailer.look();
    this.consumer.retryUnsettled();
    const deadline = Date.now() + 60_000;
    for (let turns = 0, quiet = 0; quiet < 3; turns++) {
      if (Date.now() > deadline)
        throw new Error(`reading gets no further: ${[...this.consumer.cursors.values()].map(where).join("; ")}`);
      await new Promise((resolve) => setImmediate(resolve));
      if (turns % 100 === 99) this.consumer.retryUnsettled();
      quiet =
        this.consumer.waiting && this.consumer.budget.fits(chunkBytesOf(this.consumer.budget.limit)) ? 0 : quiet + 1;
    }
  }

  /** The output is rebuilt, as a changed configuration asks for: another consumer goes on at the checkpoints. */
  async reload(): Promise<void> {
    const former = this.consumer;
    await former.stop();
    this.consumer = this.#build();
    for (const chain of former.cursors.keys()) this.consumer.attach(chain, false);
    this.consumer.start();
  }

  /** As after a kill: checkpoints as they were last saved are all that is left. */
  async stop(save = true): Promise<void> {
    clearInterval(this.#saving);
    await this.consumer.stop();
    await this.tailer.stop();
    if (save) await this.checkpoints.save();
  }

  #keep(batch: Batch, receipt: Receipt): void {
    for (let row = 0; row < batch.rows; row++) {
      const flags = batch.flags[row] as number;
      if ((flags & DROPPED) !== 0) continue;
      const size = batch.size[row] as number;
      const generation = batch.extra?.get(row)?.generation ?? batch.generation;
      let settled = false;
      const reader = this.consumer;
      const record: KeptRecord = {
        id: `${generation.key}-${batch.offset[row]}`,
        pod: batch.origin.pod,
        uid: batch.origin.uid,
        shipped: false,
        reader,
        restart: batch.origin.restart,
        message: batch.bytes.toString("utf8", batch.from[row], batch.to[row]),
        stream: (flags & STDERR) !== 0 ? "stderr" : "stdout",
        truncated: (flags & TRUNCATED) !== 0,
        unparsed: (flags & UNPARSED) !== 0,
        size,
        settle: (how) => {
          // What the former consumer had in flight was given up with its lane.
          if (settled || reader !== this.consumer) return;
          settled = true;
          record.shipped = how === "shipped";
          if (record.shipped) receipt.shipped(1, size);
          else receipt.dropped(1, size, "test");
        },
      };
      this.records.push(record);
      if (this.accepting) record.settle("shipped");
    }
  }
}

/** For messages of failed tests. */
function where({ chain, file, offset, ready }: Cursor): string {
  const files = chain.files.map(
    (known) => `${known.path.slice(-25)} ${known.size} ${known.final} ${known.left}${known.gone}`,
  );
  return `${ready} ${file?.path.slice(-25)} ${offset} of ${files.join(", ")}`;
}
