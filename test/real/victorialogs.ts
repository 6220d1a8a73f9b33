/** VictoriaLogs, one process on loopback, with the limits raised to what the agent sends (docs/victorialogs.md). */
import { join } from "node:path";
import type { EcsDocument } from "../support/arrived.ts";
import { freePort } from "../support/program.ts";
import type { Fetched } from "./fetch.ts";
import { give, readable, remove, ServerProcess, serverFolder } from "./process.ts";

/** A record as it comes back: flat, every value a text. */
type Flat = Readonly<Record<string, string>>;

/** What it calls the fields of a record, which depends on the protocol that it came by. */
export type Names = Readonly<Record<"stream" | "offset" | "namespace" | "pod" | "uid" | "container" | "node", string>>;

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

  /** Everything that it has, as the documents that they were. @param place tells a container. */
  async documents(names: Names, place: (record: Flat) => string): Promise<EcsDocument[]> {
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
      .map((line) => documentOf(JSON.parse(line) as Flat, names, place));
  }
}

function documentOf(flat: Flat, names: Names, place: (record: Flat) => string): EcsDocument {
  const value = (name: keyof Names): string => flat[names[name]] ?? "";
  const { _msg: message = "", _time: time = "" } = flat;
  return {
    "@timestamp": time,
    message: NO_MESSAGE.test(message) ? "" : message,
    stream: value("stream"),
    log: { offset: Number(value("offset")), file: { path: place(flat) } },
    kubernetes: {
      namespace: value("namespace"),
      pod: { name: value("pod"), uid: value("uid") },
      container: { name: value("container") },
      node: { name: value("node") },
    },
  };
}
