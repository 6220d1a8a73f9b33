/** Rows with fields, and fields as values. */
import type { Batch, Rows } from "../../agent/batch.ts";

/** Gives a row the members of an object. */
export function giveFields(rows: Rows, row: number, members: Readonly<Record<string, unknown>>): void {
  const fields = rows.members();
  const mark = fields.used;
  for (const [name, value] of Object.entries(members)) {
    const text = Buffer.from(JSON.stringify(name).slice(1, -1));
    const json = Buffer.from(JSON.stringify(value));
    rows.reserve(text.length + json.length);
    const at = rows.used;
    rows.used += text.copy(rows.bytes, rows.used);
    const middle = rows.used;
    rows.used += json.copy(rows.bytes, rows.used);
    fields.add(at, middle, middle, rows.used);
  }
  fields.assign(rows.bytes, row, mark);
}

/** A row's fields as pairs of name and JSON text, in order. */
export function fieldsOf({ fields, bytes }: Batch, row: number): [string, string][] {
  if (fields === undefined) return [];
  const first = fields.first[row] as number;
  return Array.from({ length: fields.count[row] as number }, (_, i) => [
    fields.nameText(bytes, first + i),
    bytes.toString("utf8", fields.valueFrom(first + i), fields.valueTo(first + i)),
  ]);
}

export function messagesOf(batch: Batch): string[] {
  return Array.from({ length: batch.rows }, (_, row) => batch.bytes.toString("utf8", batch.from[row], batch.to[row]));
}
