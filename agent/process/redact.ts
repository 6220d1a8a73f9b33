/**
 * Redact: replaces secrets in messages and in the strings of parsed fields, before any output sees them. Never in the
 * origin, nor in the names of fields.
 *
 * Promises: what is replaced is replaced in whole; nothing else changes. A text in which more than 50,000 are found is
 * closed there: its rest is replaced by the same words, and counted. So is all of a text that a pattern can't
 * decide in the time that it has, and a field that stands behind 20,000 texts of its record that were looked at.
 */
import type { Rows } from "../batch.ts";
import { MAX_SPANS } from "./automaton.ts";
import { wanted } from "./match.ts";
import type { Pattern } from "./pattern.ts";
import { type Match, OUT, type Processor } from "./processor.ts";
import type { Finder } from "./secrets.ts";

export interface RedactOptions {
  readonly finders: readonly Finder[];
  readonly patterns: readonly Pattern[];
  readonly replacement: string;
}

const QUOTE = 0x22;
const QUOTES = Buffer.of(QUOTE);
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
/** Texts and numbers of one record's fields that are looked at one by one, a microsecond each. */
const MAX_VALUES = 20_000;
/** What may stand between the values of two members that stand together. */
const NAME_BYTES = 64;
/** What is built in finds nothing shorter: a@b.cc, and numbers that are a card's. */
const SHORTEST_TEXT = 6;
const SHORTEST_NUMBER = 13;

export class Redact implements Processor {
  readonly name = "redact";
  readonly counts = { redacted: 0, closed: 0 };
  readonly #finders: readonly Finder[];
  readonly #patterns: readonly Pattern[];
  readonly #replacement: Buffer;
  /** As the inside of a JSON string. */
  readonly #quoted: Buffer;
  readonly #match: Match | undefined;
  readonly #spans: number[] = [];
  /** Of the record at hand. */
  #values = 0;

  constructor({ finders, patterns, replacement }: RedactOptions, match: Match | undefined) {
    this.#finders = finders;
    this.#patterns = patterns;
    this.#replacement = Buffer.from(replacement.toWellFormed());
    this.#quoted = Buffer.from(JSON.stringify(replacement.toWellFormed()).slice(1, -1));
    this.#match = match;
  }

