/**
 * JsonObject: tells whether bytes are a JSON object that can be sent on as they are, as the value of a
 * `google.protobuf.Struct`, and finds members of interest at its top. It walks bytes and makes no objects, so that a
 * structured message costs little more than a plain one: 3.4 CPU-s/GB, where parsing and serialising takes 5.5 (Node 24).
 *
 * A Struct is narrower than JSON: numbers are doubles, strings are valid Unicode, keys are given once, and what is nested
 * too deeply is refused. What can be put right is (json-clean.ts), the rest stays text.
 */
import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  DOT,
  LOWER_E,
  LOWER_U,
  MINUS,
  OPEN_BRACE,
  OPEN_BRACKET,
  PLUS,
  QUOTE,
  ZERO,
} from "../agent/parse/ascii.ts";
import { hexUnit, isDigit, isText, readLiteral, skipDigits, skipSpace } from "./json-token.ts";

/** No JSON object, or one that no Struct can hold. */
export const TEXT = 0;
/** Can be sent as it is. */
export const OBJECT = 1;
/** An object, but `cleaned` (json-clean.ts) has to see it first. */
export const UNCLEAN = 2;
export type Verdict = typeof TEXT | typeof OBJECT | typeof UNCLEAN;

/**
 * Levels of objects and arrays. Each takes three messages of protobuf (Struct, map entry, Value), parsers refuse more
 * than 100 within each other (protobuf.dev/programming-guides/encoding), and a request has two around.
 */
export const MAX_DEPTH = 30;
/** Integers of so many digits may be no doubles. */
const UNSAFE_DIGITS = 16;
/** Exponents of so many digits may be beyond doubles. */
const UNSAFE_EXPONENT = 3;
/** What a value takes beyond its JSON text in protobuf: tags and lengths of key, value and map entry. */
export const VALUE_BYTES = 20;

const UPPER_E = 0x45;

/** Within a string, of each byte: 0 it goes on, 1 not so simple. */
const STOPS = new Uint8Array(256).fill(1, 0, 0x20);
STOPS[QUOTE] = STOPS[BACKSLASH] = 1;
const ESCAPED = new Uint8Array(256);
for (const letter of '"\\/bfnrt') ESCAPED[letter.charCodeAt(0)] = 1;

/** A member at the top. Offsets are in the scanned bytes; -1 where there is none. */
export interface Member {
  readonly key: string;
  /** Of its first quote. */
  readonly start: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  /** End of the member before it. */
  readonly before: number;
  /** Start of the member after it. */
  after: number;
}

export class JsonObject {
  /** Of the last object: what was looked for and found, in order. */
  readonly found: Member[] = [];
  /** Of the brace that opens it, and behind the one that closes it. */
  start = 0;
  end = 0;
  /** How many members it has at its top, where the first begins and the last ends; -1 when it has none. */
  members = 0;
  first = -1;
  last = -1;
  /** At least the bytes it takes as a Struct. */
  size = 0;
  readonly #keys: ReadonlyMap<number, string>;
  readonly #isArray = new Uint8Array(MAX_DEPTH + 1);
  /** Hashes of the keys of all open objects, one above the other; where each object's begin. */
  #hashes = new Int32Array(256);
  /** Where they begin. */
  #names = new Uint32Array(256);
  readonly #bases = new Uint32Array(MAX_DEPTH + 1);
  #hash = 0;
  #unclean = false;
  /** Of the member at the top that is being read: its key if that is looked for, and where it and its value begin. */
  #key: string | undefined;
  #memberStart = 0;
  #valueStart = 0;

