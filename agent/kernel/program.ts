/**
 * Program: a row's layout as the kernel runs it (assembly/encode.ts): operations, and behind them the bytes they copy. It
 * also holds where each of these was copied to last, which is wrong once a body begins or a row is taken back.
 */
import type { Piece, RowLayout } from "./row.ts";

const OPERATIONS = { message: 2, offset: 4, time: 5, stamp: 6, fields: 7, wideOffset: 9 };

/** Words of a constant: its address, its length, and where it was copied to last (assembly/repeats.ts). */
const PART_WORDS = 3;

export class Program {
  readonly #bytes: Buffer;
  readonly #words: Uint32Array;
  readonly #start: number;
  readonly #end: number;
  #layout: RowLayout | undefined;

  /** @param place of it in the kernel's memory. */
  constructor(memory: ArrayBuffer, place: { readonly at: number; readonly bytes: number }) {
    this.#bytes = Buffer.from(memory);
    this.#words = new Uint32Array(memory);
    this.#start = place.at;
    this.#end = place.at + place.bytes;
  }

  /** What is there is not to be used again. */
  forget(): void {
    this.#layout = undefined;
  }

  /**
   * Writes the program of a layout, unless it is there. It does so for every piece of a body, so it makes next to nothing
   * on the way: lists of all words and bytes were a fifth of the garbage. @returns false when it is too large.
   */
  load(layout: RowLayout): boolean {
    if (layout === this.#layout) return true;
    let at = this.#start + 4;
    let length = 0;
    for (const piece of layout) {
      at += 4;
      for (const part of partsOf(piece)) {
        at += PART_WORDS * 4;
        length += part.length;
      }
    }
    if (at + length > this.#end) return false;
    const words = this.#words;
    let word = this.#start >> 2;
    for (const piece of layout) {
      words[word++] = operation(piece);
      for (const part of partsOf(piece)) {
        this.#bytes.set(part, at);
        words[word++] = at;
        words[word++] = part.length;
        words[word++] = 0;
        at += part.length;
      }
    }
    words[word] = 0;
    this.#layout = layout;
    return true;
  }
}

function operation(piece: Piece): number {
  if (typeof piece === "string") return OPERATIONS[piece];
  if (Buffer.isBuffer(piece)) return 1;
  return "stdout" in piece ? 3 : "severities" in piece ? 8 : 10;
}

/** Bytes that a piece copies, one way or the other. */
function partsOf(piece: Piece): readonly Buffer[] {
  if (typeof piece === "string") return [];
  if (Buffer.isBuffer(piece)) return [piece];
  if ("stdout" in piece) return [piece.stdout, piece.stderr];
  return "severities" in piece ? piece.severities : [...piece.text, ...piece.json];
}
