/**
 * Automaton: finds what a pattern matches in UTF-8, in time linear in the text, whatever pattern and text are.
 *
 * Two passes (Frisch and Cardelli, "Greedy regular expression matching", 2004). The first goes from the text's end to its
 * beginning and notes at each place from which instructions a match can still be reached: a set of them is a state, and
 * states and what leads from one to the next are remembered, so a character costs a look into a table. The second goes
 * forward from the first place where a match can begin; of each fork it takes the first way that the notes say leads to a
 * match, which is the one that a backtracking engine would find. It never goes back, so groups and all matches of a text
 * cost one such walk. Matches are those of RE2, to which tests hold them.
 *
 * Where a text leads to too many new states (states.ts), the automaton gives up.
 */
import { NOTHING, type Program } from "./program.ts";
import { BEGINS, EMPTY, FULL, GAVE_UP, NOWHERE, ROW, States, UNKNOWN } from "./states.ts";

/** Matches of one text that are told one by one. */
export const MAX_SPANS = 50_000;
/** States of a text, by byte. One for all, since nothing outlives a call; longer texts get their own. */
const SHORT = 64 * 1024;
const shared = new Uint16Array(SHORT + 1);

export class Automaton {
  readonly #program: Program;
  readonly #states: States;
  /** By byte of ASCII: its class' place in a row, and its kind. */
  readonly #columns = new Uint16Array(256);
  readonly #kinds = new Uint8Array(256);
  #notes = shared;
  /** Place of the first note. */
  #base = 0;

  constructor(program: Program) {
    this.#program = program;
    this.#states = new States(program);
    for (let byte = 0; byte < 128; byte++) {
      const of = program.classOf(byte);
      this.#columns[byte] = of * this.#states.scale;
      this.#kinds[byte] = program.beside[of]!;
    }
  }

