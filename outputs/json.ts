/**
 * ByteWriter: a growing buffer for bodies, with what JSON needs. Bytes in, bytes out: no strings and no objects per row.
 */
import { isoTime } from "../agent/clock.ts";

/** 0: the byte stands for itself in a JSON string; 1: it becomes \u00XX; else the letter behind the backslash. */
const ESCAPES = new Uint8Array(256).fill(1, 0, 0x20);
for (const [byte, letter] of Object.entries({ 8: "b", 9: "t", 10: "n", 12: "f", 13: "r", 34: '"', 92: "\\" }))
  ESCAPES[Number(byte)] = letter.charCodeAt(0);
const HEX = Buffer.from("0123456789abcdef");
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const DOT = 0x2e;
const ZULU = 0x5a;
const U = 0x75;

/** Room is made for a piece at a time, as if each byte became six; so a large message does not make a sixfold buffer. */
const PIECE_BYTES = 16 * 1024;

export class ByteWriter {
  #bytes: Buffer;
  /** End of what is written; may be set back to take something away. */
  length = 0;
  #second = Number.NaN;
  #secondText = Buffer.alloc(0);

  constructor(capacity = 64 * 1024) {
    this.#bytes = Buffer.allocUnsafeSlow(capacity);
  }

  /** What is written so far. Borrowed: valid until the next write. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }

  buffer(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** bytes[from, to) as they stand. Short ones by a loop, which is quicker than a view and a call up to some 30 bytes. */
  copy(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    this.#reserve(length);
    const out = this.#bytes;
    if (length > 32) out.set(bytes.subarray(from, to), this.length);
    else for (let i = 0, at = this.length; i < length; i++) out[at + i] = bytes[from + i] as number;
    this.length += length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.length++] = value;
  }

  /** Characters below U+0080 only. For short texts a loop is quicker than a call of Buffer.write. */
  ascii(text: string): void {
    this.#reserve(text.length);
    const out = this.#bytes;
    const start = this.length;
    for (let i = 0; i < text.length; i++) out[start + i] = text.charCodeAt(i);
    this.length = start + text.length;
  }

  /** A whole number from 0 to 2^53, in decimal digits. */
  number(value: number): void {
    this.#reserve(20);
    this.#digits(value, digitsOf(value));
  }

  /** bytes[from, to), valid UTF-8, as the inside of a JSON string. */
  escaped(bytes: Uint8Array, from: number, to: number): void {
    for (let at = from; at < to; at += PIECE_BYTES) this.#piece(bytes, at, Math.min(to, at + PIECE_BYTES));
  }

  #piece(bytes: Uint8Array, from: number, to: number): void {
    this.#reserve((to - from) * 6);
    const out = this.#bytes;
    let at = this.length;
    for (let i = from; i < to; i++) {
      const byte = bytes[i] as number;
      const letter = ESCAPES[byte] as number;
      if (letter === 0) {
        out[at++] = byte;
        continue;
      }
      out[at++] = BACKSLASH;
      if (letter !== 1) out[at++] = letter;
      else {
        out[at++] = U;
        out[at++] = ZERO;
        out[at++] = ZERO;
        out[at++] = HEX[byte >> 4] as number;
        out[at++] = HEX[byte & 15] as number;
      }
    }
    this.length = at;
  }

  /** RFC 3339 in UTC with as many fractional digits as the log gave, without quotes. */
  time(seconds: number, nanos: number, digits: number): void {
    this.#reserve(40);
    if (seconds !== this.#second) this.#cacheSecond(seconds);
    const out = this.#bytes;
    out.set(this.#secondText, this.length);
    this.length += this.#secondText.length;
    if (digits > 0) {
      out[this.length++] = DOT;
      this.#digits(Math.floor(nanos / 10 ** (9 - digits)), digits);
    }
    out[this.length++] = ZULU;
  }

  /** A number with leading zeros. */
  padded(value: number, width: number): void {
    this.#reserve(20);
    this.#digits(value, width);
  }

  #digits(value: number, width: number): void {
    const out = this.#bytes;
    const end = this.length + width;
    let rest = value;
    for (let at = end - 1; at >= this.length; at--) {
      const next = Math.floor(rest / 10);
      out[at] = ZERO + (rest - next * 10);
      rest = next;
    }
    this.length = end;
  }

  /** Years beyond 9999 are not RFC 3339: they are shown as the last moment that is. */
  #cacheSecond(seconds: number): void {
    const bounded = Math.min(Math.max(seconds, -62_135_596_800), 253_402_300_799);
    const text = isoTime(bounded * 1000).slice(0, 19);
    this.#secondText = Buffer.from(text, "latin1");
    this.#second = seconds;
  }

  #reserve(length: number): void {
    const need = this.length + length;
    if (need <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(need, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.length);
    this.#bytes = larger;
  }
}

function digitsOf(value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  return digits;
}
