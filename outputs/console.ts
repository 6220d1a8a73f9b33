/**
 * Console: records on standard output, readable for people or as one JSON object a line. For the demo, for trying out
 * a configuration, and for platforms that collect the agent's own output.
 */
import type { Writable } from "node:stream";
import { type Batch, SEVERITIES, STDERR, TRUNCATED, UNPARSED } from "../agent/batch.ts";
import { isoTime } from "../agent/clock.ts";
import { errorText } from "../agent/errors.ts";
import { printable } from "../agent/terminal.ts";
import { ecsLine } from "./ecs.ts";
import { ByteWriter } from "./json.ts";
import { type LineEncoder, LinesRequest, lineOf, pickLines } from "./lines.ts";
import { writeMembers } from "./members.ts";
import type { ClosedRequest, OpenRequest, Outcome, Output } from "./output.ts";

export interface ConsoleOptions {
  readonly format: "pretty" | "json";
}

const DIM = "\x1b[2m";
const RED = "\x1b[31m";
const CYAN = "\x1b[36m";
const PLAIN = "\x1b[0m";

export class ConsoleOutput implements Output {
  readonly type = "console";
  readonly #options: ConsoleOptions;
  readonly #stream: Writable;
  readonly #colours: boolean;

  /** @param colours whether the stream is a terminal. */
  constructor(options: ConsoleOptions, stream: Writable, colours: boolean) {
    this.#options = options;
    this.#stream = stream;
    this.#colours = colours;
  }

  requestKey(): string {
    return "";
  }

  open(): OpenRequest {
    return new LinesRequest(this.#options.format === "json" ? ecsLine() : new Pretty(this.#colours));
  }

  /** Waits for a slow reader: a full pipe is back-pressure like any other. */
  send(request: ClosedRequest, signal: AbortSignal): Promise<Outcome> {
    return new Promise((resolve) => {
      const abort = (): void =>
        resolve({ kind: "retry", code: "ABORTED", reason: "standard output does not take any more" });
      signal.addEventListener("abort", abort, { once: true });
      this.#stream.write(request.body, (error) => {
        signal.removeEventListener("abort", abort);
        if (error)
          resolve({ kind: "retry", code: "EPIPE", reason: `can't write to standard output: ${errorText(error)}` });
        else resolve({ kind: "delivered", code: "ok" });
      });
    });
  }

  pick(request: ClosedRequest, rows: readonly number[]): ClosedRequest {
    return pickLines(request, rows);
  }

  entry(request: ClosedRequest, row: number): string {
    return lineOf(request, row);
  }

  async close(): Promise<void> {}
}

/** TIME NAMESPACE/POD CONTAINER SEVERITY message {fields}; line ends within a message can't occur, other control bytes are shown. */
class Pretty implements LineEncoder {
  readonly #colours: boolean;

  constructor(colours: boolean) {
    this.#colours = colours;
  }

  encode(writer: ByteWriter, batch: Batch, row: number): void {
    const { namespace, pod, container } = batch.origin;
    const flags = batch.flags[row] as number;
    const paint = (colour: string, text: string): string => (this.#colours ? `${colour}${text}${PLAIN}` : text);
    const time = new Date((batch.seconds[row] as number) * 1000 + (batch.nanos[row] as number) / 1e6);
    const clock = Number.isNaN(time.getTime()) ? "--:--:--.---" : isoTime(time.getTime()).slice(11, 23);
    const marks = `${(flags & TRUNCATED) !== 0 ? " [cut]" : ""}${(flags & UNPARSED) !== 0 ? " [unparsed]" : ""}`;
    const severity = SEVERITIES[batch.severity?.[row] ?? 0] ?? "";
    const message = printable(batch.bytes.toString("utf8", batch.from[row], batch.to[row]));
    const name = paint(CYAN, `${namespace}/${pod} ${container}`);
    const text = (flags & STDERR) !== 0 ? paint(RED, message) : message;
    const level = severity === "" ? "" : ` ${severity.toUpperCase()}`;
    writer.buffer(Buffer.from(`${paint(DIM, clock)} ${name}${marks}${level} ${text}`));
    if (batch.fields !== undefined && batch.fields.count[row] !== 0) {
      const fields = new ByteWriter(1024);
      fields.byte(0x7b);
      writeMembers(fields, batch, row, false);
      fields.byte(0x7d);
      writer.buffer(Buffer.from(` ${paint(DIM, fields.view().toString())}`));
    }
    writer.byte(0x0a);
  }
}
