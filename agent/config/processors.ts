/** The part of the configuration's schema that says what becomes of records: conditions (`match`) and processors. */
import * as z from "zod";
import { SEVERITIES } from "../batch.ts";
import { SETTINGS } from "../pods/settings.ts";
import { SEVERITY_NAMES, severityProblem } from "../process/match.ts";
import { collides } from "../process/names.ts";
import { isPattern, PatternError, parsePattern } from "../process/pattern.ts";
import { PRESETS } from "../process/presets.ts";
import { FINDERS } from "../process/secrets.ts";
import { nearest } from "./nearest.ts";
import { bareSize, converted, count, duration, flag, template, text, VARIABLE } from "./setting.ts";

/** Names with their types, as literal tuples that zod wants. */
const keys = <T extends string>(record: Readonly<Record<T, unknown>>): [T, ...T[]] =>
  Object.keys(record) as [T, ...T[]];

/** @returns what is wrong with one of the texts; undefined when nothing is. */
type Check = (text: string) => string | undefined;

/** One text or a list of them; becomes a list. */
function texts(check: Check, hint: string) {
  const schema = {
    title: "text or list of texts",
    anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }],
  };
  return converted({ schema }, hint, (value, issue) => {
    const list = Array.isArray(value) ? value : [value];
    if (list.some((item) => typeof item !== "string")) return undefined;
    list.forEach((item: string, i) => {
      const problem = item === "" ? "empty; it must be a text" : check(item);
      if (problem !== undefined) issue(problem, Array.isArray(value) ? [i] : []);
    });
    return list as string[];
  });
}

