/**
 * Program: a pattern as RE2JS compiles it, as columns of numbers, and the classes of characters between which it makes no
 * difference. RE2JS parses, simplifies and compiles (RE2's syntax, Unicode, folding of case); its engines are not used,
 * see automaton.ts. Its program is what Go's regexp/syntax documents: instructions that read a character, fork in order
 * of preference, note a group's place, or hold at certain places only.
 */
import type { RE2JS } from "re2js";

/** Instructions: what RE2JS numbers them by. */
export const ALT = 1;
export const CAPTURE = 3;
export const EMPTY_WIDTH = 4;
const FAIL = 5;
export const MATCH = 6;
const NOP = 7;
/** From here on those that read a character. */
export const RUNE = 8;

/** Places in the text where instructions of EMPTY_WIDTH hold, as bits. */
export const BEGIN_LINE = 1;
export const END_LINE = 2;
export const BEGIN_TEXT = 4;
export const END_TEXT = 8;
export const WORD_BOUNDARY = 16;
export const NO_WORD_BOUNDARY = 32;

/** What stands beside a place, as far as EMPTY_WIDTH asks: nothing, a line end, a character of a word, another one. */
export const NOTHING = 0;
export const LINE_END = 1;
export const WORD = 2;
const OTHER = 3;

/** Of these, the one that reads a single character, without folding of case. */
const RUNE1 = 9;
/** In `arg` of those: case does not matter. */
const FOLDED = 1;
const MAX_CODE_POINT = 0x10ffff;
const LONGEST_LITERAL = 64;
/** Instructions of a program in which a literal is looked for: that takes as many steps squared. */
const MAX_SEARCHED = 500;
const LF = 0x0a;

/** One instruction of RE2JS. */
interface Instruction {
  readonly op: number;
  readonly out: number;
  readonly arg: number;
  /** Ranges, two numbers each; a single number where case may be folded. */
  readonly runes: Int32Array;
  matchRune(codePoint: number): boolean;
}

export class Program {
  readonly length: number;
  readonly start: number;
  readonly op: Uint8Array;
  readonly out: Int32Array;
  readonly arg: Int32Array;
  /** The longest text that is in every match; empty where there is none. */
  readonly literal: Buffer;
  /** Whether a match can begin at the beginning of the text only. */
  readonly anchored: boolean;
  /** Characters in a match at most; Infinity where there is no limit. */
  readonly longest: number;
  /** Whether it has instructions of EMPTY_WIDTH. */
  readonly hasPlaces: boolean;
  readonly classes: number;
  /** By class: LINE_END, WORD, OTHER; NOTHING for all where no instruction asks. */
  readonly beside: Uint8Array;
  /** By class * length + instruction: whether it reads such a character. */
  readonly reads: Uint8Array;
  readonly #bounds: Int32Array;
  readonly #classOf: Uint16Array;

  constructor(engine: RE2JS) {
    const program = engine.re2().dfa.prog as {
      readonly inst: readonly Instruction[];
      readonly start: number;
    };
    const { inst } = program;
    this.length = inst.length;
    this.start = program.start;
    this.op = Uint8Array.from(inst, ({ op }) => (op > RUNE ? RUNE : op === ALT + 1 ? ALT : op));
    this.out = Int32Array.from(inst, ({ out }) => out);
    this.arg = Int32Array.from(inst, ({ arg }) => arg);
    this.hasPlaces = this.op.includes(EMPTY_WIDTH);
    this.anchored = this.#isAnchored();
    this.longest = this.#longest();
    this.literal = Buffer.from(this.#longestLiteral(inst));
    const readers = inst.flatMap(({ op }, pc) => (op >= RUNE ? [pc] : []));
    const sets = this.hasPlaces ? [(at: number) => at === LF, isWord] : [];
    this.#bounds = boundsOf(inst, this.hasPlaces);
    this.#classOf = new Uint16Array(this.#bounds.length);
    const classes = new Map<string, number>();
    const examples: number[] = [];
    for (const [i, bound] of this.#bounds.entries()) {
      const signature = [...sets.map((set) => set(bound)), ...readers.map((pc) => inst[pc]!.matchRune(bound))]
        .map(Number)
        .join("");
      const known = classes.get(signature) ?? classes.size;
      classes.set(signature, known);
      examples[known] ??= bound;
      this.#classOf[i] = known;
    }
    this.classes = examples.length;
    this.beside = Uint8Array.from(examples, (at) => {
      if (!this.hasPlaces) return NOTHING;
      return at === LF ? LINE_END : isWord(at) ? WORD : OTHER;
    });
    this.reads = new Uint8Array(this.classes * this.length);
    for (const [of, at] of examples.entries())
      for (const pc of readers) if (inst[pc]!.matchRune(at)) this.reads[of * this.length + pc] = 1;
  }

  classOf(codePoint: number): number {
    let low = 0;
    for (let high = this.#bounds.length; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (this.#bounds[middle]! <= codePoint) low = middle;
      else high = middle;
    }
    return this.#classOf[low]!;
  }

  #isAnchored(): boolean {
    for (let pc = this.start; ; pc = this.out[pc]!) {
      const op = this.op[pc]!;
      if (op === EMPTY_WIDTH && (this.arg[pc]! & BEGIN_TEXT) !== 0) return true;
      if (op !== EMPTY_WIDTH && op !== CAPTURE && op !== NOP) return false;
    }
  }

