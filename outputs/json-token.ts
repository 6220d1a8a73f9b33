/** The smallest parts of JSON text, read from bytes. `to` ends what may be looked at; offsets are where a part ends. */
import { CR, LF, SPACE, TAB, ZERO } from "../agent/parse/ascii.ts";

const LITERALS = ["true", "false", "null"];

export function skipSpace(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  for (; at < to; at++) {
    const byte = bytes[at];
    if (byte !== SPACE && byte !== LF && byte !== CR && byte !== TAB) break;
  }
  return at;
}

export function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}

export function skipDigits(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && isDigit(bytes[at]!)) at++;
  return at;
}

/** @returns -1 when there is none. */
export function readLiteral(bytes: Uint8Array, at: number, to: number): number {
  for (const word of LITERALS) if (at + word.length <= to && isText(bytes, at, word)) return at + word.length;
  return -1;
}

/** The number that four hexadecimal digits make; -1 when they are none. */
export function hexUnit(bytes: Uint8Array, from: number, to: number): number {
  if (from + 4 > to) return -1;
  let unit = 0;
  for (let at = from; at < from + 4; at++) {
    const byte = bytes[at]!;
    const lower = byte | 0x20;
    if (isDigit(byte)) unit = unit * 16 + byte - ZERO;
    else if (lower >= 0x61 && lower <= 0x66) unit = unit * 16 + lower - 0x57;
    else return -1;
  }
  return unit;
}

export function isText(bytes: Uint8Array, from: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text.charCodeAt(i)) return false;
  return true;
}
