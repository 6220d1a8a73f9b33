/** Loki, one process on loopback, whose tenants have limits of their own that can change while it runs. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EcsDocument, Printed } from "../support/arrived.ts";
import { freePort } from "../support/program.ts";
import type { Fetched } from "./fetch.ts";
import { give, readable, remove, ServerProcess, serverFolder } from "./process.ts";

/** Limits of a tenant, by the names of Loki's `limits_config`. */
export type Limits = Readonly<Record<string, string | number | boolean | Readonly<Record<string, boolean>>>>;

type TenantLimits = Readonly<Record<string, Limits>>;

export interface LokiEntry {
  readonly labels: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Nanoseconds since 1970, in decimal. */
  readonly time: string;
  readonly line: string;
}

/** When the samples were taken, and how far back what tests write goes. */
const SAMPLES = { from: Date.parse("2026-11-23T00:00:00Z"), to: Date.parse("2026-11-25T00:00:00Z") };
const RECENT_MS = 8 * 3_600_000;
const SOON_MS = 60_000;

interface QueryReply {
  readonly data: {
    readonly result: readonly {
      readonly stream: Record<string, string>;
      readonly values: readonly [string, string, { structuredMetadata?: Record<string, string> }?][];
    }[];
  };
}

/** Nothing is refused that a test does not want refused. */
const GENEROUS: Limits = {
  allow_structured_metadata: true,
  ingestion_rate_mb: 1000,
  ingestion_burst_size_mb: 1000,
  per_stream_rate_limit: "1GB",
  per_stream_rate_limit_burst: "1GB",
  max_line_size: 0,
  max_entries_limit_per_query: 1_000_000,
  split_queries_by_interval: 0,
  max_query_length: 0,
  query_timeout: "5m",
  reject_old_samples: false,
  // As docs/loki.md has it where repeats matter.
  shard_streams: { enabled: false },
};

/** What Loki's labels and metadata tell of a container: not which of its runs it was. */
export function placeOf({ namespace, pod, uid, container }: Omit<Printed, "link" | "messages" | "lossy">): string {
  return `${namespace} ${pod} ${uid} ${container}`;
}

export class Loki {
  readonly #folder = serverFolder("loki");
  readonly #program: string;
  readonly #host: string;
  readonly #port: number;
  readonly #config: string;
  #process: ServerProcess | undefined;

  private constructor({ path }: Fetched, host: string, port: number, grpcPort: number) {
    this.#program = readable(path, this.#folder);
    this.#host = host;
    this.#port = port;
    this.#config = join(this.#folder, "loki.yaml");
    writeFileSync(this.#config, JSON.stringify(configuration(this.#folder, host, port, grpcPort)));
    this.setLimits({});
    give(this.#folder);
  }

  /** @param host the address that it is asked at. @param limits of tenants, in force from the first push on. */
  static async start(fetched: Fetched, host = "127.0.0.1", limits: TenantLimits = {}): Promise<Loki> {
    const server = new Loki(fetched, host, await freePort(), await freePort());
    server.setLimits(limits);
    await server.run();
    return server;
  }

  get url(): string {
    return `http://${this.#host}:${this.#port}`;
  }

  /** Starts it on the data that it had. */
  async run(): Promise<void> {
    this.#process = new ServerProcess({
      program: this.#program,
      args: [`-config.file=${this.#config}`],
      folder: this.#folder,
    });
    await this.#process.ready(async () => (await fetch(`${this.url}/ready`)).ok, "Loki");
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#process?.killed();
  }

