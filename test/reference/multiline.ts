/** What multiline must make of lines: the presets once more as regular expressions, and joining with plain lists. */
import type { Preset } from "../../agent/process/presets.ts";

export interface ReferenceLine {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
  readonly offset: number;
  readonly size: number;
  /** Milliseconds. */
  readonly time: number;
  /** Ends a group, and is none. */
  readonly structured: boolean;
  /** Neither joins nor ends anything. */
  readonly foreign: boolean;
}

export interface ReferenceRecord {
  readonly text: string;
  readonly offset: number;
  readonly size: number;
  readonly time: number;
}

export interface ReferenceOptions {
  readonly timeout: number;
  readonly maxLines: number;
  readonly maxBytes: number;
}

type Rule = readonly [from: string, line: RegExp, to: string, maybe?: true];

const TRACEBACK = /^Traceback \(most recent call last\):/;
const GROUP = /^[ \t]+\+ Exception Group Traceback \(most recent call last\):/;
const INDENTED = /^[ \t]+[^ \t]/;
const BLANK = /^[ \t]*$/;
const SOLID = /[^ \t]/;
const GOROUTINE = /^goroutine \d/;
const PANIC = /^(panic: |fatal error: |runtime: |SIG|unexpected fault address )/;
const REGISTER = /^[a-z][^ ]{0,5} [ \t]*0x/;
const RAISE = /^[^ \t]*?:\d+:in .*': /s;
const FRAME = /^[^ \t]*?:\d+:in .*'$/s;
const INNER = /^---> \(Inner Exception #/;

const RULES: Readonly<Record<Preset, readonly Rule[]>> = {
  java: [
    ["start", SOLID, "trace"],
    ["trace", INDENTED, "trace"],
    ["trace", /^(Caused by|Wrapped by|Suppressed): /, "trace"],
  ],
  python: [
    ["start chain before", TRACEBACK, "header"],
    ["start chain", GROUP, "group"],
    ["start", /^Exception in thread |^Exception ignored in/, "before"],
    ["start", /^[ \t]+File "/, "frames"],
    ["header frames", INDENTED, "frames"],
    ["frames", /^[^ \t]/, "error"],
    ["group", INDENTED, "group"],
    ["error group", BLANK, "between", true],
    ["between", /^The above exception was the direct cause of the following exception:/, "chain"],
    ["between", /^During handling of the above exception, another exception occurred:/, "chain"],
    ["chain", BLANK, "chain"],
  ],
  go: [
    ["start panic between", PANIC, "panic"],
    ["start panic between", GOROUTINE, "frames"],
    ["start", /^(.{20}|.{27})?http: panic serving /, "panic"],
    ["panic", INDENTED, "panic"],
    ["panic", /^(\[signal |PC=|\[originating from )/, "panic"],
    ["panic frames", BLANK, "between", true],
    ["panic between", /^runtime stack:/, "frames"],
    ["between registers", REGISTER, "registers"],
    ["frames", INDENTED, "frames"],
    ["frames", /^[^ \t(][^ (]*\(.*\)$/s, "frames"],
    ["frames", /^(created by |\.\.\.|\[originating from )/, "frames"],
    ["frames", REGISTER, "registers"],
    ["frames between registers", /^exit status /, "frames"],
  ],
  node: [
    ["start", /^(node:[\w/]+|(\/|file:\/\/)[^\r\n]*\.[cm]?[jt]sx?):\d+$/, "position"],
    ["position", /^/, "source"],
    ["source", /^[ \t]*\^/, "thrown"],
    ["thrown", BLANK, "thrown"],
    ["thrown", SOLID, "trace"],
    ["start", SOLID, "head"],
    ["head trace", INDENTED, "trace"],
    ["trace", /^[}\])]/, "trace"],
    ["trace", /^\(Use `node /, "trace"],
    ["trace", BLANK, "between", true],
    ["between", /^Node\.js v|^Thrown at:/, "trace"],
  ],
  ruby: [
    ["start thread from", RAISE, "raised"],
    ["start", /^#<Thread:/, "thread"],
    ["raised from", INDENTED, "from"],
    ["raised", BLANK, "snippet", true],
    ["snippet", SOLID, "source"],
    ["source", /^[ \t]*\^/, "from"],
    ["from", /^Did you mean\?/, "from"],
    ["start", SOLID, "head"],
    ["head frames", FRAME, "frames"],
    ["head frames", INDENTED, "frames"],
    ["head", BLANK, "between", true],
    ["between", FRAME, "frames"],
  ],
  dotnet: [
    ["start", /^Unhandled Exception:/, "header"],
    ["header", /^[^ \t]/, "trace"],
    ["start", SOLID, "trace"],
    ["trace header", INDENTED, "trace"],
    ["trace", /^--- End of /, "trace"],
    ["trace", INNER, "trace"],
    ["trace", BLANK, "between", true],
    ["between", INNER, "trace"],
  ],
  php: [
    ["start", SOLID, "trace"],
    ["trace", /^(Stack trace:|\[stacktrace\]|\[previous exception\])/, "trace"],
    ["trace", /^#\d+ /, "trace"],
    ["trace", INDENTED, "trace"],
    ["trace", BLANK, "between", true],
    ["between", /^Next /, "trace"],
  ],
};

/** Of a preset, or of groups that begin with a line that fits. */
function rulesOf(joins: Preset | RegExp): readonly Rule[] {
  if (!(joins instanceof RegExp)) return RULES[joins];
  return [
    ["start", /^/, "in"],
    ["in", new RegExp(`^(?!.*(?:${joins.source}))`, "su"), "in"],
  ];
}

function find(rules: readonly Rule[], state: string, text: string): Rule | undefined {
  return rules.find(([from, line]) => from.split(" ").includes(state) && line.test(text));
}

/** The records of one stream, in order. */
export function joinStream(
  joins: Preset | RegExp,
  lines: readonly ReferenceLine[],
  options: ReferenceOptions,
): ReferenceRecord[] {
  const rules = rulesOf(joins);
  const records: ReferenceRecord[] = [];
  let group: ReferenceLine[] = [];
  let maybe: ReferenceLine[] = [];
  let state = "start";
  const bytes = (all: readonly ReferenceLine[]): number => Buffer.byteLength(all.map(({ text }) => text).join("\n"));
  const emit = (all: readonly ReferenceLine[]): void => {
    const [first] = all;
    if (first === undefined) return;
    const text = all.map((line) => line.text).join("\n");
    records.push({ text, offset: first.offset, time: first.time, size: all.reduce((sum, { size }) => sum + size, 0) });
  };
  const end = (): void => {
    emit(group);
    for (const line of maybe) emit([line]);
    group = [];
    maybe = [];
    state = "start";
  };
  for (const line of lines) {
    if (line.foreign) continue;
    const last = [...group, ...maybe].at(-1);
    if (line.structured || (last !== undefined && line.time - last.time > options.timeout)) end();
    if (line.structured) {
      emit([line]);
      continue;
    }
    let rule = find(rules, state, line.text);
    if (rule !== undefined && group.length > 0) {
      const all = [...group, ...maybe, line];
      if (all.length > options.maxLines || bytes(all) > options.maxBytes) end();
    } else if (group.length > 0) {
      end();
      rule = find(rules, state, line.text);
    }
    if (rule === undefined || (group.length === 0 && rule[3])) {
      emit([line]);
      continue;
    }
    state = rule[2];
    if (rule[3]) maybe.push(line);
    else {
      group.push(...maybe, line);
      maybe = [];
    }
  }
  end();
  return records;
}
