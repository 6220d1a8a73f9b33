/**
 * The id of a record: its time, its generation and the offset of its first byte in the uncompressed file. The same on
 * every reading, whatever the file is called by then, so that a backend can tell a repeat.
 *
 *   1790000000123456789-k3Jx0aZ9bQwErTy1-4711
 *
 * A joined message has its length in the file, too: should silence have ended it too early, and a crash make us read it
 * again with lines that came since, then it is another record. Else the backend would take it for the one that it has,
 * and those lines would be lost.
 *
 * Time first, because ids that grow with time cost Elasticsearch least. Digits are decimal, as in the record's time and
 * offset, so that compression finds them there again.
 */
import { type Batch, type Generation, JOINED } from "../agent/batch.ts";
import type { Piece } from "../agent/kernel/row.ts";
import type { ByteWriter } from "./json.ts";

const DASH = 0x2d;

/** @param offsetDigits the offset gets leading zeros up to so many, for those who compare ids as texts. */
export function writeRecordId(writer: ByteWriter, batch: Batch, row: number, offsetDigits = 0): void {
  const seconds = batch.seconds[row] as number;
  if (seconds >= 0) writer.padded(seconds, seconds < 1e10 ? 10 : 12);
  else {
    writer.byte(DASH);
    writer.padded(-seconds, 12);
  }
  writer.padded(batch.nanos[row] as number, 9);
  writer.byte(DASH);
  writer.ascii((batch.extra?.get(row)?.generation ?? batch.generation).key);
  writer.byte(DASH);
  const offset = batch.offset[row] as number;
  if (offsetDigits > 0) writer.padded(offset, offsetDigits);
  else writer.number(offset);
  if (((batch.flags[row] as number) & JOINED) === 0) return;
  writer.byte(DASH);
  writer.number(batch.size[row] as number);
}

/** What the id of a row is made of that begins in its batch's generation: the same bytes that `writeRecordId` writes. */
export function recordIdPieces(generation: Generation): Piece[] {
  return ["stamp", Buffer.from(`-${generation.key}-`), "offset"];
}
