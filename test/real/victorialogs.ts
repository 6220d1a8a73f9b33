/** VictoriaLogs, one process on loopback, with the limits raised to what the agent sends (docs/victorialogs.md). */
import { join } from "node:path";
import type { EcsDocument } from "../support/arrived.ts";
import { freePort } from "../support/program.ts";
import type { Fetched } from "./fetch.ts";
import { give, readable, remove, ServerProcess, serverFolder } from "./process.ts";

/** A record as it comes back: flat, every value a text. */
type Flat = Readonly<Record<string, string>>;

/** What it shows in place of an empty message. */
const NO_MESSAGE = /^missing _msg field/;

export class VictoriaLogs {
  readonly #folder = serverFolder("victorialogs");
  readonly #program: string;
  readonly #port: number;
  #process: ServerProcess | undefined;

  private constructor({ path }: Fetched, port: number) {
    this.#program = readable(path, this.#folder);
    this.#port = port;
    give(this.#folder);
  }

  static async start(fetched: Fetched): Promise<VictoriaLogs> {
    const server = new VictoriaLogs(fetched, await freePort());
    await server.run();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts it on the data that it had. */
  async run(): Promise<void> {
    this.#process = new ServerProcess({
      program: this.#program,
      args: [
        `-storageDataPath=${join(this.#folder, "data")}`,
        `-httpListenAddr=127.0.0.1:${this.#port}`,
        "-retentionPeriod=100y",
        "-insert.maxLineSizeBytes=2097152",
      ],
      folder: this.#folder,
    });
    await this.#process.ready(async () => (await fetch(`${this.url}/health`)).ok, "VictoriaLogs");
  }

  /** SIGTERM: without a WAL nobody outlives more without loss. */
  async stop(): Promise<void> {
    await this.#process?.stopped();
  }

  async close(): Promise<void> {
    await this.stop();
    remove(this.#folder);
  }

  /** Everything that it has, as the documents that they were. */
  async documents(): Promise<EcsDocument[]> {
    await fetch(`${this.url}/internal/force_flush`);
    const reply = await fetch(`${this.url}/select/logsql/query`, {
      method: "POST",
      body: new URLSearchParams({ query: "*" }),
    });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`a query was answered ${reply.status}: ${text.slice(0, 500)}`);
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => documentOf(JSON.parse(line) as Flat));
  }
}

function documentOf(flat: Flat): EcsDocument {
  const value = (name: string): string => flat[name] ?? "";
  const message = value("_msg");
  return {
    "@timestamp": value("_time"),
    message: NO_MESSAGE.test(message) ? "" : message,
    stream: value("stream"),
    log: { offset: Number(value("log.offset")), file: { path: value("log.file.path") } },
    kubernetes: {
      namespace: value("kubernetes.namespace"),
      pod: { name: value("kubernetes.pod.name"), uid: value("kubernetes.pod.uid") },
      container: { name: value("kubernetes.container.name") },
      node: { name: value("kubernetes.node.name") },
    },
  };
}
