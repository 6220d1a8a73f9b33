/** What a running program says of itself: status, metrics, and its own log. */
import type { Status } from "../../agent/admin/status.ts";
import { type Program, until } from "./program.ts";

export class Watched {
  readonly program: Program;
  readonly #status: string;
  readonly #metrics: string;

  private constructor(program: Program, addresses: { status: string; metrics: string }) {
    this.program = program;
    this.#status = addresses.status;
    this.#metrics = addresses.metrics;
  }

  static async of(program: Program): Promise<Watched> {
    return new Watched(program, await program.running());
  }

  /** Where the status page is. */
  get ui(): string {
    return new URL(this.#status).origin;
  }

  get admin(): string {
    return new URL(this.#metrics).origin;
  }

  async status(): Promise<Status> {
    return (await (await fetch(this.#status)).json()) as Status;
  }

  /** The sum of a metric's series whose labels are among these; undefined when there are none. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number | undefined> {
    const text = await (await fetch(this.#metrics)).text();
    const values = text
      .split("\n")
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)))
      .map((line) => Number(line.slice(line.lastIndexOf(" "))));
    return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
  }

  reloads(): Promise<number | undefined> {
    return this.metric("tailrace_config_reloads_total");
  }

  reloadFailures(): Promise<number | undefined> {
    return this.metric("tailrace_config_reload_failures_total");
  }

  /** Waits until so many changed configurations were taken up. */
  async reloaded(times: number): Promise<void> {
    await until(async () => ((await this.reloads()) ?? 0) >= times, `${times} reloads`);
  }
}
