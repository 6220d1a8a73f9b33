/**
 * Pipeline: one output's whole path, its reader and its sender, and whether a changed configuration broke it.
 */
import { join } from "node:path";
import { DeadLetter } from "../outputs/dead-letter.ts";
import { Lane } from "../outputs/lane.ts";
import type { Output } from "../outputs/output.ts";
import type { OutputStatus } from "./admin/status.ts";
import type { Tap } from "./admin/tap.ts";
import { type Clock, isoTime } from "./clock.ts";
import { type Change, changeText, differences, outputOf } from "./config/difference.ts";
import type { Config, OutputConfig } from "./config/schema.ts";
import { Consumer, type Origins } from "./consumer.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { Plan } from "./process/plan.ts";
import type { Chain } from "./tail/chain.ts";
import type { Checkpoints } from "./tail/checkpoints.ts";

/** What every output of an agent shares. */
export interface Surroundings {
  readonly origins: Origins;
  readonly checkpoints: Checkpoints;
  readonly tap: Tap;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
  /** A reader has left a file for good, or its checkpoint has. */
  onLeft(chain: Chain): void;
  /** A reader is done with a container that is gone. */
  onDone(chain: Chain): void;
}

export class Pipeline {
  readonly config: OutputConfig;
  readonly consumer: Consumer;
  readonly lane: Lane;
  readonly #whole: Config;
  readonly #log: Log;
  /** The whole configuration with which this output last delivered, if that was another one. */
  readonly #worked: Config | undefined;
  #delivered = false;
  /** What changed since it last worked, once it is known not to work any more. */
  #suspects: readonly Change[] = [];

  /** @param output owned from now on. @param former the one that this one takes the place of. */
  constructor(whole: Config, config: OutputConfig, output: Output, around: Surroundings, former: Pipeline | undefined) {
    this.config = config;
    this.#whole = whole;
    this.#log = around.log;
    this.#worked = former?.lastWorked;
    const { metrics, clock, log, tap } = around;
    const { name, memory, batch, request, retry, deadLetter } = config;
    const label = { output: name };
    const latency = metrics.latencySeconds.labels(label);
    this.lane = new Lane(
      name,
      output,
      { batch, request, retry },
      new DeadLetter(join(whole.dataDir, "dead-letter", name), deadLetter.maxBytes),
      clock,
      log,
      {
        delivered: (rows, latencies) => {
          this.#delivered = true;
          metrics.outputRecords.inc(label, rows);
          for (const seconds of latencies) latency.observe(seconds);
        },
        dropped: (rows, reason) => {
          metrics.dropped.inc({ output: name, reason }, rows);
          this.#failed(`records are refused for good: ${reason}`);
        },
        putAside: (rows) => metrics.putAside.inc(label, rows),
        attempt: (code, seconds, bytes) => {
          metrics.requests.inc({ output: name, code });
          metrics.sentBytes.inc(label, bytes);
          metrics.requestSeconds.observe(label, seconds);
        },
        retried: () => {
          metrics.retries.inc(label);
          this.#failed(this.lane.lastError);
        },
        sated: (is) => this.consumer.budget.sate(is),
      },
    );
    this.consumer = new Consumer(
      {
        ...whole.source,
        name,
        memory,
        maxBacklog: config.maxBacklog,
        convoy: output.convoy && ((origin) => output.convoy?.(origin) ?? ""),
      },
      around.origins,
      planOf(whole, config),
      {
        append: (rows, receipt) => {
          tap.see(name, rows);
          this.lane.append(rows, receipt);
        },
      },
      around.checkpoints,
      clock,
      log,
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
      (chain) => around.onLeft(chain),
      (chain) => around.onDone(chain),
    );
  }

  /** The whole configuration with which this output last delivered; undefined when it never has. */
  get lastWorked(): Config | undefined {
    return this.#delivered ? this.#whole : this.#worked;
  }

  /**
   * Stops for good, so that another can go on at the checkpoint. What was read is delivered first, for at most `graceMs`
   * and not longer than the backend takes it; the rest is read again.
   */
  async retire(graceMs: number, signal: AbortSignal): Promise<void> {
    await this.consumer.stop();
    const grace = AbortSignal.any([signal, AbortSignal.timeout(graceMs)]);
    const over = new Promise<void>((resolve) => {
      if (grace.aborted) resolve();
      grace.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([over, this.lane.flush(false)]);
    await this.lane.close();
  }

  status(wallMs: number): OutputStatus {
    const { name, type } = this.config;
    const { state, lastError, retryAfterMs } = this.lane;
    return {
      name,
      type,
      state,
      pendingBytes: this.consumer.budget.used,
      lastError,
      nextRetryAt: retryAfterMs > 0 ? isoTime(wallMs + retryAfterMs) : null,
      suspects: this.#delivered ? [] : this.#suspects,
    };
  }

  /** The first trouble of an output that worked before its configuration changed is most likely the change's. */
  #failed(reason: string): void {
    if (this.#delivered || this.#worked === undefined || this.#suspects.length > 0) return;
    const { name } = this.config;
    this.#suspects = differences(this.#worked, this.#whole).filter(({ path }) => {
      const output = outputOf(path);
      return output === undefined ? !/^(logLevel|shutdownTimeout|admin|dataDir)/.test(path) : output === name;
    });
    if (this.#suspects.length > 0)
      this.#log.error(
        { output: name, reason, changed: this.#suspects.map(changeText) },
        "delivery worked before the configuration changed and fails since; look at what changed, or take it back",
      );
  }
}

/** What the records of one output go through. */
function planOf({ processors, source }: Config, { name, match, processors: own }: OutputConfig): Plan {
  return new Plan({ output: name, common: processors, match, own, maxRecordBytes: source.maxRecordBytes });
}
