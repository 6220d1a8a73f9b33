/** Bodies of one line a row, as the console and the file output have them. */
import { type Batch, DROPPED } from "../agent/batch.ts";
import { ByteWriter } from "./json.ts";
import type { ClosedRequest, OpenRequest } from "./output.ts";

/** Encodes one row as one line, with its newline. */
export interface LineEncoder {
  encode(writer: ByteWriter, batch: Batch, row: number): void;
}

const NEWLINE = 0x0a;

export class LinesRequest implements OpenRequest {
  readonly #writer = new ByteWriter();
  readonly #encoder: LineEncoder;
  rows = 0;

  constructor(encoder: LineEncoder) {
    this.#encoder = encoder;
  }

  get bytes(): number {
    return this.#writer.length;
  }

  append(batch: Batch, row: number, maxBytes: number, maxRows: number): number {
    let at = row;
    for (; at < batch.rows; at++) {
      if (((batch.flags[at] as number) & DROPPED) !== 0) continue;
      if (this.rows >= maxRows) return at;
      const before = this.#writer.length;
      this.#encoder.encode(this.#writer, batch, at);
      if (this.#writer.length > maxBytes && this.rows > 0) {
        this.#writer.length = before;
        return at;
      }
      this.rows++;
    }
    return at;
  }

  close(): ClosedRequest {
    const body = Buffer.from(this.#writer.view());
    return { body, rows: this.rows, bytes: body.length };
  }
}

/** The lines of these rows (ascending), each with its newline. */
export function linesOf(body: Buffer, rows: readonly number[]): Buffer[] {
  const lines: Buffer[] = [];
  let at = 0;
  let row = 0;
  for (const wanted of rows) {
    for (; row <= wanted; row++) {
      const end = body.indexOf(NEWLINE, at) + 1;
      if (row === wanted) lines.push(body.subarray(at, end));
      at = end;
    }
  }
  return lines;
}

export function pickLines(request: ClosedRequest, rows: readonly number[]): ClosedRequest {
  const body = Buffer.concat(linesOf(request.body, rows));
  return { body, rows: rows.length, bytes: body.length };
}

/** One row's line without its newline. */
export function lineOf(request: ClosedRequest, row: number): string {
  const line = linesOf(request.body, [row])[0];
  return line === undefined ? "" : line.toString("utf8", 0, line.length - 1);
}
