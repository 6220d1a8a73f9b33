/**
 * Trace: which lines belong together, as a table of states and lines. A line is told by its first bytes; the first one
 * leaves no rule or one or two to try, so most lines cost a look into a table.
 *
 *     [from, line, to]           in one of the states `from`, such a line joins the group, which is in `to` then
 *     [from, line, to, "maybe"]  it joins if the next line does, too; else it is a record of its own
 *
 * The first rule that fits counts. "start" is the state in which no group is open. A line that fits no rule ends the
 * group, and is looked at again in "start"; one that fits none there is a record of its own.
 */
import type { Pattern } from "./pattern.ts";

/** A kind of line. */
export interface LineTest {
  /** By byte: whether such a line can begin with it. */
  readonly first: Uint8Array;
  /** Whether bytes[from, to), which begins so, is one. Empty lines are asked only where `empty`. */
  matches(bytes: Uint8Array, from: number, to: number): boolean;
  readonly empty: boolean;
}

/** What decides about a line: a preset, or the configuration's own `start`. */
export interface Joiner {
  /**
   * @param state of the open group; 0: none is open.
   * @returns the group's state with the line bytes[from, to) in it; 0 when it does not join; negative when it joins only
   * if the next one does.
   */
  step(state: number, bytes: Buffer, from: number, to: number): number;
}

export type Rule = readonly [from: string, line: LineTest, to: string, maybe?: "maybe"];

interface Compiled {
  readonly test: LineTest;
  readonly next: number;
}

const NONE: readonly Compiled[] = [];

export class Trace implements Joiner {
  /** By state and first byte; 256: empty lines. */
  readonly #rules: (readonly Compiled[])[][];

  constructor(rules: readonly Rule[]) {
    const states = [...new Set(["start", ...rules.flatMap(([from, , to]) => [...from.split(" "), to])])];
    this.#rules = states.map((state) => {
      const here = rules.filter(([from]) => from.split(" ").includes(state));
      return Array.from({ length: 257 }, (_, byte) => {
        const fit = here.filter(([, { first, empty }]) => (byte === 256 ? empty : first[byte] === 1));
        return fit.length === 0
          ? NONE
          : fit.map(([, test, to, maybe]) => ({ test, next: states.indexOf(to) * (maybe === undefined ? 1 : -1) }));
      });
    });
  }

  step(state: number, bytes: Buffer, from: number, to: number): number {
    const rules = this.#rules[state]![from < to ? bytes[from]! : 256]!;
    for (let i = 0; i < rules.length; i++) {
      const { test, next } = rules[i]!;
      if (test.matches(bytes, from, to)) return next;
    }
    return 0;
  }
}

/** Groups that begin with a line that fits the pattern, and hold all lines to the next such one. */
export class Starts implements Joiner {
  readonly #start: Pattern;

  constructor(start: Pattern) {
    this.#start = start;
  }

  step(state: number, bytes: Buffer, from: number, to: number): number {
    return state === 0 || this.#start.test(bytes, from, to) !== true ? 1 : 0;
  }
}
