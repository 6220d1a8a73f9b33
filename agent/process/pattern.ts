/**
 * Patterns: regular expressions of users, in time linear in the text whatever they are. Written /SOURCE/FLAGS, flags i
 * and m, in RE2's syntax; lookaheads, lookbehinds and backreferences are not available, since nothing bounds them.
 *
 * RE2JS compiles them, an automaton of our own runs them over the bytes (automaton.ts): its answers are RE2's, and where it
 * takes too much time it says that it doesn't know. What can't backtrack at all (`isPlain`) is tested by the built-in
 * engine, which then is as safe, and as fast.
 *
 * Figures, Node 24, lines of 130 bytes, CPU-seconds per GB:
 *   test:             built-in 1.1, automaton 1-4, RE2JS 1.3-7
 *   matches, groups:  built-in 1-2, automaton 2-8, RE2JS 60-95
 * A line of 1 MiB takes the automaton 45 ms at most, and RE2JS 300 ms or, with patterns that have too many states for it,
 * seconds. Native re2 costs as much as RE2JS by conversions; V8's own linear engine tests at 120, and as a fallback does
 * not see quadratic patterns: one ran for 90 seconds on a line of 1 MiB.
 */
import { RE2JS } from "re2js";
import { Automaton } from "./automaton.ts";
import { Program } from "./program.ts";

/** Not a pattern; the message is a sentence for the user. */
export class PatternError extends Error {
  override name = "PatternError";
}

/** Instructions of a program: what one new state costs grows with it. */
const MAX_SIZE = 5000;

// RE2JS is not touched before a pattern is compiled: the bundle loads it then.
const FLAGS: Readonly<Record<string, () => number>> = { i: () => RE2JS.CASE_INSENSITIVE, m: () => RE2JS.MULTILINE };

export interface Pattern {
  /** As it was written, with slashes and flags. */
  readonly text: string;
  /** Names of its groups, in order. */
  readonly groups: readonly string[];
  /** Whether any of bytes[from, to), well-formed UTF-8, matches; undefined: nobody knows, it would take too long. */
  test(bytes: Buffer, from: number, to: number): boolean | undefined;
  /**
   * Where the groups of the first match begin and end, two places for each of `groups`, -1 for one that took no part.
   * Scratch memory: it is valid until the next call. undefined: there is none, or nobody knows.
   */
  capture(bytes: Buffer, from: number, to: number): Int32Array | undefined;
  /** Where all matches begin and end, but empty ones, as Automaton.spans tells; undefined: nobody knows. */
  spans(bytes: Buffer, from: number, to: number): number[] | undefined;
}

/** Whether a text is written as a pattern. */
export function isPattern(text: string): boolean {
  return text.length > 1 && text.startsWith("/") && /\/[a-z]*$/.test(text.slice(1));
}

/** @param text /SOURCE/FLAGS. @throws PatternError */
export function parsePattern(text: string): Pattern {
  const end = text.lastIndexOf("/");
  if (!text.startsWith("/") || end < 1)
    throw new PatternError("it must be a pattern between slashes, such as /error/i");
  const source = text.slice(1, end);
  const flags = text.slice(end + 1);
  for (const flag of flags)
    if (!Object.hasOwn(FLAGS, flag)) throw new PatternError(`the flag ${flag} is not available; allowed are i and m`);
  if (source === "") throw new PatternError("the pattern is empty");
  const forbidden = unavailable(source);
  if (forbidden !== undefined)
    throw new PatternError(`${forbidden} are not available, because nothing bounds the time that they take`);
  let engine: RE2JS;
  try {
    engine = RE2JS.compile(
      translate(source),
      [...flags].reduce((all, flag) => all | (FLAGS[flag]?.() ?? 0), 0),
    );
  } catch (error) {
    throw new PatternError(
      `not a pattern: ${error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : String(error)}`,
    );
  }
  const size = engine.programSize();
  if (size > MAX_SIZE)
    throw new PatternError(
      `the pattern is too large: it has ${size} steps once its repetitions are written out, at most ${MAX_SIZE} are allowed`,
    );
  return new CompiledPattern(text, engine, isPlain(source, flags) ? new RegExp(source, flags) : undefined);
}

