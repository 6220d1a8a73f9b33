/**
 * START READING HERE. The agent: builds everything from a configuration, runs it, and stops it in order. More than 300
 * lines, for the whole wiring is to be seen in one place.
 *
 *   Tailer (finds files) -> Consumer per output (reads, scans, processes) -> Lane (batches, sends, retries) -> Output (encodes)
 *                                  ^                                  |
 *                             Checkpoints  <-  Acks (contiguous)  <---+
 */
import { join } from "node:path";
import { DeadLetter } from "../outputs/dead-letter.ts";
import { createOutput } from "../outputs/index.ts";
import { Lane } from "../outputs/lane.ts";
import { AdminServer } from "./admin/server.ts";
import { containerStatus, type OutputStatus, type Status } from "./admin/status.ts";
import type { Clock } from "./clock.ts";
import type { Config, OutputConfig } from "./config/schema.ts";
import { Consumer } from "./consumer.ts";
import { Health } from "./health.ts";
import type { Log } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { type Pods, startPods } from "./pods/store.ts";
import { namedIn } from "./process/match.ts";
import { Plan } from "./process/plan.ts";
import type { Chain } from "./tail/chain.ts";
import { Checkpoints } from "./tail/checkpoints.ts";
import { systemDescriptors } from "./tail/descriptors.ts";
import { Tailer } from "./tail/discover.ts";
import { checkHold } from "./tail/hold.ts";
import { acquireLock, type Lock } from "./tail/lock.ts";
import { VERSION } from "./version.ts";

const CHECKPOINT_MS = 500;

/** One output's whole path: its reader and its sender. */
interface Pipeline {
  readonly config: OutputConfig;
  readonly consumer: Consumer;
  readonly lane: Lane;
}

export class Agent {
  readonly #config: Config;
  readonly #configHash: string;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #pipelines: Pipeline[] = [];
  readonly #health: Health;
  readonly #descriptors = systemDescriptors();
  readonly #startedAt: number;
  #tailer: Tailer | undefined;
  #pods: Pods | undefined;
  #checkpoints: Checkpoints | undefined;
  #lock: Lock | undefined;
  #admin: AdminServer | undefined;
  #timer: NodeJS.Timeout | undefined;
  #listed = false;

  constructor(
    config: Config,
    configHash: string,
    env: Readonly<Record<string, string | undefined>>,
    clock: Clock,
    log: Log,
  ) {
    this.#config = config;
    this.#configHash = configHash;
    this.#env = env;
    this.#clock = clock;
    this.#log = log;
    this.#startedAt = clock.monotonic();
    this.#metrics = new Metrics(VERSION, (metrics) => this.#collect(metrics));
    this.#health = new Health(clock, () => this.#pipelines);
  }