  /** Whether anything in bytes[from, to) matches; undefined: it gave up. The bytes are well-formed UTF-8. */
  test(bytes: Buffer, from: number, to: number): boolean | undefined {
    if (this.#lacksLiteral(bytes, from, to)) return false;
    const first = this.#scan(bytes, from, to, true);
    return first === GAVE_UP ? undefined : first >= 0;
  }

  /**
   * The first match in bytes[from, to): where its groups begin and end goes into `places`, two for each, -1 for a group that
   * took no part; group 0 is the match itself. @returns whether there is one; undefined: it gave up.
   */
  capture(bytes: Uint8Array, from: number, to: number, places: Int32Array): boolean | undefined {
    const first = this.#scan(bytes, from, to, false);
    if (first < 0) return first === GAVE_UP ? undefined : false;
    places.fill(-1);
    const end = this.#walk(first, places);
    places[0] = first;
    places[1] = end;
    return end === GAVE_UP ? undefined : true;
  }

  /**
   * All matches in bytes[from, to) but empty ones, one after the other: two places for each. Behind the 50,000th one all of
   * the text counts as one match. undefined: it gave up.
   */
  spans(bytes: Buffer, from: number, to: number): number[] | undefined {
    const spans: number[] = [];
    if (from === to || this.#lacksLiteral(bytes, from, to)) return spans;
    const first = this.#scan(bytes, from, to, false);
    if (first < 0) return first === GAVE_UP ? undefined : spans;
    const { anchored } = this.#program;
    const { begins } = this.#states;
    for (let at = first; at <= (anchored ? first : to); ) {
      if (begins[this.#notes[at - from]!] === 0) {
        at++;
        continue;
      }
      const end = this.#walk(at, undefined);
      if (end < 0) return undefined;
      if (end > at && spans.push(at, end) === MAX_SPANS * 2) {
        if (end < to) spans.push(end, to);
        return spans;
      }
      at = Math.max(end, at + 1);
    }
    return spans;
  }

  #lacksLiteral(bytes: Buffer, from: number, to: number): boolean {
    const { literal } = this.#program;
    // Of a view, since a search in the whole buffer would go on to its end for every row.
    return literal.length > 1 && !bytes.subarray(from, to).includes(literal);
  }

  /**
   * Notes the state of each place. @param any any match will do.
   * @returns where the first match begins; -1: there is none; GAVE_UP.
   */
  #scan(bytes: Uint8Array, from: number, to: number, any: boolean): number {
    const { longest, anchored } = this.#program;
    let end = to;
    if (anchored && (to - from) / 4 > longest) {
      // No match ends behind it.
      end = from + longest * 4;
      while ((bytes[end]! & 0xc0) === 0x80) end++;
    }
    const length = end - from;
    this.#states.begin(length);
    this.#notes = length <= SHORT ? shared : new Uint16Array(length + 1);
    this.#base = from;
    for (let tries = 0; tries < 2; tries++) {
      const first = this.#noteAll(bytes, from, end, to, any);
      if (first !== FULL) return first;
      this.#states.forget();
    }
    return GAVE_UP;
  }

  #noteAll(bytes: Uint8Array, from: number, end: number, to: number, any: boolean): number {
    const { classes, beside } = this.#program;
    const notes = this.#notes;
    const columns = this.#columns;
    const kinds = this.#kinds;
    const { shift, scale } = this.#states;
    let { next } = this.#states;
    let entry = EMPTY;
    let first = -1;
    // What is read at `at`: its class' place in a row. What is behind the text is one class more.
    let column = (end < to ? this.#classAt(bytes, end) : classes) * scale;
    for (let at = end; ; ) {
      let index = 0;
      let before = -1;
      while (at > from) {
        const byte = bytes[at - 1]!;
        if (byte >= 0x80) break;
        index = (entry & ROW) + (column + kinds[byte]!);
        before = columns[byte]!;
        entry = next[index]!;
        if ((entry & ~ROW) !== 0) break;
        notes[at - from] = entry >> shift;
        column = before;
        before = -1;
        at--;
      }
      let previous = at - 1;
      if (before < 0) {
        // The text's first place, or behind a character of several bytes.
        let kind = NOTHING;
        if (at > from) {
          for (; previous > from && (bytes[previous]! & 0xc0) === 0x80; previous--) notes[previous - from] = EMPTY;
          const of = this.#classAt(bytes, previous);
          before = of * scale;
          kind = beside[of]!;
        }
        index = (entry & ROW) + column + kind;
        entry = next[index]!;
      }
      if (entry === UNKNOWN) {
        entry = this.#states.build(index);
        if (entry < 0) return entry;
        next = this.#states.next;
      }
      if ((entry & NOWHERE) !== 0) return first;
      if ((entry & BEGINS) !== 0) {
        first = at;
        if (any) return first;
      }
      notes[at - from] = entry >> shift;
      if (at === from) return first;
      at = previous;
      column = before;
    }
  }

  /** @returns where the match that begins at `from` ends. */
  #walk(from: number, places: Int32Array | undefined): number {
    const notes = this.#notes;
    const base = this.#base;
    const { ways, nexts, slots } = this.#states;
    let pc = this.#program.start;
    for (let at = from; ; at++) {
      const state = notes[at - base]!;
      // Within a character.
      if (state === EMPTY) continue;
      const known = ways[state];
      let way = known === undefined ? 0 : known[pc]!;
      if (way === 0) {
        way = this.#states.wayFrom(state, pc);
        if (way < 0) return way;
      }
      if ((way & 1) === 0) {
        pc = way >> 1;
        continue;
      }
      if (places !== undefined) {
        const here = slots[way >> 1]!;
        for (let i = 0; i < here.length; i++) places[here[i]!] = at;
      }
      pc = nexts[way >> 1]!;
      if (pc === 0) return at;
    }
  }

  #classAt(bytes: Uint8Array, at: number): number {
    const lead = bytes[at]!;
    if (lead < 0x80) return this.#program.classOf(lead);
    const second = bytes[at + 1]! & 0x3f;
    if (lead < 0xe0) return this.#program.classOf(((lead & 0x1f) << 6) | second);
    const third = bytes[at + 2]! & 0x3f;
    if (lead < 0xf0) return this.#program.classOf(((lead & 0x0f) << 12) | (second << 6) | third);
    return this.#program.classOf(((lead & 0x07) << 18) | (second << 12) | (third << 6) | (bytes[at + 3]! & 0x3f));
  }
}