class CompiledPattern implements Pattern {
  readonly text: string;
  readonly groups: readonly string[];
  readonly #automaton: Automaton;
  readonly #plain: RegExp | undefined;
  /** Of all groups, in the pattern's order. */
  readonly #places: Int32Array;
  /** Of those that have names. */
  readonly #named: Int32Array;
  readonly #numbers: readonly number[];

  constructor(text: string, engine: RE2JS, plain: RegExp | undefined) {
    const named = engine.namedGroups() as Readonly<Record<string, number>>;
    this.text = text;
    this.groups = Object.keys(named);
    this.#numbers = Object.values(named);
    this.#automaton = new Automaton(new Program(engine));
    this.#plain = plain;
    this.#places = new Int32Array(2 * (engine.groupCount() + 1));
    this.#named = new Int32Array(2 * this.groups.length);
  }

  test(bytes: Buffer, from: number, to: number): boolean | undefined {
    if (this.#plain !== undefined) return this.#plain.test(bytes.toString("utf8", from, to));
    return this.#automaton.test(bytes, from, to);
  }

  capture(bytes: Buffer, from: number, to: number): Int32Array | undefined {
    if (this.#automaton.capture(bytes, from, to, this.#places) !== true) return undefined;
    for (let i = 0; i < this.#numbers.length; i++) {
      const number = this.#numbers[i]!;
      this.#named[2 * i] = this.#places[2 * number]!;
      this.#named[2 * i + 1] = this.#places[2 * number + 1]!;
    }
    return this.#named;
  }

  spans(bytes: Buffer, from: number, to: number): number[] | undefined {
    return this.#automaton.spans(bytes, from, to);
  }
}

/** What RE2 has not, by its name. */
function unavailable(source: string): string | undefined {
  for (const [, reference, group] of source.matchAll(/\\(k<|[1-9])|\\.|\[(?:\\.|[^\]\\])*\]|\((\?<?[=!]|\?>)/gs)) {
    if (reference !== undefined) return "backreferences";
    if (group === "?=" || group === "?!") return "lookaheads";
    if (group === "?>") return "atomic groups";
    if (group !== undefined) return "lookbehinds";
  }
  return undefined;
}

/** JavaScript's \uXXXX, as RE2 writes it; a slash needs no escape there, but may have one. */
function translate(source: string): string {
  return source.replace(/\\(?:u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]+)\}|.)/gs, (all, four?: string, any?: string) => {
    const code = four ?? any;
    return code === undefined ? all : `\\x{${code}}`;
  });
}

/** Of one place in the text such a pattern tries at most so many ways. */
const MAX_WAYS = 64;

/**
 * Whether the built-in engine can't backtrack over more than the pattern's own length, and means the same as RE2:
 * characters, classes, anchors and groups of alternatives, but no repetition.
 */
export function isPlain(source: string, flags: string): boolean {
  if (!/^[\x20-\x7e]*$/.test(source) || source.length > 1000) return false;
  // Without escapes and classes that both engines read alike.
  const rest = source.replace(/\\[dDwWbB]|\\[^\sA-Za-z0-9]|\[\^?(?:\\[dDwW]|\\[^\sA-Za-z0-9]|[^\]\\[])+\]/g, "x");
  if (/[\\[\]{}*+?.]/.test(rest.replace(/\(\?:|\(\?<\w+>/g, "("))) return false;
  // Beyond ASCII the engines fold the case of some letters otherwise (K and the Kelvin sign).
  if (flags.includes("i") && /[kKsS]/.test(source)) return false;
  let ways = 1;
  for (const [group] of rest.matchAll(/\([^()]*\)|\|/g)) ways *= (group.match(/\|/g)?.length ?? 0) + 1;
  return ways <= MAX_WAYS;
}
