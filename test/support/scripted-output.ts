/** An output without a backend: its answers are a script, and what it accepts is kept. */
import { type Batch, DROPPED } from "../../agent/batch.ts";
import type { ClosedRequest, OpenRequest, Outcome, Output } from "../../outputs/output.ts";

/** A request whose body is its messages, one a line. */
export class ScriptedOutput implements Output {
  readonly type = "scripted";
  readonly stored: string[] = [];
  readonly sent: string[][] = [];
  readonly script: (messages: readonly string[]) => Outcome;
  inFlight = 0;
  mostInFlight = 0;
  /** Answers wait until they are released. */
  hold = false;
  readonly #held: (() => void)[] = [];

  constructor(script: (messages: readonly string[]) => Outcome) {
    this.script = script;
  }
  requestKey(batch: Batch): string {
    return batch.origin.namespace;
  }
  open(): OpenRequest {
    const lines: string[] = [];
    const size = (): number => lines.reduce((sum, line) => sum + line.length + 1, 0);
    return {
      get bytes() {
        return size();
      },
      get rows() {
        return lines.length;
      },
      append(batch, row, maxBytes, maxRows) {
        let at = row;
        for (; at < batch.rows; at++) {
          if (((batch.flags[at] as number) & DROPPED) !== 0) continue;
          const line = batch.bytes.toString("utf8", batch.from[at], batch.to[at]);
          if (lines.length > 0 && (lines.length >= maxRows || size() + line.length + 1 > maxBytes)) return at;
          lines.push(line);
        }
        return at;
      },
      close: () => closed(lines),
    };
  }
  async send({ body }: ClosedRequest, signal: AbortSignal): Promise<Outcome> {
    const messages = body.toString().split("\n");
    this.sent.push(messages);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    await new Promise<void>((resolve) => {
      if (!this.hold) return setImmediate(resolve);
      this.#held.push(resolve);
      signal.addEventListener("abort", () => resolve());
      return undefined;
    });
    this.inFlight--;
    if (signal.aborted) return { kind: "retry", code: "aborted", reason: "aborted" };
    const outcome = this.script(messages);
    if (outcome.kind === "delivered") this.stored.push(...messages);
    if (outcome.kind === "mixed")
      this.stored.push(
        ...messages.filter((_, row) => !outcome.retry.includes(row) && !outcome.rejected.some((r) => r.row === row)),
      );
    return outcome;
  }
  release(): void {
    for (const resolve of this.#held.splice(0)) resolve();
  }
  pick({ body }: ClosedRequest, rows: readonly number[]): ClosedRequest {
    const messages = body.toString().split("\n");
    return closed(rows.map((row) => messages[row] ?? ""));
  }
  entry({ body }: ClosedRequest, row: number): string {
    return body.toString().split("\n")[row] ?? "";
  }
  async close(): Promise<void> {}
}

function closed(lines: readonly string[]): ClosedRequest {
  const body = Buffer.from(lines.join("\n"));
  return { body, rows: lines.length, bytes: body.length };
}