  /** @throws FatalError when the agent can't work: no data folder, another instance, an address that is taken. */
  async start(): Promise<void> {
    const { dataDir, source, kubernetes, nodeName, clusterName, processors, outputs } = this.#config;
    this.#checkpoints = await Checkpoints.open(dataDir, this.#log);
    this.#lock = await acquireLock(dataDir);
    this.#admin = await AdminServer.start(this.#config.admin, {
      metrics: () => this.#metrics.text(),
      contentType: this.#metrics.registry.contentType,
      health: () => this.#health.stuck(),
      ready: () => this.#unready(),
      status: () => this.#status(),
    });
    this.#pods = await startPods({
      kubernetes,
      settings: {
        prefix: kubernetes.annotationPrefix,
        allow: kubernetes.podSettings.allow,
        outputs: outputs.map(({ name }) => name),
      },
      named: namedIn([{ processors }, ...outputs.map(({ match, processors }) => ({ match, processors }))]),
      nodeName,
      clusterName,
      env: this.#env,
      log: this.#log,
      clock: this.#clock,
    });
    this.#pods.onChange(() => {
      for (const { consumer } of this.#pipelines) consumer.retryUnsettled();
    });
    for (const output of this.#config.outputs) this.#pipelines.push(this.#build(output, this.#checkpoints, this.#pods));
    this.#tailer = new Tailer(
      source,
      {
        onChain: (chain, early) => {
          for (const { consumer } of this.#pipelines) consumer.attach(chain, early);
        },
        onChange: (chain) => {
          for (const { consumer } of this.#pipelines) consumer.wake(chain);
        },
        onGone: () => {},
      },
      this.#descriptors,
      this.#clock,
      this.#log,
    );
    for (const { consumer } of this.#pipelines) consumer.start();
    await this.#tailer.start();
    if (this.#tailer.complete) for (const { consumer } of this.#pipelines) consumer.forgetGone();
    this.#listed = true;
    this.#timer = setInterval(() => {
      this.#checkHold();
      void this.#checkpoints?.save();
    }, CHECKPOINT_MS);
    this.#log.info(
      {
        version: VERSION,
        node: nodeName,
        outputs: this.#config.outputs.map(({ name, type }) => `${name} (${type})`),
        containers: this.#tailer.chains.size,
        metrics: `http://${this.#admin.address}/metrics`,
        status: `http://${this.#admin.uiAddress}/api/v1/status`,
      },
      "running",
    );
  }

  /** Addresses that the listeners really have; a configured port 0 takes any. */
  get addresses(): { admin: string; ui: string } {
    return { admin: this.#admin?.address ?? "", ui: this.#admin?.uiAddress ?? "" };
  }

  /** Stops reading, gives what was read `shutdownTimeout` to be accepted, and saves the checkpoints. */
  async stop(): Promise<void> {
    this.#log.info({}, "stopping: what was read is being delivered");
    clearInterval(this.#timer);
    await Promise.all(this.#pipelines.map(({ consumer }) => consumer.stop()));
    const grace = new Promise<void>((resolve) => setTimeout(resolve, this.#config.shutdownTimeout).unref());
    await Promise.race([grace, Promise.all(this.#pipelines.map(({ lane }) => lane.flush()))]);
    const pending = this.#pipelines.reduce((sum, { consumer }) => sum + consumer.budget.used, 0);
    await Promise.all(this.#pipelines.map(({ lane }) => lane.close()));
    await this.#tailer?.stop();
    await this.#checkpoints?.save();
    await this.#pods?.close();
    await this.#admin?.stop();
    this.#lock?.release();
    this.#log.info(
      { pendingBytes: pending },
      pending > 0 ? "stopped; what is pending is read again at the next start" : "stopped",
    );
  }

  #build(config: OutputConfig, checkpoints: Checkpoints, pods: Pods): Pipeline {
    const { name, memory, batch, request, retry, deadLetter } = config;
    const { source, dataDir } = this.#config;
    const metrics = this.#metrics;
    const label = { output: name };
    const latency = metrics.latencySeconds.labels(label);
    const lane = new Lane(
      name,
      createOutput(config, { env: this.#env }),
      { batch, request, retry },
      new DeadLetter(join(dataDir, "dead-letter", name), deadLetter.maxBytes),
      this.#clock,
      this.#log,
      {
        delivered: (rows, latencies) => {
          metrics.outputRecords.inc(label, rows);
          for (const seconds of latencies) latency.observe(seconds);
        },
        dropped: (rows, reason) => metrics.dropped.inc({ output: name, reason }, rows),
        attempt: (code, seconds, bytes) => {
          metrics.requests.inc({ output: name, code });
          metrics.sentBytes.inc(label, bytes);
          metrics.requestSeconds.observe(label, seconds);
        },
        retried: () => metrics.retries.inc(label),
      },
    );
    const consumer = new Consumer(
      { ...source, name, memory, maxBacklog: config.maxBacklog },
      pods,
      planOf(this.#config, config),
      lane,
      checkpoints,
      this.#clock,
      this.#log,
      {
        read: (bytes, rows) => {
          metrics.readBytes.inc(label, bytes);
          metrics.records.inc(label, rows);
        },
        dropped: (processor, bytes, rows) => {
          metrics.processorDropped.inc({ processor }, rows);
          metrics.processorDroppedBytes.inc({ processor }, bytes);
        },
        lost: (bytes, reason) => {
          metrics.lostBytes.inc({ output: name, reason }, bytes);
          metrics.losses.inc({ output: name, reason });
        },
      },
      (chain) => this.#trim(chain),
      (chain) => {
        if (this.#pipelines.every((pipeline) => !pipeline.consumer.cursors.has(chain))) this.#tailer?.forget(chain);
      },
    );
    return { config, consumer, lane };
  }

  #checkHold(): void {
    const consumers = this.#pipelines.map(({ consumer }) => consumer);
    const held = checkHold(this.#tailer?.chains.values() ?? [], consumers, this.#config.source.hold.maxBytes);
    this.#metrics.heldBytes.set(held);
  }

  /** Closes the files that every output has left. */
  #trim(chain: Chain): void {
    let first = Number.POSITIVE_INFINITY;
    for (const { consumer } of this.#pipelines) {
      const file = consumer.cursors.get(chain)?.file;
      if (consumer.cursors.has(chain)) first = Math.min(first, file === undefined ? 0 : chain.files.indexOf(file));
    }
    const keep = chain.files[first];
    if (keep !== undefined) chain.trim(keep);
  }

  /** Why the agent is not ready; "" when it is. */
  #unready(): string {
    if (!this.#listed) return "the log files are not listed yet";
    if (this.#pods !== undefined && !this.#pods.synced && !this.#pods.timedOut) return "pod metadata is not there yet";
    return "";
  }

  #status(): Status {
    const now = this.#clock.wall();
    const outputs: OutputStatus[] = this.#pipelines.map(({ config, consumer, lane }) => ({
      name: config.name,
      type: config.type,
      state: lane.state,
      pendingBytes: consumer.budget.used,
      lastError: lane.lastError,
      nextRetryAt: lane.retryAfterMs > 0 ? new Date(now + lane.retryAfterMs).toISOString() : null,
    }));
    return {
      version: VERSION,
      node: this.#config.nodeName,
      uptimeSeconds: Math.floor((this.#clock.monotonic() - this.#startedAt) / 1000),
      config: {
        hash: this.#configHash,
        loadedAt: new Date(now - (this.#clock.monotonic() - this.#startedAt)).toISOString(),
        error: null,
      },
      outputs,
      wrongAnnotations: this.#pods?.wrongAnnotations() ?? [],
      containers: containerStatus(this.#pipelines.map(({ consumer }) => consumer)),
    };
  }

  #collect(metrics: Metrics): void {
    for (const [state, count] of this.#tailer?.states() ?? []) metrics.sourceFiles.set({ state }, count);
    metrics.openFiles.set(this.#descriptors.size);
    metrics.lagBytes.reset();
    let truncated = 0;
    const errors = { cri: 0, docker: 0, unknown: 0 };
    metrics.processorEvents.reset();
    for (const { config, consumer, lane } of this.#pipelines) {
      const output = config.name;
      metrics.pendingBytes.set({ output }, consumer.budget.used);
      metrics.up.set({ output }, lane.state === "ok" ? 1 : 0);
      truncated += consumer.counts.truncated;
      errors.cri += consumer.counts.criErrors;
      errors.docker += consumer.counts.dockerErrors;
      errors.unknown += consumer.counts.unknownErrors;
      for (const [name, count] of consumer.processed) {
        const [processor = "", event = ""] = name.split(" ");
        metrics.processorEvents.inc({ processor, event }, count);
      }
      for (const [chain, cursor] of consumer.cursors) {
        const log = chain.segments[0]?.log;
        if (log === undefined) continue;
        const { namespace, pod, container } = log;
        metrics.lagBytes.inc({ output, namespace, pod, container }, cursor.lagBytes);
      }
    }
    Metrics.total(metrics.truncated, truncated);
    metrics.parseErrors.reset();
    for (const [format, count] of Object.entries(errors)) metrics.parseErrors.inc({ format }, count);
    metrics.wrongAnnotations.reset();
    for (const { namespace, pod } of this.#pods?.wrongAnnotations() ?? [])
      metrics.wrongAnnotations.inc({ namespace, pod });
    Metrics.total(metrics.checkpointWrites, this.#checkpoints?.writes ?? 0);
    Metrics.total(metrics.watchEvents, this.#pods?.watchEvents ?? 0);
    Metrics.total(metrics.watchRestarts, this.#pods?.watchRestarts ?? 0);
    metrics.synced.set(this.#pods?.synced === true ? 1 : 0);
  }
}

/** What the records of one output go through. */
function planOf({ processors, source }: Config, { name, match, processors: own }: OutputConfig): Plan {
  return new Plan({ output: name, common: processors, match, own, maxRecordBytes: source.maxRecordBytes });
}
