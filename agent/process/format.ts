/** What parsers of formats have in common: members in, as fields.ts wants them. */
import { isUtf8 } from "node:buffer";
import type { Rows } from "../batch.ts";
import type { Fields } from "../fields.ts";
import { BACKSLASH, QUOTE, SPACE, ZERO } from "../parse/ascii.ts";
import { unescapeJson } from "../parse/unescape.ts";
import { appendRepaired } from "../parse/utf8.ts";
import { unescapeGo } from "./quoted.ts";
import { endOfScalar } from "./scalar.ts";

/** A parser of messages. One per processor; it keeps nothing but scratch memory. */
export interface Format {
  /** A new batch begins: nothing that was written into the last one's bytes is there any more. */
  begin(): void;
  /**
   * Adds the members that it finds in the row's message, rows.bytes[from, to), to `fields`; text that is no JSON as it
   * stands is written as JSON behind `rows.used`. What a format has as the message's own text is a member named `message`.
   * Rows come in their order, and none is rewritten before its turn.
   * @returns false when the message is none of the format; what was added by then is the caller's to take back.
   */
  parse(rows: Rows, from: number, to: number, fields: Fields, row: number): boolean;
  /** Names that stand for the message, and for the severity, where the configuration has no other. */
  readonly messageAlias?: string;
  readonly severityName?: string;
  /** It never adds two members of one name. */
  readonly unique?: boolean;
  /** Of the last message: where it stands as one JSON object with exactly the members added; from > to when it does not. */
  readonly objectFrom?: number;
  readonly objectTo?: number;
  /** Of the last message: numbers of its members' names from `firstName` on. undefined where it has none. */
  readonly names?: NameNumbers | undefined;
  readonly firstName?: number;
}

/** Names by numbers, which are below `maxNames` and stay the same for a `generation`; with ESCAPED of kernel/json.ts. */
interface NameNumbers {
  readonly generation: number;
  readonly maxNames: number;
  readonly names: Uint16Array;
}

/**
 * A message of more members stays text: no backend takes as many (Elasticsearch's default is 1000 fields an index), and
 * the time that one line takes is bounded.
 */
export const MOST_MEMBERS = 10_000;

const HEX = Buffer.from("0123456789abcdef");
/** By byte: the letter behind the backslash; 1 for \u00XX; 0 for a byte that stands for itself. */
const ESCAPES = new Uint8Array(256).fill(1, 0, SPACE);
for (const [letter, byte] of ["b\b", "t\t", "n\n", "f\f", "r\r", '""', "\\\\"]) {
  ESCAPES[byte!.charCodeAt(0)] = letter!.charCodeAt(0);
}

/** Whether bytes[from, to) can stand in a JSON string as they are. */
function isPlain(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (ESCAPES[bytes[at]!] !== 0) return false;
  return true;
}

/** Adds a member whose value is the text bytes[from, to). Text that stands in quotes and needs no escape is not copied. */
export function addText(rows: Rows, fields: Fields, nameFrom: number, nameTo: number, from: number, to: number): void {
  const { bytes } = rows;
  if (bytes[from - 1] === QUOTE && bytes[to] === QUOTE && isPlain(bytes, from, to)) {
    fields.add(nameFrom, nameTo, from - 1, to + 1);
    return;
  }
  const start = rows.used;
  appendText(rows, from, to);
  fields.add(nameFrom, nameTo, start, rows.used);
}

/** Adds a member whose value is the number bytes[from, to), digits only; with leading zeros, which JSON has not, text. */
export function addNumber(
  rows: Rows,
  fields: Fields,
  nameFrom: number,
  nameTo: number,
  from: number,
  to: number,
): void {
  if (endOfScalar(rows.bytes, from, to) === to) fields.add(nameFrom, nameTo, from, to);
  else addText(rows, fields, nameFrom, nameTo, from, to);
}

/** @returns the position behind the closing quote of the text that begins at bytes[from], a quote; -1: there is none. */
export function endOfQuoted(bytes: Uint8Array, from: number, to: number): number {
  let at = from + 1;
  while (at < to && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at < to ? at + 1 : -1;
}

/**
 * Adds a member whose value is the text in quotes bytes[from, to), quotes included, with the escapes of JSON and of Go.
 * What is JSON as it stands is not copied.
 */
export function addQuoted(
  rows: Rows,
  fields: Fields,
  nameFrom: number,
  nameTo: number,
  from: number,
  to: number,
): void {
  if (isPlain(rows.bytes, from + 1, to - 1)) {
    fields.add(nameFrom, nameTo, from, to);
    return;
  }
  const inside = rows.used;
  rows.reserve(to - from);
  let length = unescapeJson(rows.bytes, from + 1, to - 1, inside);
  if (length < 0) length = unescapeGo(rows.bytes, from + 1, to - 1, inside);
  rows.used += length;
  if (!isUtf8(rows.bytes.subarray(inside, rows.used))) {
    const broken = Buffer.from(rows.bytes.subarray(inside, rows.used));
    rows.used = inside;
    appendRepaired(rows, broken, 0, length);
  }
  const value = rows.used;
  appendText(rows, inside, value);
  fields.add(nameFrom, nameTo, value, rows.used);
}

/** Appends the text bytes[from, to) as a JSON string, quotes included. */
export function appendText(rows: Rows, from: number, to: number): void {
  rows.reserve(2);
  rows.bytes[rows.used++] = QUOTE;
  if (isPlain(rows.bytes, from, to)) {
    appendBytes(rows, from, to);
  } else {
    appendEscaped(rows, from, to);
  }
  rows.reserve(1);
  rows.bytes[rows.used++] = QUOTE;
}

/** Appends bytes[from, to) of the batch once more. */
export function appendBytes(rows: Rows, from: number, to: number): void {
  rows.reserve(to - from);
  rows.bytes.copyWithin(rows.used, from, to);
  rows.used += to - from;
}

function appendEscaped(rows: Rows, from: number, to: number): void {
  rows.reserve((to - from) * 6);
  const { bytes } = rows;
  let out = rows.used;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    const letter = ESCAPES[byte]!;
    if (letter === 0) {
      bytes[out++] = byte;
      continue;
    }
    bytes[out++] = BACKSLASH;
    if (letter !== 1) {
      bytes[out++] = letter;
      continue;
    }
    bytes[out++] = 0x75;
    bytes[out++] = HEX[0]!;
    bytes[out++] = HEX[0]!;
    bytes[out++] = HEX[byte >> 4]!;
    bytes[out++] = HEX[byte & 15]!;
  }
  rows.used = out;
}

/** Whether the text at `from` begins like the shape, in which a 0 stands for any digit. */
export function hasShape(bytes: Uint8Array, from: number, to: number, shape: string): boolean {
  if (to - from < shape.length) return false;
  for (let i = 0; i < shape.length; i++) {
    const wanted = shape.charCodeAt(i);
    if (wanted === ZERO ? !isDigit(bytes[from + i]!) : bytes[from + i] !== wanted) return false;
  }
  return true;
}

export function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}
