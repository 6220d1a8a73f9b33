/**
 * START READING HERE. The agent: builds everything from a configuration, runs it, takes up changed configurations, and
 * stops it in order. More than 300 lines, for the whole wiring is to be seen in one place.
 *
 *   Tailer (finds files) -> Consumer per output (reads, scans, processes) -> Lane (batches, sends, retries) -> Output (encodes)
 *                                  ^                                  |
 *                             Checkpoints  <-  Acks (contiguous)  <---+
 */
import { ecsLine } from "../outputs/ecs.ts";
import { createOutput } from "../outputs/index.ts";
import { ByteWriter } from "../outputs/json.ts";
import type { Output } from "../outputs/output.ts";
import { AdminServer } from "./admin/server.ts";
import { containerStatus, type Status } from "./admin/status.ts";
import { Tap } from "./admin/tap.ts";
import type { Batch } from "./batch.ts";
import { type Clock, isoTime, untilBeat } from "./clock.ts";
import { changeText } from "./config/difference.ts";
import { formatProblem, type Loaded, type LoadedConfig } from "./config/load.ts";
import type { Config, OutputConfig } from "./config/schema.ts";
import { errorText } from "./errors.ts";
import { Health } from "./health.ts";
import type { Log } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { Pipelines } from "./pipelines.ts";
import { CurrentPods } from "./pods/current.ts";
import type { PodsOptions } from "./pods/store.ts";
import { namedIn } from "./process/match.ts";
import { type Plan, planReload } from "./reload.ts";
import { Checkpoints } from "./tail/checkpoints.ts";
import { systemDescriptors } from "./tail/descriptors.ts";
import { Tailer, type TailListener } from "./tail/discover.ts";
import { checkHold } from "./tail/hold.ts";
import { acquireLock, type Lock } from "./tail/lock.ts";
import { VERSION } from "./version.ts";

const CHECKPOINT_MS = 500;
/** Disk space that deleted files take is no matter of seconds; to go through the files of 1000 containers costs 80 us. */
const HOLD_MS = 2000;

export class Agent {
  #loaded: LoadedConfig;
  /** As it is in effect: the loaded one, but for keys that wait for the next start. */
  #config: Config;
  #loadedAt: number;
  /** Why the last change was refused. */
  #refused: string | null = null;
  #restart: readonly string[] = [];
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #health: Health;
  readonly #tap = new Tap(recordRenderer());
  readonly #descriptors = systemDescriptors();
  readonly #startedAt: number;
  readonly #stopping = new AbortController();
  #pipelines: Pipelines | undefined;
  #tailer: Tailer | undefined;
  #pods: CurrentPods | undefined;
  #checkpoints: Checkpoints | undefined;
  #lock: Lock | undefined;
  #admin: AdminServer | undefined;
  #holdTimer: NodeJS.Timeout | undefined;
  #listed = false;
  #reloading: Promise<void> = Promise.resolve();

  constructor(loaded: LoadedConfig, env: Readonly<Record<string, string | undefined>>, clock: Clock, log: Log) {
    this.#loaded = loaded;
    this.#config = loaded.config;
    this.#loadedAt = clock.wall();
    this.#env = env;
    this.#clock = clock;
    this.#log = log;
    this.#startedAt = clock.monotonic();
    this.#metrics = new Metrics(VERSION, (metrics) => this.#collect(metrics));
    this.#health = new Health(
      clock,
      () => this.#pipelines?.all ?? [],
      () => (this.#listed ? this.#tailer : undefined),
    );
  }

