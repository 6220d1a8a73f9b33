/**
 * What a row is made of when it becomes bytes: the same for all rows of an origin, so rendered once. The kernel runs it
 * as a program (assembly/encode.ts). Its twin is whatever writes the same row without kernels.
 */

/**
 * One after the other: bytes as they are; by stream; by severity; the message as the inside of a JSON string; the offset
 * of the row in decimal; its time in RFC 3339 with as many digits as the log gave; ten digits of its seconds and nine of
 * its nanoseconds; its fields as members of an object, a comma before each; the offset with zeros before it, 16 digits;
 * the message as a text, or pieces of it as JSON (assembly/payload.ts), which the row's fields are in this case.
 */
export type Piece =
  | Buffer
  | { readonly stdout: Buffer; readonly stderr: Buffer }
  /** One for each of SEVERITIES. */
  | { readonly severities: readonly Buffer[] }
  | "message"
  | "offset"
  | "time"
  | "stamp"
  | "fields"
  | "wideOffset"
  | { readonly text: readonly [Buffer, Buffer]; readonly json: readonly [Buffer, Buffer] };

export type RowLayout = readonly Piece[];

/** Pieces that stand for themselves made into one where they follow each other. */
export function joinPieces(pieces: readonly Piece[]): RowLayout {
  const layout: Piece[] = [];
  for (const piece of pieces) {
    const last = layout.at(-1);
    if (Buffer.isBuffer(piece) && Buffer.isBuffer(last)) layout[layout.length - 1] = Buffer.concat([last, piece]);
    else layout.push(piece);
  }
  return layout;
}
