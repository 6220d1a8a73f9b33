/**
 * States: the tables of an automaton (automaton.ts), made as they are asked for. A state is a set of instructions of the
 * program, those from which a match can still be reached from a place in a text.
 *
 * Sets that have not been seen cost as much as the program is long. What a text may spend on these is bounded; beyond it
 * there is no answer, which only happens with patterns such as `x.{500}y` on texts that fit them almost everywhere.
 */
import {
  ALT,
  BEGIN_LINE,
  BEGIN_TEXT,
  CAPTURE,
  EMPTY_WIDTH,
  END_LINE,
  END_TEXT,
  LINE_END,
  MATCH,
  NO_WORD_BOUNDARY,
  NOTHING,
  type Program,
  RUNE,
  WORD,
  WORD_BOUNDARY,
} from "./program.ts";

/**
 * Work is counted in instructions that are looked at for new sets, 2 ns each. There is a store of it (18 ms), and each text
 * brings some. A text may take half of what is there, so that those after it have their part.
 */
const MOST_WORK = 8e6;
const WORK_PER_TEXT = 2000;
const WORK_PER_BYTE = 64;
/** A new state takes as long as a thousand instructions, a new way as long as half of that. */
const STATE_WORK = 1000;
const WAY_WORK = 500;
/** Of states, and as much again of ways; when they are full, all is forgotten. */
const MAX_TABLE_BYTES = 4 << 20;
/** What a state or a way takes beside its tables. So there are fewer than 65,536 states, which is what a note can hold. */
const OBJECT_BYTES = 128;
const KINDS = 4;
export const EMPTY = 0;
/** Entries of `next` are the place of a state's row, with two bits: a match can begin there; none can there and further left. */
export const ROW = ~3;
export const BEGINS = 1;
export const NOWHERE = 2;
/** Instead of an entry, or of a place. */
export const UNKNOWN = -1;
export const GAVE_UP = -2;
export const FULL = -3;

export class States {
  /** Of the length of a row, which is a power of two. */
  readonly shift: number;
  /** Of a class, in a row: the kinds of the character before. */
  readonly scale: number;
  /** A row is by class of the character read and, where that matters, by kind of the one before it. */
  next = new Int32Array(0);
  /** By state: 1 where a match can begin. */
  begins = new Uint8Array(0);
  /**
   * By state and instruction, the way to the next one that reads a character or ends the match: twice the instruction behind
   * that character or, where the match ends or there are places of groups on the way, an index of the lists below, twice
   * and one. 0: not yet known.
   */
  ways: Int32Array[] = [];
  /** The instruction behind the character; 0 where the match ends. */
  nexts: number[] = [];
  slots: (readonly number[])[] = [];
  readonly #program: Program;
  /** For each instruction those that lead to it without reading. */
  readonly #before: readonly (readonly number[])[];
  readonly #readers: readonly number[];
  readonly #match: number;
  /** Whether matches end at the end of the text only. */
  readonly #endsLast: boolean;
  /** By state: its members, a bit each. State 0 has none, and is what stands behind the text. */
  #sets: Uint8Array[] = [];
  #entries = new Map<string, number>();
  #tableBytes = 0;
  #work = MOST_WORK;
  /** Below that a text gives up. */
  #leastWork = 0;
  /** For closures: the round in which an instruction was seen last. */
  readonly #seen: Uint32Array;
  #round = 0;

  constructor(program: Program) {
    this.#program = program;
    const { length, op, out, arg } = program;
    const before: number[][] = Array.from({ length }, () => []);
    const readers: number[] = [];
    for (let pc = 0; pc < length; pc++) {
      if (op[pc] === ALT) before[arg[pc]!]!.push(pc);
      if (op[pc] === RUNE) readers.push(pc);
      else if (op[pc] !== MATCH) before[out[pc]!]!.push(pc);
    }
    this.#before = before;
    this.#readers = readers;
    this.#match = op.indexOf(MATCH);
    this.scale = program.hasPlaces ? KINDS : 1;
    this.shift = Math.max(2, Math.ceil(Math.log2((program.classes + 1) * this.scale)));
    this.#seen = new Uint32Array(length);
    const last = this.#closure([this.#match], ~END_TEXT);
    this.#endsLast = !last.includes(program.start) && !readers.some((pc) => last.includes(out[pc]!));
    this.forget();
  }