  /** @throws FatalError when the agent can't work: no data folder, another instance, an address that is taken. */
  async start(): Promise<void> {
    const { dataDir, source, nodeName, outputs } = this.#config;
    const [clock, log, metrics] = [this.#clock, this.#log, this.#metrics];
    const checkpoints = await Checkpoints.open(dataDir, log);
    this.#checkpoints = checkpoints;
    this.#lock = await acquireLock(dataDir);
    this.#admin = await AdminServer.start(this.#config.admin, {
      metrics: () => metrics.text(),
      contentType: metrics.registry.contentType,
      health: () => this.#health.stuck(),
      ready: () => this.#unready(),
      status: () => this.#status(),
      tap: this.#tap,
    });
    const pods = new CurrentPods(this.#podsOptions(this.#config), () => {
      for (const { consumer } of this.#pipelines?.all ?? []) consumer.retryUnsettled();
    });
    this.#pods = pods;
    const pipelines = new Pipelines({ origins: pods, checkpoints, tap: this.#tap, metrics, clock, log }, (chain) =>
      this.#tailer?.forget(chain),
    );
    this.#pipelines = pipelines;
    for (const output of outputs) await pipelines.add(this.#config, output, this.#output(output), [], true, false);
    const listener: TailListener = {
      onChain: (chain, early) => {
        for (const { consumer } of pipelines.all) consumer.attach(chain, early);
      },
      onChange: (chain) => {
        for (const { consumer } of pipelines.all) consumer.wake(chain);
      },
      onGone: (chain) => {
        for (const { consumer } of pipelines.all) consumer.detach(chain);
      },
    };
    this.#tailer = new Tailer(source, listener, this.#descriptors, clock, log);
    await this.#tailer.start();
    if (this.#tailer.complete) for (const { consumer } of pipelines.all) consumer.forgetGone();
    this.#listed = true;
    // Only now, since of containers that are read at one pace all must be known.
    for (const { consumer } of pipelines.all) consumer.start();
    checkpoints.start(CHECKPOINT_MS);
    this.#checkHold();
    log.info(
      {
        version: VERSION,
        node: nodeName,
        outputs: outputs.map(({ name, type }) => `${name} (${type})`),
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

  /**
   * Takes up a changed configuration, one at a time; what did not change runs on undisturbed. One that is wrong is
   * refused, told and counted, and the present one runs on.
   */
  reload(loaded: Loaded): Promise<void> {
    this.#reloading = this.#reloading.then(async () => {
      if (this.#stopping.signal.aborted) return;
      const problems = "problems" in loaded ? loaded.problems.map(formatProblem) : await this.#apply(loaded);
      if (problems.length === 0) return;
      for (const problem of problems) this.#log.error({}, problem);
      this.#refused = problems.join("\n");
      this.#metrics.reloadFailures.inc();
      this.#log.error({ running: this.#loaded.hash }, "the changed configuration is refused; the one before runs on");
    });
    return this.#reloading;
  }

  /** Stops reading, gives what was read `shutdownTimeout` to be accepted, and saves the checkpoints. */
  async stop(): Promise<void> {
    this.#log.info({}, "stopping: what was read is being delivered");
    this.#stopping.abort();
    await this.#reloading;
    this.#checkpoints?.stop();
    clearTimeout(this.#holdTimer);
    const pipelines = this.#pipelines?.all ?? [];
    await Promise.all(pipelines.map(({ consumer }) => consumer.stop()));
    const grace = new Promise<void>((resolve) => setTimeout(resolve, this.#config.shutdownTimeout).unref());
    await Promise.race([grace, Promise.all(pipelines.map(({ lane }) => lane.flush()))]);
    const pending = pipelines.reduce((sum, { consumer }) => sum + consumer.budget.used, 0);
    await Promise.all(pipelines.map(({ lane }) => lane.close()));
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

  /** @returns why it can't be taken up; nothing has changed then. */
  async #apply(loaded: LoadedConfig): Promise<string[]> {
    const plan = planReload(this.#config, loaded.config);
    const outputs = new Map<OutputConfig, Output>();
    try {
      for (const output of plan.config.outputs)
        if ([...plan.added, ...plan.rebuilt].includes(output.name)) outputs.set(output, this.#output(output));
    } catch (error) {
      await Promise.all([...outputs.values()].map((output) => output.close()));
      return [`an output can't be made: ${errorText(error)}`];
    }
    this.#log.info({ changed: plan.changes.map(changeText) }, "the configuration has changed and is taken up");
    this.#log.level = plan.config.logLevel;
    if (plan.restart.length > 0)
      this.#log.warn({ keys: plan.restart }, "these keys have changed too, but take effect at the next start only");
    this.#config = plan.config;
    await this.#rebuild(plan, outputs);
    if (this.#stopping.signal.aborted) return [];
    this.#loaded = loaded;
    this.#loadedAt = this.#clock.wall();
    this.#refused = null;
    this.#restart = plan.restart;
    this.#metrics.reloads.inc();
    this.#log.info({ hash: loaded.hash }, "the changed configuration is in effect");
    return [];
  }

  async #rebuild(plan: Plan, outputs: ReadonlyMap<OutputConfig, Output>): Promise<void> {
    const { signal } = this.#stopping;
    const { config, removed, rebuilt } = plan;
    const [pipelines, tailer] = [this.#pipelines, this.#tailer];
    if (pipelines === undefined || tailer === undefined) return;
    if (plan.pods) await this.#pods?.replace(this.#podsOptions(config), signal);
    if (plan.files) await tailer.reconfigure(config.source);
    const work = removed.map((name) => pipelines.remove(name, config.shutdownTimeout, signal));
    for (const [output, made] of outputs)
      if (rebuilt.includes(output.name)) work.push(pipelines.replace(config, output, made, signal));
      else work.push(tailer.inTurn(() => pipelines.add(config, output, made, tailer.chains.values(), true)));
    await Promise.all(work);
    pipelines.sort(config.outputs.map(({ name }) => name));
  }

  #checkHold(): void {
    const consumers = (this.#pipelines?.all ?? []).map(({ consumer }) => consumer);
    const { maxBytes } = this.#config.source.hold;
    this.#metrics.heldBytes.set(checkHold(this.#tailer?.chains.values() ?? [], consumers, maxBytes));
    this.#holdTimer = setTimeout(() => this.#checkHold(), untilBeat(this.#clock.monotonic(), HOLD_MS));
  }

  #output(config: OutputConfig): Output {
    return createOutput(config, { env: this.#env, log: this.#log });
  }

  #podsOptions({ kubernetes, nodeName, clusterName, processors, outputs }: Config): PodsOptions {
    return {
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
    };
  }

  /** Why the agent is not ready; "" when it is. */
  #unready(): string {
    if (!this.#listed) return "the log files are not listed yet";
    if (this.#pods?.ready === false) return "pod metadata is not there yet";
    return "";
  }

  #status(): Status {
    const now = this.#clock.wall();
    const pipelines = this.#pipelines?.all ?? [];
    return {
      version: VERSION,
      node: this.#config.nodeName,
      uptimeSeconds: Math.floor((this.#clock.monotonic() - this.#startedAt) / 1000),
      config: {
        hash: this.#loaded.hash,
        loadedAt: isoTime(this.#loadedAt),
        error: this.#refused,
        restart: this.#restart,
      },
      outputs: pipelines.map((pipeline) => pipeline.status(now)),
      wrongAnnotations: this.#pods?.wrongAnnotations() ?? [],
      containers: containerStatus(pipelines.map(({ consumer }) => consumer)),
    };
  }

  #collect(metrics: Metrics): void {
    for (const [state, count] of this.#tailer?.states() ?? []) metrics.sourceFiles.set({ state }, count);
    metrics.openFiles.set(this.#descriptors.size);
    this.#pipelines?.collect(metrics);
    metrics.wrongAnnotations.reset();
    for (const { namespace, pod } of this.#pods?.wrongAnnotations() ?? [])
      metrics.wrongAnnotations.inc({ namespace, pod });
    Metrics.total(metrics.checkpointWrites, this.#checkpoints?.writes ?? 0);
    Metrics.total(metrics.watchEvents, this.#pods?.watchEvents ?? 0);
    Metrics.total(metrics.watchRestarts, this.#pods?.watchRestarts ?? 0);
    metrics.synced.set(this.#pods?.synced === true ? 1 : 0);
  }
}

/** Records for the tap, in ECS. */
function recordRenderer(): (batch: Batch, row: number) => string {
  const writer = new ByteWriter();
  const encoder = ecsLine();
  return (batch, row) => {
    writer.length = 0;
    encoder.encode(writer, batch, row);
    return writer.view().toString("utf8").trimEnd();
  };
}
