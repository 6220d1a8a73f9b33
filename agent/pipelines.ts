/**
 * Pipelines: the outputs of a running agent, each by itself, and the container logs that they share. Outputs come, go
 * and are replaced while the others run on; a file is closed once the last of them has left it.
 */
import type { Output } from "../outputs/output.ts";
import type { Config, OutputConfig } from "./config/schema.ts";
import { Metrics } from "./metrics.ts";
import type { Scanner } from "./parse/scanner.ts";
import { Pipeline, type Surroundings } from "./pipeline.ts";
import type { Chain } from "./tail/chain.ts";

export class Pipelines {
  readonly #around: Surroundings;
  readonly #forget: (chain: Chain) => void;
  #all: Pipeline[] = [];
  /** What readers that are gone have counted. */
  readonly #counted = { criErrors: 0, dockerErrors: 0, unknownErrors: 0, truncated: 0 };

  /** @param forget called when nobody needs a container's log any more. */
  constructor(around: Omit<Surroundings, "onLeft" | "onDone">, forget: (chain: Chain) => void) {
    this.#around = {
      ...around,
      onLeft: (chain) => this.#trim(chain),
      onDone: (chain) => this.#release(chain),
    };
    this.#forget = forget;
  }

  get all(): readonly Pipeline[] {
    return this.#all;
  }

  get(name: string): Pipeline | undefined {
    return this.#all.find(({ config }) => config.name === name);
  }

  /**
   * @param output owned from now on. @param chains what there is to read. @param early they were there when it began.
   * @param complete these are all there are, so that reading may begin.
   */
  async add(
    whole: Config,
    config: OutputConfig,
    output: Output,
    chains: Iterable<Chain>,
    early: boolean,
    complete = true,
  ): Promise<void> {
    const former = this.get(config.name);
    const pipeline = new Pipeline(whole, config, output, this.#around, former);
    const { consumer } = pipeline;
    if (former === undefined) this.#all.push(pipeline);
    else {
      this.#count(former);
      this.#all[this.#all.indexOf(former)] = pipeline;
    }
    for (const chain of chains) {
      // Files that everyone else has left are closed; a newcomer wants them all.
      if (former === undefined) await chain.revive(this.#around.clock.monotonic());
      if (!consumer.cursors.has(chain)) consumer.attach(chain, early);
    }
    if (complete) consumer.start();
  }

  /** Another one of the same name goes on where this one's checkpoints end. */
  async replace(whole: Config, config: OutputConfig, output: Output, signal: AbortSignal): Promise<void> {
    const former = this.get(config.name);
    await former?.retire(whole.shutdownTimeout, signal);
    if (signal.aborted) await output.close();
    // What it was done with must not be read again, though others may still hold it.
    else await this.add(whole, config, output, former?.consumer.cursors.keys() ?? [], false);
  }

  async remove(name: string, graceMs: number, signal: AbortSignal): Promise<void> {
    const pipeline = this.get(name);
    if (pipeline === undefined) return;
    await pipeline.retire(graceMs, signal);
    this.#count(pipeline);
    this.#all = this.#all.filter((other) => other !== pipeline);
    await this.#around.metrics.forget(name);
    for (const chain of pipeline.consumer.cursors.keys()) {
      if (chain.ended) this.#release(chain);
      this.#trim(chain);
    }
  }

  /** Puts the outputs in the order of their configuration. */
  sort(names: readonly string[]): void {
    this.#all.sort((a, b) => names.indexOf(a.config.name) - names.indexOf(b.config.name));
  }

  /** Fills in what is not counted as it happens. */
  collect(metrics: Metrics): void {
    const { lagBytes, ledger } = metrics;
    for (const series of [lagBytes, ...Object.values(ledger)]) series.reset();
    metrics.processorEvents.reset();
    const counts = { ...this.#counted };
    for (const { config, consumer, lane } of this.#all) {
      const output = config.name;
      metrics.pendingBytes.set({ output }, consumer.budget.used);
      metrics.up.set({ output }, lane.state === "ok" ? 1 : 0);
      addCounts(counts, consumer.counts);
      for (const [name, count] of consumer.processed) {
        const [processor = "", event = ""] = name.split(" ");
        metrics.processorEvents.inc({ processor, event }, count);
      }
      for (const [chain, cursor] of consumer.cursors) {
        const log = chain.segments[0]?.log;
        if (log === undefined) continue;
        const labels = { output, namespace: log.namespace, pod: log.pod, container: log.container };
        lagBytes.inc(labels, cursor.lagBytes);
        const { read, shipped, pending, dropped, lost } = cursor.ledger;
        ledger.read.inc(labels, read);
        ledger.shipped.inc(labels, shipped);
        ledger.pending.inc(labels, pending);
        for (const [reason, bytes] of dropped) ledger.dropped.inc({ ...labels, reason }, bytes);
        for (const [reason, bytes] of lost) ledger.lost.inc({ ...labels, reason }, bytes);
      }
    }
    Metrics.total(metrics.truncated, counts.truncated);
    metrics.parseErrors.reset();
    metrics.parseErrors.inc({ format: "cri" }, counts.criErrors);
    metrics.parseErrors.inc({ format: "docker" }, counts.dockerErrors);
    metrics.parseErrors.inc({ format: "unknown" }, counts.unknownErrors);
  }

  #count({ consumer }: Pipeline): void {
    addCounts(this.#counted, consumer.counts);
  }

  /** Closes the files that every output has left, and of which none may have to read anything again. */
  #trim(chain: Chain): void {
    let first = Number.POSITIVE_INFINITY;
    for (const { consumer } of this.#all) {
      const cursor = consumer.cursors.get(chain);
      if (cursor === undefined) continue;
      const { needed } = cursor;
      first = Math.min(first, needed === undefined ? 0 : Math.max(0, chain.files.indexOf(needed)));
    }
    const keep = chain.files[first];
    if (keep !== undefined) chain.trim(keep);
  }

  #release(chain: Chain): void {
    if (this.#all.every(({ consumer }) => !consumer.cursors.has(chain))) this.#forget(chain);
  }
}

function addCounts(sum: Scanner["counts"], more: Scanner["counts"]): void {
  sum.criErrors += more.criErrors;
  sum.dockerErrors += more.dockerErrors;
  sum.unknownErrors += more.unknownErrors;
  sum.truncated += more.truncated;
}