  /** A text of so many bytes begins: no state of another one is needed any more. */
  begin(length: number): void {
    // Not before, since the notes of a text are numbers of states.
    if (this.#tableBytes > 2 * MAX_TABLE_BYTES) this.forget();
    this.#work = Math.min(MOST_WORK, this.#work + WORK_PER_TEXT + length * WORK_PER_BYTE);
    this.#leastWork = this.#work / 2;
  }

  forget(): void {
    this.#sets = [];
    this.begins = new Uint8Array(0);
    this.#entries = new Map();
    this.next = new Int32Array(0);
    this.ways = [];
    this.nexts = [];
    this.slots = [];
    this.#tableBytes = 0;
    this.#add(new Uint8Array((this.#program.length + 7) >> 3));
  }

  /** The first of the ways that lead to a match: instructions that are no members of the state lead to none. */
  wayFrom(state: number, pc: number): number {
    const { length, op, out, arg } = this.#program;
    this.#work -= WAY_WORK + length;
    if (this.#work < this.#leastWork) return GAVE_UP;
    const set = this.#sets[state]!;
    const round = ++this.#round;
    const slots: number[] = [];
    const forks = [pc, 0];
    while (forks.length > 0) {
      slots.length = forks.pop()!;
      // An instruction that was passed at this place is not passed again: a loop without a character is none.
      for (let at = forks.pop()!; has(set, at) && this.#seen[at] !== round; at = out[at]!) {
        this.#seen[at] = round;
        if (op[at] === ALT) forks.push(arg[at]!, slots.length);
        else if (op[at] === CAPTURE) slots.push(arg[at]!);
        else if (op[at] === RUNE) return this.#keepWay(state, pc, out[at]!, slots);
        else if (op[at] === MATCH) return this.#keepWay(state, pc, 0, slots);
      }
    }
    throw new Error("a pattern's match leads nowhere");
  }

  #keepWay(state: number, pc: number, next: number, slots: readonly number[]): number {
    let way = next * 2;
    if (way === 0 || slots.length > 0) {
      way = this.nexts.push(next) * 2 - 1;
      this.slots.push(slots);
      this.#tableBytes += OBJECT_BYTES;
    }
    if (this.ways[state] === undefined) {
      if (this.#tableBytes > 2 * MAX_TABLE_BYTES) return GAVE_UP;
      this.#tableBytes += this.#program.length * 4 + OBJECT_BYTES;
      this.ways[state] = new Int32Array(this.#program.length);
    }
    this.ways[state][pc] = way;
    return way;
  }

  /** What stands at a place of the tables: the state before one, by what is read and what stands before that. */
  build(index: number): number {
    const { classes, length, out, reads, beside, start } = this.#program;
    this.#work -= STATE_WORK + length;
    if (this.#work < this.#leastWork) return GAVE_UP;
    const behind = this.#sets[index >> this.shift]!;
    const column = index & ((1 << this.shift) - 1);
    const read = Math.floor(column / this.scale);
    const from = [this.#match];
    if (read < classes)
      for (const pc of this.#readers) if (reads[read * length + pc] === 1 && has(behind, out[pc]!)) from.push(pc);
    const after = read === classes ? NOTHING : beside[read]!;
    const members = this.#closure(from, placesBetween(column % this.scale, after));
    const set = new Uint8Array((length + 7) >> 3);
    for (const pc of members) set[pc >> 3] = set[pc >> 3]! | (1 << (pc & 7));
    const key = Buffer.from(set.buffer).toString("latin1");
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const state = this.#add(set);
      if (state < 0) return state;
      const nowhere = this.#endsLast && members.length === 1;
      entry = (state << this.shift) | (members.includes(start) ? BEGINS : nowhere ? NOWHERE : 0);
      this.#entries.set(key, entry);
    }
    this.next[index] = entry;
    return entry;
  }

  /** All instructions that lead to the given ones without reading, and these. */
  #closure(from: readonly number[], places: number): number[] {
    const { op, arg } = this.#program;
    const round = ++this.#round;
    const members = [...from];
    for (const pc of members) this.#seen[pc] = round;
    for (let i = 0; i < members.length; i++)
      for (const pc of this.#before[members[i]!]!) {
        if (this.#seen[pc] === round || (op[pc] === EMPTY_WIDTH && (arg[pc]! & ~places) !== 0)) continue;
        this.#seen[pc] = round;
        members.push(pc);
      }
    return members;
  }

  #add(set: Uint8Array): number {
    const state = this.#sets.length;
    this.#tableBytes += OBJECT_BYTES + set.length * 2 + (4 << this.shift);
    if (this.#tableBytes > MAX_TABLE_BYTES) return FULL;
    if (state + 1 > this.next.length >> this.shift) {
      const next = new Int32Array(Math.max(16, state * 2) << this.shift).fill(UNKNOWN);
      next.set(this.next);
      this.next = next;
      const begins = new Uint8Array(next.length >> this.shift);
      begins.set(this.begins);
      this.begins = begins;
    }
    this.begins[state] = has(set, this.#program.start) ? 1 : 0;
    this.#sets.push(set);
    return state;
  }
}

function has(set: Uint8Array, member: number): boolean {
  return ((set[member >> 3]! >> (member & 7)) & 1) === 1;
}

/** What holds at a place between two kinds of characters. */
function placesBetween(before: number, after: number): number {
  let places = (before === WORD) === (after === WORD) ? NO_WORD_BOUNDARY : WORD_BOUNDARY;
  if (before === NOTHING) places |= BEGIN_TEXT | BEGIN_LINE;
  if (before === LINE_END) places |= BEGIN_LINE;
  if (after === NOTHING) places |= END_TEXT | END_LINE;
  if (after === LINE_END) places |= END_LINE;
  return places;
}
