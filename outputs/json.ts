/**
 * ByteWriter: a growing buffer for bodies, with what JSON needs. Bytes in, bytes out: no strings and no objects per row.
 */
const ESCAPES = new Uint8Array(256);
for (let byte = 0; byte < 0x20; byte++) ESCAPES[byte] = 1;
ESCAPES[0x22] = 1;
ESCAPES[0x5c] = 1;
const SHORT: Readonly<Record<number, number>> = { 8: 0x62, 9: 0x74, 10: 0x6e, 12: 0x66, 13: 0x72, 34: 0x22, 92: 0x5c };
const HEX = Buffer.from("0123456789abcdef");
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const DOT = 0x2e;
const ZULU = 0x5a;

/** A run of clean bytes longer than this is copied at once; a call costs about as much as 24 single bytes. */
const RUN_BYTES = 24;

export class ByteWriter {
  #bytes: Buffer;
  /** End of what is written; may be set back to take something away. */
  length = 0;
  #second = Number.NaN;
  readonly #secondText = Buffer.alloc(24);
  #secondLength = 0;

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

  /** Characters below U+0080 only. */
  ascii(text: string): void {
    this.#reserve(text.length);
    this.length += this.#bytes.write(text, this.length, "latin1");
  }

  /** A whole number from 0 to 2^53, in decimal digits. */
  number(value: number): void {
    this.#reserve(20);
    this.#digits(value, value < 10 ? 1 : Math.max(1, digitsOf(value)));
  }

  /** bytes[from, to), valid UTF-8, as the inside of a JSON string. At most sixfold. */
  escaped(bytes: Uint8Array, from: number, to: number): void {
    this.#reserve((to - from) * 6);
    const out = this.#bytes;
    let at = this.length;
    let run = from;
    for (let i = from; i < to; i++) {
      const byte = bytes[i] as number;
      if (ESCAPES[byte] === 0) continue;
      at = copy(bytes, run, i, out, at);
      run = i + 1;
      out[at++] = BACKSLASH;
      const short = SHORT[byte];
      if (short !== undefined) out[at++] = short;
      else {
        out[at++] = 0x75;
        out[at++] = ZERO;
        out[at++] = ZERO;
        out[at++] = HEX[byte >> 4] as number;
        out[at++] = HEX[byte & 15] as number;
      }
    }
    this.length = copy(bytes, run, to, out, at);
  }

  /** RFC 3339 in UTC with as many fractional digits as the log gave, without quotes. */
  time(seconds: number, nanos: number, digits: number): void {
    this.#reserve(40);
    if (seconds !== this.#second) this.#cacheSecond(seconds);
    const out = this.#bytes;
    out.set(this.#secondText.subarray(0, this.#secondLength), this.length);
    this.length += this.#secondLength;
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
    const text = new Date(bounded * 1000).toISOString().slice(0, 19);
    this.#secondLength = this.#secondText.write(text, "latin1");
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

function copy(bytes: Uint8Array, from: number, to: number, out: Buffer, at: number): number {
  const length = to - from;
  if (length > RUN_BYTES) out.set(bytes.subarray(from, to), at);
  else for (let i = 0; i < length; i++) out[at + i] = bytes[from + i] as number;
  return at + length;
}
