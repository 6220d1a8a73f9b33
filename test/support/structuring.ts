/** The processors json and parse on rows made by hand, and what is in their rows then. */
import { type Rows, SEVERITIES } from "../../agent/batch.ts";
import type { Format } from "../../agent/process/format.ts";
import { severityOfValue } from "../../agent/process/severity.ts";
import { Structured, type StructuredOptions } from "../../agent/process/structured.ts";
import { rowsOf } from "./rows.ts";

export interface StructuredRow {
  readonly message: string;
  readonly severity: string;
  /** The fields, as one JSON object. */
  readonly fields: string;
  readonly seconds: number;
  readonly nanos: number;
}

export const DEFAULTS: StructuredOptions = {
  into: "root",
  timeKey: "",
  messageKey: "message",
  severityKey: "",
  keepMessage: false,
};

export function structure(
  format: Format,
  messages: readonly string[],
  options: Partial<StructuredOptions> = {},
): { rows: StructuredRow[]; counts: Structured["counts"] } {
  const rows = rowsOf(messages);
  const processor = new Structured("parse", format, { ...DEFAULTS, ...options }, severityOfValue, undefined);
  processor.process(rows);
  return { rows: Array.from({ length: rows.rows }, (_, row) => readRow(rows, row)), counts: processor.counts };
}

function readRow(rows: Rows, row: number): StructuredRow {
  const { fields, bytes } = rows;
  const members: string[] = [];
  for (let i = 0; fields !== undefined && i < fields.count[row]!; i++) {
    const member = (fields.first[row]! + i) * 4;
    const text = (column: number): string =>
      // The strict decoder: fields promise to be valid UTF-8.
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
        bytes.subarray(fields.table[member + column], fields.table[member + column + 1]),
      );
    members.push(`"${text(0)}":${text(2)}`);
  }
  return {
    message: bytes.toString("utf8", rows.from[row], rows.to[row]),
    severity: SEVERITIES[rows.severity?.[row] ?? 0] ?? "",
    fields: `{${members.join(",")}}`,
    seconds: rows.seconds[row]!,
    nanos: rows.nanos[row]!,
  };
}
