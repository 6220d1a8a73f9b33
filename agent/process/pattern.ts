/**
 * Patterns: regular expressions of users, in time linear in the text whatever they are. Written /SOURCE/FLAGS, flags i
 * and m, in RE2's syntax; lookaheads, lookbehinds and backreferences are not available, since nothing bounds them.
 *
 * Figures, Node 24, lines of 90 bytes, CPU-seconds per GB (those of the engine in use: `node test/bench/process.bench.ts`):
 *   test:     built-in 2-3, RE2JS 3-12 (its DFA), V8's own linear engine 120
 *   captures: built-in 2, RE2JS 80-95
 * Native re2 costs as much as RE2JS by conversions, and is one more binary for each platform. V8's fallback to its linear
 * engine on excessive backtracking does not see quadratic patterns: one ran for 90 seconds on a line of 1 MiB. So RE2JS
 * does it; what can't backtrack at all (`isPlain`) takes the built-in engine, which then is as safe and four times faster.
 */
import { RE2JS } from "re2js";
import type { Batch } from "../batch.ts";

/** Not a pattern; the message is a sentence for the user. */
export class PatternError extends Error {
  override name = "PatternError";
}

/**
 * Finding captures and every match costs up to 0.3 us a character: of longer messages only so many characters are looked
 * at for captures (20 ms).
 */
const MAX_CAPTURE_CHARACTERS = 64 * 1024;

const FLAGS: Readonly<Record<string, number>> = { i: RE2JS.CASE_INSENSITIVE, m: RE2JS.MULTILINE };

export interface Pattern {
  /** As it was written, with slashes and flags. */
  readonly text: string;
  /** Names of its groups, in order. */
  readonly groups: readonly string[];
  test(text: string): boolean;
  /** The first match's named groups; undefined when there is none. A group that took no part is undefined. */
  capture(text: string): Readonly<Record<string, string | undefined>> | undefined;
  /** Spans [from, to) in the text from an index on, one after the other, none empty. */
  spans(text: string, from: number): Iterable<readonly [from: number, to: number]>;
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
      [...flags].reduce((all, flag) => all | (FLAGS[flag] ?? 0), 0),
    );
  } catch (error) {
    throw new PatternError(
      `not a pattern: ${error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : String(error)}`,
    );
  }
  return new CompiledPattern(text, engine, isPlain(source, flags) ? new RegExp(source, flags) : undefined);
}

class CompiledPattern implements Pattern {
  readonly text: string;
  readonly groups: readonly string[];
  readonly #engine: RE2JS;
  readonly #plain: RegExp | undefined;

  constructor(text: string, engine: RE2JS, plain: RegExp | undefined) {
    this.text = text;
    this.groups = Object.keys(engine.namedGroups());
    this.#engine = engine;
    this.#plain = plain;
  }

  test(text: string): boolean {
    return this.#plain === undefined ? this.#engine.test(text) : this.#plain.test(text);
  }

  capture(text: string): Readonly<Record<string, string | undefined>> | undefined {
    if (text.length > MAX_CAPTURE_CHARACTERS || !this.#engine.test(text)) return undefined;
    return (this.#engine.exec(text) as RegExpExecArray | null)?.groups;
  }

  *spans(text: string, from: number): Generator<readonly [number, number]> {
    const matcher = this.#engine.matcher(text);
    for (let at = from; at <= text.length && matcher.find(at); ) {
      const [start, end] = [matcher.start(), matcher.end()];
      if (end > start) yield [start, end];
      at = end > start ? end : end + 1;
    }
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

/** The message of a row as text, for patterns. */
export function messageText(batch: Batch, row: number): string {
  return batch.bytes.toString("utf8", batch.from[row], batch.to[row]);
}

/** A pattern as a test of messages in bytes. */
export function messageTest(pattern: Pattern): (bytes: Buffer, from: number, to: number) => boolean {
  return (bytes, from, to) => pattern.test(bytes.toString("utf8", from, to));
}
