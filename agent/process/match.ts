/**
 * Match: which records a processor or an output is for. All given conditions must hold; each takes one value or a list,
 * of which one must hold, but none of those with a leading `!`.
 *
 * What is about the origin is decided once for each Origin; streams, severities and patterns are looked at by row, the
 * cheap ones first.
 */
import picomatch from "picomatch";
import { type Batch, SEVERITIES, STDERR } from "../batch.ts";
import type { Origin } from "../pods/origin.ts";
import { isPattern, type Pattern, parsePattern } from "./pattern.ts";
import type { Match } from "./processor.ts";

/** As in the configuration, lists made of single values. */
export interface Conditions {
  readonly namespaces?: readonly string[] | undefined;
  readonly pods?: readonly string[] | undefined;
  readonly containers?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, readonly string[] | undefined>> | undefined;
  readonly annotations?: Readonly<Record<string, readonly string[] | undefined>> | undefined;
  readonly stream?: readonly string[] | undefined;
  readonly severity?: readonly string[] | undefined;
  readonly message?: readonly string[] | undefined;
}

type Test<T> = (value: T) => boolean;

/** @throws PatternError for a pattern that does not compile, which the schema has found by then. */
export function compileMatch(conditions: Conditions | undefined): Match | undefined {
  if (conditions === undefined) return undefined;
  const { namespaces, pods, containers, labels = {}, annotations = {} } = conditions;
  const origin: Test<Origin>[] = [];
  const add = (list: readonly string[] | undefined, value: (origin: Origin) => string | undefined): void => {
    if (list === undefined || list.length === 0) return;
    const test = anyOf(list, textTest);
    origin.push((of) => test(value(of)));
  };
  add(namespaces, ({ namespace }) => namespace);
  add(pods, ({ pod }) => pod);
  add(containers, ({ container }) => container);
  for (const [key, list] of Object.entries(labels)) add(list, ({ named, labels }) => own(named?.labels ?? labels, key));
  for (const [key, list] of Object.entries(annotations))
    add(list, ({ named, annotations }) => own(named?.annotations ?? annotations, key));
  const row = rowTests(conditions);
  return origin.length === 0 && row.length === 0 ? undefined : new CompiledMatch(origin, row);
}

type RowTest = (batch: Batch, row: number) => boolean | undefined;

function rowTests({ stream, severity, message }: Conditions): RowTest[] {
  const tests: RowTest[] = [];
  if (stream !== undefined && stream.length > 0) {
    const test = anyOf(stream, textTest);
    const [stdout, stderr] = [test("stdout"), test("stderr")];
    tests.push(({ flags }, row) => (((flags[row] as number) & STDERR) !== 0 ? stderr : stdout));
  }
  if (severity !== undefined && severity.length > 0) {
    const test = anyOf(severity, severityTest);
    const allowed = SEVERITIES.map((_, level) => test(level));
    tests.push((batch, row) => allowed[batch.severity?.[row] ?? 0] === true);
  }
  if (message !== undefined && message.length > 0) {
    tests.push(messageTest(message));
  }
  return tests;
}

class CompiledMatch implements Match {
  readonly #origin: readonly Test<Origin>[];
  readonly #row: readonly RowTest[];
  readonly #memo = new WeakMap<Origin, boolean>();

  constructor(origin: readonly Test<Origin>[], row: readonly RowTest[]) {
    this.#origin = origin;
    this.#row = row;
  }

  ofOrigin(origin: Origin): boolean | undefined {
    let decided = this.#memo.get(origin);
    if (decided === undefined) {
      decided = this.#origin.every((test) => test(origin));
      this.#memo.set(origin, decided);
    }
    return decided && this.#row.length > 0 ? undefined : decided;
  }

  ofRow(batch: Batch, row: number): boolean | undefined {
    let all: boolean | undefined = true;
    for (const test of this.#row) {
      const holds = test(batch, row);
      if (holds === false) return false;
      if (holds === undefined) all = undefined;
    }
    return all;
  }
}

/** Of the message, by patterns. undefined where it depends on one that can't tell. */
function messageTest(list: readonly string[]): RowTest {
  const compile = (negated: boolean): Pattern[] =>
    list.filter((text) => text.startsWith("!") === negated).map((text) => parsePattern(text.replace(/^!/, "")));
  const yes = compile(false);
  const no = compile(true);
  const any = (patterns: readonly Pattern[], batch: Batch, row: number): boolean | undefined => {
    let found: boolean | undefined = false;
    for (const pattern of patterns) {
      const fits = pattern.test(batch.bytes, batch.from[row]!, batch.to[row]!);
      if (fits === true) return true;
      if (fits === undefined) found = undefined;
    }
    return found;
  };
  return (batch, row) => {
    const wants = yes.length === 0 ? true : any(yes, batch, row);
    if (wants === false) return false;
    const forbids = any(no, batch, row);
    return forbids === true ? false : wants === undefined || forbids === undefined ? undefined : true;
  };
}