const patternProblem: Check = (text) => {
  try {
    parsePattern(text);
    return undefined;
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
};
const positive = (text: string): string => text.replace(/^!/, "");
const globs = () =>
  texts(
    (text) => (isPattern(positive(text)) ? patternProblem(positive(text)) : undefined),
    'a glob such as "web-*", a pattern such as "/^web-/", or a list of them; a leading ! negates',
  ).optional();

const pattern = () =>
  converted(
    { schema: { title: "pattern", type: "string", pattern: `^/|${VARIABLE}` } },
    "a pattern between slashes, such as /error/i",
    (value, issue) => {
      if (typeof value !== "string") return undefined;
      const problem = patternProblem(value);
      if (problem !== undefined) issue(problem);
      return value;
    },
  );

const MATCH_KEYS = {
  namespaces: globs().describe("Names of namespaces."),
  pods: globs().describe("Names of pods."),
  containers: globs().describe("Names of containers."),
  labels: z.record(z.string(), globs()).optional().describe("Values of the pod's labels."),
  annotations: z.record(z.string(), globs()).optional().describe("Values of the pod's annotations."),
  stream: texts((text) => choiceProblem(positive(text), ["stdout", "stderr"]), "stdout or stderr")
    .optional()
    .describe("stdout or stderr."),
  severity: texts((text) => {
    const problem = severityProblem(text);
    return problem && choiceProblem(problem.name, SEVERITY_NAMES, ", with <, <=, > or >= before them but for unknown");
  }, 'a severity such as error, or ">=warn"')
    .optional()
    .describe('A severity such as error, or ">=warn"; needs a processor that finds severities before.'),
  message: texts(
    (text) => patternProblem(positive(text)),
    "a pattern such as /health/, or a list of them; a leading ! negates",
  )
    .optional()
    .describe("Patterns of messages."),
};

function choiceProblem(text: string, allowed: readonly string[], more = ""): string | undefined {
  if (allowed.includes(text)) return undefined;
  const guess = nearest(text, allowed);
  return `allowed are ${allowed.join(", ")}${more}${guess === undefined ? "" : `; did you mean "${guess}"?`}`;
}

/** All given conditions must hold. */
const match = z
  .strictObject(MATCH_KEYS)
  .optional()
  .describe("Which records; all conditions must hold, and without any every record matches.");
export const outputMatch = z
  .strictObject(MATCH_KEYS)
  .prefault({})
  .describe("Which records: after the common processors, before the output's own.");
export type MatchConfig = z.output<typeof outputMatch>;

const timeKey = text("").describe("The field that is the record's time, where the operator trusts the app's clock.");
const messageKey = text("message").describe("The field that becomes the record's message.");
const severityKey = text("").describe("The field that is the record's severity.");
const keepMessage = flag(false).describe("The message stays whole, and messageKey a field.");

const isNotReserved: Check = (name) =>
  collides(
    Buffer.from(JSON.stringify(name.toWellFormed()).slice(1, -1)),
    0,
    Buffer.byteLength(JSON.stringify(name.toWellFormed())) - 2,
  )
    ? "a record has this name of its own, and fields can't take it; choose another"
    : undefined;

/** The name of a field that the configuration makes. @param more names that are allowed all the same. */
const fieldName = (more: readonly string[] = []) =>
  converted({ schema: { title: "name of a field", type: "string" } }, "the name of a field", (value, issue) => {
    if (typeof value !== "string" || value === "") return undefined;
    const problem = more.includes(value) ? undefined : isNotReserved(value);
    if (problem !== undefined) issue(problem);
    return value;
  });

const into = fieldName(["root", "fields"])
  .prefault("root")
  .describe("The field that takes the parsed ones; root: they become the record's own.");

const rate = () =>
  converted(
    {
      schema: { title: "number", type: ["number", "string"], minimum: 0, maximum: 1, pattern: `^[0-9.]+$|${VARIABLE}` },
    },
    "a number from 0 to 1, such as 0.1",
    (value) => {
      const number = typeof value === "string" && /^[0-9]*\.?[0-9]+$/.test(value) ? Number(value) : value;
      return typeof number === "number" && number >= 0 && number <= 1 ? number : undefined;
    },
  );

const severityName = (fallback: "info" | "error") =>
  z.enum(SEVERITIES.slice(1) as unknown as ["info", ...string[]]).default(fallback);

const isObject = ({ value }: { value: unknown }): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const given = (values: readonly unknown[]): number => values.filter((value) => value !== undefined).length;

const PROCESSORS = {
  multiline: z
    .strictObject({
      match,
      preset: z.enum(keys(PRESETS)).optional().describe("Stack traces of a language."),
      start: pattern().optional().describe("A line that fits begins a record; all others go on with it."),
      timeout: duration("1s", 1).describe("A line that comes later begins a record."),
      maxLines: count(1, 100_000, 1000).describe("A record of more lines is continued as another one."),
    })
    .refine(({ preset, start }) => given([preset, start]) === 1, {
      message: `give one of preset (${Object.keys(PRESETS).join(", ")}) and start`,
      when: isObject,
    })
    .describe("Joins lines that belong together, per container and stream."),
  json: z
    .strictObject({ match, into, timeKey, messageKey, severityKey, keepMessage })
    .describe("Messages that are JSON objects become structured; others pass untouched."),
  parse: z
    .strictObject({
      match,
      format: z.enum(["logfmt", "klog", "apache", "nginx", "regex"]).describe("What messages look like."),
      pattern: pattern().optional().describe("For regex: named groups become fields."),
      into,
      timeKey,
      messageKey,
      severityKey,
      keepMessage,
    })
    .refine(({ format, pattern }) => (format === "regex") === (pattern !== undefined), {
      message: "pattern goes with format: regex, and with no other",
      when: isObject,
    })
    .refine(
      ({ pattern }) =>
        pattern === undefined || patternProblem(pattern) !== undefined || parsePattern(pattern).groups.length > 0,
      {
        message: "the pattern has no named group such as (?<name>…), so it would find nothing",
        path: ["pattern"],
      },
    )
    .describe("The same for other formats."),
  severity: z
    .strictObject({
      match,
      default: severityName("info").describe("Where nothing tells."),
      stderr: severityName("error").describe("Where nothing tells, on standard error."),
    })
    .describe("Finds the severity: parsed field, klog's letter, the usual words."),
  drop: z.strictObject({ match }).describe("Drops records that match."),
  keep: z.strictObject({ match }).describe("Drops records that do not match."),
  sample: z
    .strictObject({ match, rate: rate().describe("The part that is kept, from 0 to 1.") })
    .describe("Keeps a part."),
  throttle: z
    .strictObject({
      match,
      per: z.enum(["container", "pod", "namespace"]).default("container").describe("Who shares a rate."),
      bytesPerSecond: bareSize(1, "").optional().describe("Of the log file, by the records' own times."),
      recordsPerSecond: bareSize(1, "").optional().describe("By the records' own times."),
      burst: bareSize(1, "").optional().describe("In the rate's unit; default: one second's worth."),
    })
    .refine(({ bytesPerSecond, recordsPerSecond }) => given([bytesPerSecond, recordsPerSecond]) === 1, {
      message: "give one of bytesPerSecond and recordsPerSecond",
      when: isObject,
    })
    .describe("Drops what is over a rate; one summary record a minute at most says how much."),
  redact: z
    .strictObject({
      match,
      builtin: z
        .array(z.enum(keys(FINDERS)))
        .default([])
        .describe("What is known without a pattern."),
      patterns: z.array(pattern()).default([]).describe("What else is replaced."),
      with: text("[REDACTED]").describe("The text instead."),
    })
    .refine(({ builtin, patterns }) => builtin.length + patterns.length > 0, {
      message: `give builtin (${Object.keys(FINDERS).join(", ")}) or patterns`,
      when: ({ value }) => isObject({ value }) && Array.isArray((value as { builtin?: unknown }).builtin),
    })
    .describe("Replaces secrets in messages and parsed fields."),
  fields: z
    .strictObject({
      match,
      add: z.record(fieldName(), template()).default({}).describe("Names with templates of their values."),
      remove: z.array(z.string()).default([]).describe("Globs of names."),
      rename: z.record(z.string(), fieldName()).default({}).describe("Old names with new ones."),
    })
    .describe("Takes fields out, renames and adds some, in that order."),
};

export type ProcessorName = keyof typeof PROCESSORS;

const optional = Object.fromEntries(Object.entries(PROCESSORS).map(([name, schema]) => [name, schema.optional()])) as {
  [Name in ProcessorName]: z.ZodOptional<(typeof PROCESSORS)[Name]>;
};

const processor = z.strictObject(optional).refine((item) => given(Object.values(item)) === 1, {
  message: `a list item has one key, which says what it does; allowed are ${Object.keys(PROCESSORS).join(", ")}`,
  // A mistyped key is told as such.
  when: (payload) => isObject(payload) && payload.issues.length === 0,
});
export type ProcessorConfig = z.output<typeof processor>;

export const processors = z.array(processor).default([]);

export const podSettings = z
  .strictObject({
    allow: z
      .array(z.enum(SETTINGS))
      .default([...SETTINGS])
      .describe("Which settings pods may give by annotation; [] for none."),
  })
  .prefault({});