  /** @param keys to look for at the top; ASCII. */
  constructor(keys: readonly string[]) {
    this.#keys = new Map(keys.map((key) => [hashOf(key), key]));
    if (this.#keys.size !== keys.length) throw new Error("two of the keys have the same hash");
  }

  /**
   * Looks at bytes[from, to), which must be valid UTF-8.
   * @param trusted it comes from `cleaned`, so it is not unclean.
   */
  scan(bytes: Uint8Array, from: number, to: number, trusted = false): Verdict {
    this.found.length = 0;
    this.#unclean = false;
    this.#key = undefined;
    this.members = 0;
    this.first = this.last = -1;
    let at = skipSpace(bytes, from, to);
    this.start = at;
    if (at >= to || bytes[at] !== OPEN_BRACE) return TEXT;
    let values = 0;
    let depth = 0;
    let inArray = false;
    /** Hashes of keys so far. */
    let top = 0;
    // Each turn begins before a member of an object, or an element of an array, or the object itself.
    for (;;) {
      if (depth > 0 && !inArray) {
        if (bytes[at] !== QUOTE) return TEXT;
        const start = at;
        at = this.#readKey(bytes, at + 1, to);
        if (at < 0) return TEXT;
        if (!trusted) {
          for (let i = this.#bases[depth]!; i < top; i++)
            if (this.#hashes[i] === this.#hash && isSameName(bytes, this.#names[i]!, start)) this.#unclean = true;
          if (top === this.#hashes.length) this.#growHashes();
          this.#names[top] = start;
          this.#hashes[top++] = this.#hash;
        }
        if (depth === 1) this.#beginMember(bytes, start, at);
        at = skipSpace(bytes, at, to);
        if (bytes[at] !== COLON) return TEXT;
        at = skipSpace(bytes, at + 1, to);
        if (depth === 1) this.#valueStart = at;
      }
      if (at >= to) return TEXT;
      values++;
      const byte = bytes[at]!;
      if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (++depth > MAX_DEPTH) return TEXT;
        inArray = byte === OPEN_BRACKET;
        this.#isArray[depth] = inArray ? 1 : 0;
        this.#bases[depth] = top;
        at = skipSpace(bytes, at + 1, to);
        if (bytes[at] !== (inArray ? CLOSE_BRACKET : CLOSE_BRACE)) continue;
      } else {
        if (byte === QUOTE) at = this.#readString(bytes, at + 1, to);
        else if (byte === MINUS || isDigit(byte)) at = this.#readNumber(bytes, at, to);
        else at = readLiteral(bytes, at, to);
        if (at < 0) return TEXT;
        if (depth === 1) this.#endMember(at);
      }
      // Closes what ends here, up to a comma or the end of all.
      for (;;) {
        at = skipSpace(bytes, at, to);
        if (at >= to) return TEXT;
        if (bytes[at] === COMMA) {
          at = skipSpace(bytes, at + 1, to);
          break;
        }
        if (bytes[at] !== (inArray ? CLOSE_BRACKET : CLOSE_BRACE)) return TEXT;
        at++;
        top = this.#bases[depth]!;
        depth--;
        inArray = this.#isArray[depth] === 1;
        if (depth === 1) this.#endMember(at);
        if (depth > 0) continue;
        this.end = at;
        this.size = at - this.start + values * VALUE_BYTES;
        if (skipSpace(bytes, at, to) < to) return TEXT;
        return this.#unclean && !trusted ? UNCLEAN : OBJECT;
      }
    }
  }

  #beginMember(bytes: Uint8Array, start: number, end: number): void {
    const last = this.found.at(-1);
    if (last !== undefined && last.after < 0) last.after = start;
    const key = this.#keys.get(this.#hash);
    if (this.first < 0) this.first = start;
    this.#memberStart = start;
    this.#key = key !== undefined && end - start - 2 === key.length && isText(bytes, start + 1, key) ? key : undefined;
  }

  #endMember(end: number): void {
    const key = this.#key;
    if (key !== undefined)
      this.found.push({
        key,
        start: this.#memberStart,
        valueStart: this.#valueStart,
        valueEnd: end,
        before: this.last,
        after: -1,
      });
    this.last = end;
    this.members++;
  }

  /** A key's hash goes to #hash. @returns the offset behind the closing quote; -1 for no string. As the others below. */
  #readKey(bytes: Uint8Array, from: number, to: number): number {
    let hash = 0;
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!;
      if (STOPS[byte] === 0) hash = (Math.imul(hash, 31) + byte) | 0;
      else if (byte === QUOTE) {
        this.#hash = hash;
        return at + 1;
      } else {
        // The same key can be written with escapes and without.
        this.#unclean = true;
        this.#hash = hash;
        return this.#readString(bytes, at, to);
      }
    }
    return -1;
  }

  #readString(bytes: Uint8Array, from: number, to: number): number {
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!;
      if (STOPS[byte] === 0) continue;
      if (byte === QUOTE) return at + 1;
      if (byte !== BACKSLASH) return -1;
      if (++at >= to) return -1;
      if (ESCAPED[bytes[at]!] === 1) continue;
      const unit = bytes[at] === LOWER_U ? hexUnit(bytes, at + 1, to) : -1;
      if (unit < 0) return -1;
      at += 4;
      if ((unit & 0xf800) !== 0xd800) continue;
      const isPair = unit < 0xdc00 && bytes[at + 1] === BACKSLASH && bytes[at + 2] === LOWER_U;
      if (isPair && (hexUnit(bytes, at + 3, to) & 0xfc00) === 0xdc00) at += 6;
      else this.#unclean = true;
    }
    return -1;
  }

  #readNumber(bytes: Uint8Array, from: number, to: number): number {
    let at = bytes[from] === MINUS ? from + 1 : from;
    const whole = at;
    at = skipDigits(bytes, at, to);
    if (at === whole || (bytes[whole] === ZERO && at > whole + 1)) return -1;
    if (at - whole >= UNSAFE_DIGITS) this.#unclean = true;
    if (at < to && bytes[at] === DOT) {
      const fraction = at + 1;
      at = skipDigits(bytes, fraction, to);
      if (at === fraction) return -1;
    }
    if (at < to && (bytes[at] === LOWER_E || bytes[at] === UPPER_E)) {
      at++;
      if (at < to && (bytes[at] === PLUS || bytes[at] === MINUS)) at++;
      const exponent = at;
      at = skipDigits(bytes, exponent, to);
      if (at === exponent) return -1;
      if (at - exponent >= UNSAFE_EXPONENT) this.#unclean = true;
    }
    return at;
  }

  #growHashes(): void {
    const [hashes, names] = [this.#hashes, this.#names];
    this.#hashes = new Int32Array(hashes.length * 2);
    this.#names = new Uint32Array(hashes.length * 2);
    this.#hashes.set(hashes);
    this.#names.set(names);
  }
}

/** Of strings without escapes, by where their first quotes are. */
function isSameName(bytes: Uint8Array, one: number, other: number): boolean {
  for (let i = 1; bytes[one + i] === bytes[other + i]; i++) if (bytes[one + i] === QUOTE) return true;
  return false;
}

function hashOf(key: string): number {
  let hash = 0;
  for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0;
  return hash;
}