  async close(): Promise<void> {
    await this.#process?.stopped();
    remove(this.#folder);
  }

  /** Loki looks at them every second. */
  setLimits(overrides: TenantLimits): void {
    writeFileSync(join(this.#folder, "overrides.yaml"), JSON.stringify({ overrides }));
  }

  /** All entries of a tenant that a query of streams and filters finds: the samples' and those of the last hours. */
  async entries(tenant: string, query: string): Promise<LokiEntry[]> {
    const now = Date.now();
    const recent = Math.max(SAMPLES.to, now - RECENT_MS);
    const found = await this.#range(tenant, query, SAMPLES.from, Math.min(SAMPLES.to, now + SOON_MS));
    return recent < now ? [...found, ...(await this.#range(tenant, query, recent, now + SOON_MS))] : found;
  }

  /** The same as what they were made of, for an output that has `uid` in the structured metadata beside its defaults. */
  async documents(tenant: string, query: string): Promise<EcsDocument[]> {
    return (await this.entries(tenant, query)).map(({ labels, metadata, time, line }) => {
      const { namespace = "", container = "", stream = "", node = "" } = labels;
      const { pod = "", uid = "", offset = "" } = metadata;
      return {
        "@timestamp": time,
        message: line,
        stream,
        log: { offset: Number(offset), file: { path: placeOf({ namespace, pod, uid, container }) } },
        kubernetes: { namespace, pod: { name: pod, uid }, container: { name: container }, node: { name: node } },
      };
    });
  }

  /** Narrow, since Loki looks at each hour of a range by itself. */
  async #range(tenant: string, query: string, fromMs: number, toMs: number): Promise<LokiEntry[]> {
    const parameters = new URLSearchParams({
      query,
      start: `${fromMs}000000`,
      end: `${toMs}000000`,
      limit: "1000000",
      direction: "forward",
    });
    const reply = await fetch(`${this.url}/loki/api/v1/query_range?${parameters}`, {
      headers: { "x-scope-orgid": tenant, "x-loki-response-encoding-flags": "categorize-labels" },
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`a query was answered ${reply.status}: ${text.slice(0, 500)}`);
    return (JSON.parse(text) as QueryReply).data.result.flatMap(({ stream, values }) =>
      values.map(([time, line, more]) => ({ labels: stream, metadata: more?.structuredMetadata ?? {}, time, line })),
    );
  }

  /** `loki_discarded_samples_total` of a tenant by reason: what it says that it has dropped. */
  async discarded(tenant: string): Promise<Record<string, number>> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const found: Record<string, number> = {};
    for (const [, labels = "", value = ""] of text.matchAll(/^loki_discarded_samples_total\{([^}]*)\} (\S+)$/gm)) {
      const reason = /reason="([^"]*)"/.exec(labels)?.[1] ?? "";
      if (labels.includes(`tenant="${tenant}"`)) found[reason] = (found[reason] ?? 0) + Number(value);
    }
    return found;
  }
}

/** What makes it quick to start and keeps it on loopback. */
function configuration(folder: string, host: string, port: number, grpcPort: number): unknown {
  const most = 256 * 1024 * 1024;
  return {
    auth_enabled: true,
    analytics: { reporting_enabled: false },
    server: {
      http_listen_address: host,
      http_listen_port: port,
      grpc_listen_address: "127.0.0.1",
      grpc_listen_port: grpcPort,
      grpc_server_max_send_msg_size: most,
      // A query's result comes back this way.
      grpc_server_max_recv_msg_size: most,
      log_level: "warn",
      // A whole node comes back in one answer.
      http_server_read_timeout: "5m",
      http_server_write_timeout: "5m",
    },
    common: {
      instance_addr: "127.0.0.1",
      path_prefix: folder,
      replication_factor: 1,
      storage: { filesystem: { chunks_directory: join(folder, "chunks"), rules_directory: join(folder, "rules") } },
      ring: { kvstore: { store: "inmemory" } },
    },
    ingester: {
      lifecycler: { min_ready_duration: "0s", final_sleep: "0s" },
      wal: { enabled: true, dir: join(folder, "wal") },
      // However old: else a process that is all of Loki in one looks for what is older than 2 h 41 min among flushed chunks
      // alone, and 0 for query_ingesters_within changes nothing of that.
      query_store_max_look_back_period: "-1ns",
    },
    schema_config: {
      configs: [
        {
          from: "2020-10-24",
          store: "tsdb",
          object_store: "filesystem",
          schema: "v13",
          index: { prefix: "index_", period: "24h" },
        },
      ],
    },
    limits_config: GENEROUS,
    runtime_config: { file: join(folder, "overrides.yaml"), period: "1s" },
    query_range: { parallelise_shardable_queries: false },
    query_scheduler: { use_scheduler_ring: false, grpc_client_config: { max_recv_msg_size: most } },
    frontend: { scheduler_address: `127.0.0.1:${grpcPort}`, scheduler_dns_lookup_period: "200ms" },
    frontend_worker: {
      scheduler_address: `127.0.0.1:${grpcPort}`,
      dns_lookup_duration: "200ms",
      grpc_client_config: { max_send_msg_size: most, max_recv_msg_size: most },
    },
  };
}