  process(rows: Rows): void {
    const want = wanted(this.#match, rows);
    if (want === false) return;
    for (let row = 0; row < rows.rows; row++) {
      if (((rows.flags[row] as number) & OUT) !== 0 || (want !== true && want(row) === false)) continue;
      const clean = this.#cleaned(rows.bytes, rows.from[row] as number, rows.to[row] as number, this.#replacement);
      if (clean !== undefined) {
        this.counts.redacted++;
        rows.from[row] = append(rows, clean);
        rows.to[row] = rows.used;
      }
      if (rows.fields !== undefined && rows.fields.count[row] !== 0) this.#cleanFields(rows, row);
    }
  }

  #cleanFields(rows: Rows, row: number): void {
    const fields = rows.fields as NonNullable<Rows["fields"]>;
    const first = fields.first[row] as number;
    const end = first + (fields.count[row] as number);
    let [least, most, length] = [Number.POSITIVE_INFINITY, 0, 0];
    for (let member = first; member < end; member++) {
      least = Math.min(least, fields.valueFrom(member));
      most = Math.max(most, fields.valueTo(member));
      length += fields.valueTo(member) - fields.valueFrom(member) + NAME_BYTES;
    }
    // Those of a JSON object stand where it stood, so all are looked at in one go.
    if (most - least <= length && this.#isClean(rows.bytes, least, most)) return;
    this.#values = 0;
    for (let member = first; member < end; member++) {
      const from = fields.valueFrom(member);
      const to = fields.valueTo(member);
      if (this.#isClean(rows.bytes, from, to)) continue;
      const clean = this.#cleanedJson(rows.bytes, from, to);
      if (clean === undefined) continue;
      this.counts.redacted++;
      const at = append(rows, clean);
      fields.setValue(member, at, rows.used);
    }
  }

  /**
   * Whether nothing can be found in a JSON text. What is built in finds it in the whole text too, but for escapes, so it is
   * not looked at string by string (a quarter of the time).
   */
  #isClean(bytes: Buffer, from: number, to: number): boolean {
    if (this.#patterns.length > 0) return false;
    const view = bytes.subarray(from, to);
    if (view.includes(BACKSLASH)) return false;
    this.#spans.length = 0;
    return this.#finders.every((find) => {
      find(view, 0, view.length, this.#spans);
      return this.#spans.length === 0;
    });
  }

  /** A JSON text with its strings and numbers redacted; undefined when nothing was found. */
  #cleanedJson(bytes: Buffer, from: number, to: number): Buffer | undefined {
    const parts: Buffer[] = [];
    const any = this.#patterns.length > 0;
    let kept = from;
    for (let at = from; at < to; ) {
      if (this.#values > MAX_VALUES) {
        this.counts.closed++;
        return Buffer.concat([QUOTES, this.#quoted, QUOTES]);
      }
      const byte = bytes[at] as number;
      let end = at + 1;
      let clean: Buffer | undefined;
      if (byte === QUOTE) {
        let escaped = false;
        for (; bytes[end] !== QUOTE; end++)
          if (bytes[end] === BACKSLASH) {
            escaped = true;
            end++;
          }
        end++;
        // Names stay.
        if ((any || end - at - 2 >= SHORTEST_TEXT) && bytes[skipBlanks(bytes, end, to)] !== 0x3a)
          clean = this.#cleanedString(bytes, at + 1, end - 1, escaped);
      } else if (byte === MINUS || (byte >= 0x30 && byte <= 0x39)) {
        while (
          end < to &&
          (bytes[end] as number) >= 0x2b &&
          (bytes[end] as number) <= 0x7a &&
          bytes[end] !== 0x2c &&
          bytes[end] !== 0x5d
        )
          end++;
        const number = any || end - at >= SHORTEST_NUMBER ? this.#cleaned(bytes, at, end, this.#quoted) : undefined;
        // A number that is a card's becomes a text.
        if (number !== undefined) clean = Buffer.concat([QUOTES, number, QUOTES]);
      }
      if (clean !== undefined) {
        parts.push(Buffer.from(bytes.subarray(kept, at)), clean);
        kept = end;
      }
      at = end;
    }
    if (kept === from) return undefined;
    parts.push(bytes.subarray(kept, to));
    return Buffer.concat(parts);
  }

  /** With its quotes. */
  #cleanedString(bytes: Buffer, from: number, to: number, escaped: boolean): Buffer | undefined {
    if (!escaped) {
      const clean = this.#cleaned(bytes, from, to, this.#quoted);
      return clean && Buffer.concat([QUOTES, clean, QUOTES]);
    }
    const text = Buffer.from(JSON.parse(bytes.toString("utf8", from - 1, to + 1)) as string);
    const clean = this.#cleaned(text, 0, text.length, this.#replacement);
    return clean && Buffer.from(JSON.stringify(clean.toString()));
  }

  /** The text bytes[from, to) with what was found replaced; undefined when nothing was. */
  #cleaned(bytes: Buffer, from: number, to: number, replacement: Buffer): Buffer | undefined {
    this.#values++;
    const spans = this.#spans;
    spans.length = 0;
    // A view, since a search in the whole buffer would go on to its end for every row.
    const view = bytes.subarray(from, to);
    for (const find of this.#finders) find(view, 0, view.length, spans);
    let clean = spans.length === 0 ? undefined : replaced(view, this.#bounded(merged(spans), view.length), replacement);
    for (const pattern of this.#patterns) {
      const text = clean ?? view;
      const found = pattern.spans(text, 0, text.length);
      if (found === undefined || found.length > 2 * MAX_SPANS) this.counts.closed++;
      if (found?.length !== 0) clean = replaced(text, found ?? [0, text.length], replacement);
    }
    return clean;
  }

  /** As Automaton.spans tells them: behind so many, the rest of the text is one. */
  #bounded(spans: number[], length: number): number[] {
    if (spans.length <= 2 * MAX_SPANS) return spans;
    this.counts.closed++;
    return [...spans.slice(0, 2 * MAX_SPANS), spans[2 * MAX_SPANS]!, length];
  }
}

function skipBlanks(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && (bytes[at] === 0x20 || bytes[at] === 0x09 || bytes[at] === 0x0a || bytes[at] === 0x0d)) at++;
  return at < to ? at : to - 1;
}

/** Ascending, overlapping ones made one: what several finders found. */
function merged(spans: readonly number[]): number[] {
  let isAscending = true;
  for (let i = 2; i < spans.length && isAscending; i += 2) isAscending = spans[i]! > spans[i - 1]!;
  if (isAscending) return [...spans];
  const pairs: [number, number][] = [];
  for (let i = 0; i < spans.length; i += 2) pairs.push([spans[i] as number, spans[i + 1] as number]);
  pairs.sort(([a], [b]) => a - b);
  const result: number[] = [];
  for (const [from, to] of pairs) {
    const last = result.length - 1;
    if (last > 0 && from <= (result[last] as number)) result[last] = Math.max(result[last] as number, to);
    else result.push(from, to);
  }
  return result;
}

function replaced(bytes: Buffer, spans: readonly number[], replacement: Buffer): Buffer {
  let length = bytes.length + (spans.length / 2) * replacement.length;
  for (let i = 0; i < spans.length; i += 2) length -= spans[i + 1]! - spans[i]!;
  const result = Buffer.allocUnsafe(length);
  let kept = 0;
  let used = 0;
  for (let i = 0; i < spans.length; i += 2) {
    used += bytes.copy(result, used, kept, spans[i]);
    used += replacement.copy(result, used);
    kept = spans[i + 1]!;
  }
  bytes.copy(result, used, kept);
  return result;
}

/** Puts a text behind what is used. @returns where it begins; it ends at `rows.used`. */
export function append(rows: Rows, text: Uint8Array): number {
  rows.reserve(text.length);
  const at = rows.used;
  rows.bytes.set(text, at);
  rows.used += text.length;
  return at;
}
