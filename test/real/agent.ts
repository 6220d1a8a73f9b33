/** The shipped program on a node's logs, and what it says of its work. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Exit, Program, until } from "../support/program.ts";

/** Servers on a busy machine take their time. */
const PATIENCE_MS = 300_000;

export class ShippingAgent {
  readonly #config: string;
  #program: Program | undefined;

  /**
   * @param folder for its configuration and state.
   * @param logs where its node's logs are.
   * @param outputs YAML of the list under `outputs:`.
   */
  constructor(folder: string, logs: { root: string; include: readonly string[] }, outputs: string) {
    this.#config = join(folder, "config.yaml");
    writeFileSync(
      this.#config,
      `nodeName: node-a
dataDir: ${join(folder, "state")}
source:
  include: ${JSON.stringify(logs.include)}
  roots: ["${logs.root}"]
  maxRecordBytes: 4MiB
kubernetes: { enabled: false }
admin: { listen: "127.0.0.1:0", uiListen: "127.0.0.1:0" }
outputs:
${outputs}
`,
    );
  }

  async start(): Promise<void> {
    this.#program = new Program(["run", "-c", this.#config]);
    await this.#program.running();
  }

  async end(signal: NodeJS.Signals): Promise<Exit> {
    const exit = await this.#running.end(signal);
    this.#program = undefined;
    return exit;
  }

  /** For the end of a test that may have failed: nothing is left of it. */
  async close(): Promise<void> {
    await this.#program?.end("SIGKILL");
  }

  get log(): Record<string, unknown>[] {
    return this.#running.log;
  }

  /** The sum of a metric over the series whose labels hold all of these. */
  async metric(name: string, ...labels: string[]): Promise<number> {
    const { child, stderr } = this.#running;
    const ended = child.exitCode ?? child.signalCode;
    if (ended !== null) throw new Error(`the agent ended with ${ended}: ${stderr.slice(-2000)}`);
    const { metrics } = await this.#running.running();
    const text = await ask(metrics);
    let sum = 0;
    for (const line of text.split("\n"))
      if ((line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && labels.every((label) => line.includes(label)))
        sum += Number(line.slice(line.lastIndexOf(" ") + 1));
    return sum;
  }

  /** Waits until this run has delivered so many records. */
  async delivered(records: number): Promise<void> {
    await this.until(
      async () => (await this.metric("tailrace_output_records_total")) >= records,
      `${records} records are delivered`,
    );
  }

  /** Waits until all that is in the files is accepted or refused. */
  async idle(): Promise<void> {
    await this.until(
      async () =>
        (await this.metric("tailrace_source_read_bytes_total")) > 0 &&
        (await this.metric("tailrace_source_lag_bytes")) === 0 &&
        (await this.metric("tailrace_output_pending_bytes")) === 0,
      "everything is delivered",
    );
  }

  /** Waits for a condition; when it never comes true, what the agent says is part of the failure. */
  async until(condition: () => Promise<boolean>, name: string): Promise<void> {
    try {
      await until(condition, name, PATIENCE_MS);
    } catch (error) {
      const { outputs } = await this.#status();
      throw new Error(`${name}: ${JSON.stringify(outputs)} ${JSON.stringify(this.log.slice(-3))}`, { cause: error });
    }
  }

  async #status(): Promise<{ outputs: unknown }> {
    const { status } = await this.#running.running();
    return JSON.parse(await ask(status)) as { outputs: unknown };
  }

  get #running(): Program {
    if (this.#program === undefined) throw new Error("the agent does not run");
    return this.#program;
  }
}

/** On a connection of its own: a kept one may be closed while the test is busy writing. */
async function ask(url: string): Promise<string> {
  return (await fetch(url, { headers: { connection: "close" } })).text();
}
