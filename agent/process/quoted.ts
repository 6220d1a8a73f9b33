/**
 * Texts in quotes as Go's strconv.Quote writes them, from escapes to bytes: a letter (\n, \t, \a, \v …), \xNN and \NNN
 * (octal) for a byte, \uNNNN and \UNNNNNNNN for a character. What is no such escape stays as it stands.
 */
import { BACKSLASH, LOWER_U, ZERO } from "../parse/ascii.ts";
import { hexAt, writeUtf8 } from "../parse/unescape.ts";

const LOWER_X = 0x78;
const UPPER_U = 0x55;
const REPLACEMENT = 0xfffd;

/** By the byte after the backslash. */
const SIMPLE = new Uint8Array(256);
for (const [letter, byte] of Object.entries({
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  "\\": 92,
  "'": 39,
  '"': 34,
}))
  SIMPLE[letter.charCodeAt(0)] = byte;

/**
 * Writes bytes[from, to) without escapes at `target` of the same buffer, which needs room for to - from bytes.
 * @returns the length written. The bytes may be no valid UTF-8.
 */
export function unescapeGo(bytes: Uint8Array, from: number, to: number, target: number): number {
  let out = target;
  for (let at = from; at < to; ) {
    const letter = bytes[at] === BACKSLASH && at + 1 < to ? bytes[at + 1]! : 0;
    const simple = SIMPLE[letter]!;
    if (simple !== 0) {
      bytes[out++] = simple;
      at += 2;
      continue;
    }
    const length = letter === LOWER_X || isOctal(letter) ? 4 : letter === LOWER_U ? 6 : letter === UPPER_U ? 10 : 0;
    const code = length === 0 || at + length > to ? -1 : codeAt(bytes, at + 1, length, to);
    if (code < 0) {
      bytes[out++] = bytes[at++]!;
      continue;
    }
    at += length;
    if (length === 4) bytes[out++] = code;
    else out = writeUtf8(bytes, out, code > 0x10ffff || (code & ~0x7ff) === 0xd800 ? REPLACEMENT : code);
  }
  return out - target;
}

/** What an escape of `length` bytes stands for, or -1. @param at behind its backslash. */
function codeAt(bytes: Uint8Array, at: number, length: number, to: number): number {
  if (length === 6) return hexAt(bytes, at + 1, to);
  if (length === 10) {
    const [high, low] = [hexAt(bytes, at + 1, to), hexAt(bytes, at + 5, to)];
    return high < 0 || low < 0 ? -1 : high * 0x10000 + low;
  }
  if (bytes[at] === LOWER_X) {
    const [high, low] = [hexDigit(bytes[at + 1]!), hexDigit(bytes[at + 2]!)];
    return high < 0 || low < 0 ? -1 : high * 16 + low;
  }
  const [first, second, third] = [bytes[at]! - ZERO, bytes[at + 1]! - ZERO, bytes[at + 2]! - ZERO];
  return first <= 3 && isOctal(bytes[at + 1]!) && isOctal(bytes[at + 2]!) ? first * 64 + second * 8 + third : -1;
}

function isOctal(byte: number): boolean {
  return byte >= ZERO && byte < ZERO + 8;
}

function hexDigit(byte: number): number {
  const digit = byte - ZERO;
  const letter = (byte | 0x20) - 0x61;
  return digit >= 0 && digit <= 9 ? digit : letter >= 0 && letter <= 5 ? letter + 10 : -1;
}
