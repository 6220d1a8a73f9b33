/**
 * The inside of a JSON string to UTF-8: \n \" \\ … and \uXXXX, with surrogate pairs; a lone surrogate becomes U+FFFD.
 * Raw bytes are copied as they are.
 */
import { BACKSLASH, LOWER_U, ZERO } from "./ascii.ts";

/** By the byte after the backslash; 0: no such escape. */
const SIMPLE = new Uint8Array(256);
for (const [letter, character] of ['""', "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"]) {
  SIMPLE[letter!.charCodeAt(0)] = character!.charCodeAt(0);
}

/**
 * Writes bytes[from, to) without escapes at `target` of the same buffer, which needs room for to - from bytes.
 * @returns the length written, or -1 at an escape that JSON does not have.
 */
export function unescapeJson(bytes: Uint8Array, from: number, to: number, target: number): number {
  let out = target;
  let at = from;
  while (at < to) {
    const byte = bytes[at]!;
    if (byte !== BACKSLASH) {
      bytes[out++] = byte;
      at++;
      continue;
    }
    if (at + 1 >= to) return -1;
    const letter = bytes[at + 1]!;
    if (letter !== LOWER_U) {
      const simple = SIMPLE[letter]!;
      if (simple === 0) return -1;
      bytes[out++] = simple;
      at += 2;
      continue;
    }
    let code = hexAt(bytes, at + 2, to);
    if (code < 0) return -1;
    at += 6;
    if (code >= 0xd800 && code <= 0xdfff) {
      const low = code < 0xdc00 ? lowSurrogateAt(bytes, at, to) : -1;
      if (low < 0) code = 0xfffd;
      else {
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
      }
    }
    out = writeUtf8(bytes, out, code);
  }
  return out - target;
}

/** The low surrogate that an escape at `at` stands for, or -1. */
function lowSurrogateAt(bytes: Uint8Array, at: number, to: number): number {
  if (at + 6 > to || bytes[at] !== BACKSLASH || bytes[at + 1] !== LOWER_U) return -1;
  const code = hexAt(bytes, at + 2, to);
  return code >= 0xdc00 && code <= 0xdfff ? code : -1;
}

/** The value of four hexadecimal digits, or -1. */
export function hexAt(bytes: Uint8Array, at: number, to: number): number {
  if (at + 4 > to) return -1;
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const digit = bytes[i]! - ZERO;
    const letter = (bytes[i]! | 0x20) - 0x61;
    if (digit >= 0 && digit <= 9) value = value * 16 + digit;
    else if (letter >= 0 && letter <= 5) value = value * 16 + letter + 10;
    else return -1;
  }
  return value;
}

export function writeUtf8(bytes: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    bytes[at++] = code;
  } else if (code < 0x800) {
    bytes[at++] = 0xc0 | (code >> 6);
    bytes[at++] = 0x80 | (code & 0x3f);
  } else if (code < 0x10000) {
    bytes[at++] = 0xe0 | (code >> 12);
    bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
    bytes[at++] = 0x80 | (code & 0x3f);
  } else {
    bytes[at++] = 0xf0 | (code >> 18);
    bytes[at++] = 0x80 | ((code >> 12) & 0x3f);
    bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
    bytes[at++] = 0x80 | (code & 0x3f);
  }
  return at;
}
