/** JSON's numbers and words, by RFC 8259. */
import { DOT, LOWER_E, LOWER_F, LOWER_T, MINUS, PLUS, ZERO } from "../parse/ascii.ts";

const TRUE = Buffer.from("true");
const FALSE = Buffer.from("false");
const NULL = Buffer.from("null");

/** @returns the end, at most `to`, of the number, true, false or null that begins at `from`; -1 where there is none. */
export function endOfScalar(bytes: Uint8Array, from: number, to: number): number {
  const byte = from < to ? bytes[from]! : 0;
  if (byte !== MINUS && (byte < ZERO || byte > ZERO + 9)) return endOfWord(bytes, from, to, byte);
  const start = byte === MINUS ? from + 1 : from;
  let at = endOfDigits(bytes, start, to);
  if (at < 0 || (bytes[start] === ZERO && at > start + 1)) return -1;
  if (at < to && bytes[at] === DOT) {
    at = endOfDigits(bytes, at + 1, to);
    if (at < 0) return -1;
  }
  if (at < to && (bytes[at]! | 0x20) === LOWER_E) {
    const signed = at + 1 < to && (bytes[at + 1] === PLUS || bytes[at + 1] === MINUS);
    at = endOfDigits(bytes, signed ? at + 2 : at + 1, to);
  }
  return at;
}

function endOfDigits(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && bytes[at]! >= ZERO && bytes[at]! <= ZERO + 9) at++;
  return at > from ? at : -1;
}

function endOfWord(bytes: Uint8Array, from: number, to: number, byte: number): number {
  const word = byte === LOWER_T ? TRUE : byte === LOWER_F ? FALSE : NULL;
  const end = from + word.length;
  if (end > to) return -1;
  for (let i = 0; i < word.length; i++) if (bytes[from + i] !== word[i]) return -1;
  return end;
}