/** Which rows of a batch `match` wants: all, none, or what it says of each. */
export function wanted(match: Match | undefined, batch: Batch): ((row: number) => boolean | undefined) | boolean {
  const decided = match === undefined ? true : match.ofOrigin(batch.origin);
  return decided ?? ((row) => (match as Match).ofRow(batch, row));
}

/** One of the positive ones, if there are any, and none of the negated ones. */
function anyOf<T>(list: readonly string[], compile: (text: string) => Test<T>): Test<T> {
  const no = list.filter((text) => text.startsWith("!")).map((text) => compile(text.slice(1)));
  const yes = list.filter((text) => !text.startsWith("!")).map((text) => compile(text));
  return (value) => !no.some((test) => test(value)) && (yes.length === 0 || yes.some((test) => test(value)));
}

/** A pattern or a glob. What is not there (undefined) fits neither. */
function textTest(text: string): Test<string | undefined> {
  if (isPattern(text)) {
    const pattern = parsePattern(text);
    return (value) => {
      if (value === undefined) return false;
      const bytes = Buffer.from(value);
      return pattern.test(bytes, 0, bytes.length) === true;
    };
  }
  const glob = globTest(text);
  return (value) => value !== undefined && (value === text || glob(value));
}

/** Beyond that a value fits no glob of more than stars: picomatch makes a pattern that nothing bounds. */
const MAX_GLOB_VALUE = 256;

/** A star also stands for slashes: names of labels hold some, and mean nothing by them. */
export function globTest(text: string): Test<string> {
  if (!/[[\](){}+@|?!]/.test(text)) return (value) => fitsStars(text, value);
  const glob = picomatch(text, { bash: true, dot: true, nonegate: true });
  return (value) => value.length <= MAX_GLOB_VALUE && glob(value);
}

/** Only stars: each takes as little as it can, which is enough, since the next can take more. */
function fitsStars(glob: string, value: string): boolean {
  const parts = glob.split("*");
  const first = parts[0] ?? "";
  if (parts.length === 1) return value === glob;
  const last = parts.at(-1) ?? "";
  if (value.length < first.length + last.length || !value.startsWith(first) || !value.endsWith(last)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = value.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= value.length - last.length;
}

const SEVERITY = /^(>=|<=|>|<|=|)\s*([a-z]+)$/;

/** `error`, or `>=warn`. A record whose severity is not known (0) fits neither, but `unknown`. */
function severityTest(text: string): Test<number> {
  const [, operator = "", name = ""] = SEVERITY.exec(text) ?? [];
  const level = (SEVERITIES as readonly string[]).indexOf(name === "unknown" ? "" : name);
  const known =
    (test: Test<number>): Test<number> =>
    (value) =>
      value > 0 && test(value);
  switch (operator) {
    case ">=":
      return known((value) => value >= level);
    case "<=":
      return known((value) => value <= level);
    case ">":
      return known((value) => value > level);
    case "<":
      return known((value) => value < level);
    default:
      return (value) => value === level;
  }
}

/** Names that conditions on severity can have. */
export const SEVERITY_NAMES = [...SEVERITIES.slice(1), "unknown"];

/** @returns what is wrong with a condition on severity; undefined when nothing is. */
export function severityProblem(text: string): { readonly name: string } | undefined {
  const [, operator, name] = SEVERITY.exec(text.replace(/^!/, "")) ?? [];
  if (name === undefined) return { name: text };
  if (!SEVERITY_NAMES.includes(name)) return { name };
  return name === "unknown" && operator !== "" && operator !== "=" ? { name: text } : undefined;
}

function own(map: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

/** Names of labels and annotations that any condition within a configuration asks for. */
export function namedIn(config: unknown): { labels: Set<string>; annotations: Set<string> } {
  const named = { labels: new Set<string>(), annotations: new Set<string>() };
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const { match } = value as { match?: Conditions };
    for (const map of ["labels", "annotations"] as const)
      for (const name of Object.keys(match?.[map] ?? {})) named[map].add(name);
    for (const item of Object.values(value)) visit(item);
  };
  visit(config);
  return named;
}
