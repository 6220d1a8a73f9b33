/** A record's fields as members of a JSON object: bytes copied as they stand, see agent/fields.ts. */
import type { Batch } from "../agent/batch.ts";
import type { ByteWriter } from "./json.ts";

const QUOTE = 0x22;
const COLON = 0x3a;
const COMMA = 0x2c;

/** Writes `"name":value` for each field of the row, with commas between. @param follows others stand before them. */
export function writeMembers(writer: ByteWriter, batch: Batch, row: number, follows: boolean): void {
  const { fields, bytes } = batch;
  if (fields === undefined) return;
  const first = fields.first[row] as number;
  const end = first + (fields.count[row] as number);
  for (let member = first; member < end; member++) {
    if (follows || member > first) writer.byte(COMMA);
    writer.byte(QUOTE);
    writer.copy(bytes, fields.nameFrom(member), fields.nameTo(member));
    writer.byte(QUOTE);
    writer.byte(COLON);
    writer.copy(bytes, fields.valueFrom(member), fields.valueTo(member));
  }
}

/** @param name as the inside of a JSON string. */
export function hasMember({ fields, bytes }: Batch, row: number, name: Uint8Array): boolean {
  return fields !== undefined && fields.count[row] !== 0 && fields.find(bytes, row, name) >= 0;
}
