/**
 * Metrics: everything that /metrics shows, in one place, named by docs/metrics.md. Touched per batch or request, never
 * per line. Series of outputs and containers go when those go.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

const CONTAINER = ["output", "namespace", "pod", "container"];
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800];

/** What all of prom-client's metrics have, though their common type does not say so. */
interface Labelled {
  readonly labelNames: readonly string[];
  get(): Promise<{ values: { labels: Record<string, string | number> }[] }>;
  remove(labels: Record<string, string | number>): void;
}

export class Metrics {
  readonly registry = new Registry();

  readonly sourceFiles = this.#gauge("tailrace_source_files", "Log files by state.", ["state"]);
  readonly readBytes = this.#counter("tailrace_source_read_bytes_total", "Raw bytes read from log files.", ["output"]);
  readonly records = this.#counter("tailrace_source_records_total", "Records decoded from log files.", ["output"]);
  readonly lagBytes = this.#gauge(
    "tailrace_source_lag_bytes",
    "Bytes that a container's files hold beyond the accepted position.",
    CONTAINER,
  );
  readonly ledger = {
    read: this.#account("read", "Raw bytes read of a container's files."),
    shipped: this.#account("shipped", "Raw bytes of a container's records that the backend accepted."),
    dropped: this.#account(
      "dropped",
      "Raw bytes of a container's records dropped by a rule or refused for good.",
      "reason",
    ),
    lost: this.#account("lost", "Raw bytes of a container that were lost before they could be read.", "reason"),
    pending: this.#gauge(
      "tailrace_container_pending_bytes",
      "Raw bytes read of a container's files and neither accepted nor dropped yet.",
      CONTAINER,
    ),
  };
  readonly lostBytes = this.#counter(
    "tailrace_source_lost_bytes_total",
    "Bytes of log files that were deleted, cut, damaged, given up or left out before they were read; what is not known counts 0.",
    ["output", "reason"],
  );
  readonly losses = this.#counter("tailrace_source_losses_total", "Ranges of log files that were lost.", [
    "output",
    "reason",
  ]);
  readonly heldBytes = this.#gauge(
    "tailrace_source_held_bytes",
    "Disk space of deleted log files that is kept alive for outputs that are behind.",
    [],
  );
  readonly openFiles = this.#gauge("tailrace_source_open_files", "Log files that are open.", []);
  readonly parseErrors = this.#counter(
    "tailrace_parse_errors_total",
    "Lines that fit no format; each is shipped whole as a record of its own.",
    ["format"],
  );
  readonly truncated = this.#counter(
    "tailrace_truncated_records_total",
    "Records whose message was cut at source.maxRecordBytes.",
    [],
  );
  readonly processorDropped = this.#counter(
    "tailrace_processor_dropped_records_total",
    "Records dropped by a rule: a processor, an output's match, a pod's own settings; once for each output.",
    ["processor"],
  );
  readonly processorDroppedBytes = this.#counter(
    "tailrace_processor_dropped_bytes_total",
    "Raw bytes of those, and of containers that were not even read because a rule drops all their records.",
    ["processor"],
  );
  readonly processorEvents = this.#counter(
    "tailrace_processor_events_total",
    "What else processors count, as messages that a parser left untouched (unmatched).",
    ["processor", "event"],
  );
  readonly outputRecords = this.#counter("tailrace_output_records_total", "Records that the backend accepted.", [
    "output",
  ]);
  readonly sentBytes = this.#counter(
    "tailrace_output_sent_bytes_total",
    "Bytes of request bodies as sent, compressed where the output compresses.",
    ["output"],
  );
  readonly requests = this.#counter(
    "tailrace_output_requests_total",
    "Attempts by HTTP status, or by error code where there was no answer.",
    ["output", "code"],
  );
  readonly retries = this.#counter("tailrace_output_retries_total", "Requests sent again, in whole or in part.", [
    "output",
  ]);
  readonly dropped = this.#counter(
    "tailrace_output_dropped_records_total",
    "Records that the backend refused for good; they are in the dead letters.",
    ["output", "reason"],
  );
  readonly putAside = this.#counter(
    "tailrace_output_put_aside_records_total",
    "Records that the backend accepted but put aside, as into Elasticsearch's failure store.",
    ["output"],
  );
  readonly pendingBytes = this.#gauge("tailrace_output_pending_bytes", "Raw bytes read and not yet accepted.", [
    "output",
  ]);
  readonly up = this.#gauge("tailrace_output_up", "1 while the backend accepts, 0 while it is being retried.", [
    "output",
  ]);
  readonly requestSeconds = this.#histogram("tailrace_output_request_seconds", "Duration of attempts.", ["output"]);
  readonly latencySeconds = this.#histogram(
    "tailrace_delivery_latency_seconds",
    "From a record's own time to its acceptance, measured at the newest record of each batch.",
    ["output"],
  );
  readonly wrongAnnotations = this.#gauge(
    "tailrace_kubernetes_wrong_annotations",
    "Annotations of live pods that are ignored because their value is wrong.",
    ["namespace", "pod"],
  );
  readonly checkpointWrites = this.#counter("tailrace_checkpoint_writes_total", "Checkpoint files written.", []);
  readonly watchEvents = this.#counter("tailrace_kubernetes_watch_events_total", "Events of the pod watch.", []);
  readonly watchRestarts = this.#counter("tailrace_kubernetes_watch_restarts_total", "Watches begun anew.", []);
  readonly synced = this.#gauge("tailrace_kubernetes_synced", "1 once the node's pods are listed.", []);

  readonly reloads = this.#counter("tailrace_config_reloads_total", "Changed configurations that were taken up.", []);
  readonly reloadFailures = this.#counter(
    "tailrace_config_reload_failures_total",
    "Changed configurations that were refused; the one before runs on.",
    [],
  );

  readonly #collect: (metrics: Metrics) => void;

  /** @param collect called before each scrape, to fill in what is not counted as it happens. */
  constructor(version: string, collect: (metrics: Metrics) => void) {
    this.#collect = collect;
    this.#gauge("tailrace_build_info", "The running version; always 1.", ["version"]).set({ version }, 1);
    // The lag of the event loop is measured at each scrape. Its distribution would take a timer every 10 ms, which was
    // half of what an idle agent costs (0.5 % of a core); so it has one that hardly ever comes, and is left out.
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 3_600_000 });
    for (const what of ["min", "max", "mean", "stddev", "p50", "p90", "p99"])
      this.registry.removeSingleMetric(`nodejs_eventloop_lag_${what}_seconds`);
    // Gauges that are named like counters, which `promtool check metrics` objects to; the same is there by type.
    for (const what of ["handles", "requests", "resources"])
      this.registry.removeSingleMetric(`nodejs_active_${what}_total`);
  }

  /** All metrics in Prometheus' text format. */
  text(): Promise<string> {
    this.#collect(this);
    return this.registry.metrics();
  }

  /** Brings a counter to a total that is counted elsewhere. */
  static total(counter: Counter, value: number): void {
    counter.reset();
    counter.inc(value);
  }

  /** Takes away the series of an output that is no more. */
  async forget(output: string): Promise<void> {
    for (const metric of this.registry.getMetricsAsArray() as unknown as Labelled[]) {
      if (!metric.labelNames.includes("output")) continue;
      const { values } = await metric.get();
      for (const { labels } of values) {
        // The parts of a histogram have labels beside its own.
        const own = Object.fromEntries(Object.entries(labels).filter(([name]) => metric.labelNames.includes(name)));
        if (own.output === output) metric.remove(own);
      }
    }
  }

  #gauge<T extends string>(name: string, help: string, labelNames: T[]): Gauge<T> {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  /** Of the ledger of each container and output. */
  #account(name: string, help: string, ...labels: string[]): Counter {
    return this.#counter(`tailrace_container_${name}_bytes_total`, help, [...CONTAINER, ...labels]);
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[]): Counter<T> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<T extends string>(name: string, help: string, labelNames: T[]): Histogram<T> {
    return new Histogram({ name, help, labelNames, buckets: SECONDS, registers: [this.registry] });
  }
}