  #longestLiteral(inst: readonly Instruction[]): string {
    const isNeeded = inst.map(({ op, runes }, pc) => op === RUNE1 && runes.length === 1 && !this.#canAvoid(pc));
    let longest = "";
    for (let first = 0; first < this.length; first++) {
      let literal = "";
      for (let pc = first; isNeeded[pc] === true && literal.length < LONGEST_LITERAL; ) {
        literal += String.fromCodePoint(inst[pc]!.runes[0]!);
        pc = this.out[pc]!;
        while (this.op[pc] === CAPTURE || this.op[pc] === NOP) pc = this.out[pc]!;
      }
      if (literal.length > longest.length) longest = literal;
    }
    return longest;
  }

  /** Whether there is a match without the instruction. */
  #canAvoid(avoided: number): boolean {
    if (this.length > MAX_SEARCHED) return true;
    const seen = new Set([avoided, this.start]);
    if (this.start === avoided) return false;
    const found = [this.start];
    for (const pc of found) {
      if (this.op[pc] === MATCH) return true;
      if (this.op[pc] === FAIL) continue;
      for (const next of this.op[pc] === ALT ? [this.out[pc]!, this.arg[pc]!] : [this.out[pc]!]) {
        if (seen.has(next)) continue;
        seen.add(next);
        found.push(next);
      }
    }
    return false;
  }

  #longest(): number {
    const known = new Float64Array(this.length).fill(-1);
    // Without recursion, since a list of a thousand words is a thousand forks deep.
    const stack = [this.start];
    while (stack.length > 0) {
      const pc = stack.at(-1)!;
      const op = this.op[pc]!;
      const next = op === ALT ? [this.out[pc]!, this.arg[pc]!] : op === MATCH || op === FAIL ? [] : [this.out[pc]!];
      if (known[pc] === -1) {
        // Under way: who comes back here has found a loop.
        known[pc] = Number.POSITIVE_INFINITY;
        stack.push(...next.filter((other) => known[other] === -1));
        continue;
      }
      stack.pop();
      known[pc] = Math.max(0, ...next.map((other) => known[other]!)) + (op === RUNE ? 1 : 0);
    }
    return known[this.start]!;
  }
}

/** Where something begins to be different for some instruction; the first is 0. */
function boundsOf(inst: readonly Instruction[], places: boolean): Int32Array {
  const bounds = new Set([0]);
  const add = (from: number, to: number): void => {
    bounds.add(from);
    if (to < MAX_CODE_POINT) bounds.add(to + 1);
  };
  if (places) {
    add(LF, LF);
    for (const [from, to] of ["09", "AZ", "__", "az"]) add(from!.charCodeAt(0), to!.charCodeAt(0));
  }
  for (const { op, runes, arg } of inst) {
    if (op < RUNE) continue;
    if (runes.length === 1) for (const same of (arg & FOLDED) === 0 ? runes : foldsOf(runes[0]!)) add(same, same);
    else for (let i = 0; i < runes.length; i += 2) add(runes[i]!, runes[i + 1]!);
  }
  return Int32Array.from(bounds).sort();
}

function isWord(at: number): boolean {
  return (at >= 0x30 && at <= 0x39) || (at >= 0x41 && at <= 0x5a) || at === 0x5f || (at >= 0x61 && at <= 0x7a);
}

let folds: Map<string, number[]> | undefined;

/** The characters that may be the same but for their case; RE2JS decides which of them are. */
function foldsOf(codePoint: number): Iterable<number> {
  const keyOf = (text: string): string => text.toLowerCase().toUpperCase();
  if (folds === undefined) {
    folds = new Map();
    // Behind this plane there are no letters with cases (Unicode 17).
    for (let at = 0; at < 0x20000; at++) {
      const text = String.fromCodePoint(at);
      const key = keyOf(text);
      const others = folds.get(key);
      if (others !== undefined) others.push(at);
      else if (key !== text || text.toLowerCase() !== text) folds.set(key, [at]);
    }
  }
  return [codePoint, ...(folds.get(keyOf(String.fromCodePoint(codePoint))) ?? [])];
}
