/**
 * Settings that a pod's annotations give for its own logs. Pure functions from annotations to settings and problems; a
 * wrong value is a problem to tell of, and otherwise as if it were not there.
 *
 *   tailrace.io/exclude: "true"              of every container
 *   tailrace.io/multiline.app: java          of the container app; goes before the one for all
 *   fluentbit.io/exclude: "true"             honoured as well
 */
import { nearest } from "../config/nearest.ts";
import { PRESETS, type Preset } from "../process/presets.ts";

export const SETTINGS = ["exclude", "multiline", "parse", "outputs", "sample"] as const;
type Setting = (typeof SETTINGS)[number];

const PARSES = ["json", "logfmt", "klog", "none"] as const;
const PRESET_NAMES = Object.keys(PRESETS);

export interface PodSettings {
  readonly exclude?: "all" | "stdout" | "stderr";
  readonly multiline?: Preset;
  readonly parse?: (typeof PARSES)[number];
  /** Names of the only outputs that records go to. */
  readonly outputs?: readonly string[];
  /** The part that is kept, from 0 to 1. */
  readonly sample?: number;
  /** Tells equal settings from others. */
  readonly key: string;
}

/** An annotation that means nothing. */
export interface AnnotationProblem {
  readonly annotation: string;
  readonly value: string;
  /** What is wrong; what is allowed. */
  readonly message: string;
}

export interface SettingsRules {
  /** Of the keys, without the slash. */
  readonly prefix: string;
  readonly allow: readonly Setting[];
  /** Names of all outputs. */
  readonly outputs: readonly string[];
}

const FLUENTBIT = "fluentbit.io/exclude";
const MAX_SHOWN = 100;

type Annotations = Readonly<Record<string, string>>;
type Parsed = { readonly value: unknown } | { readonly problem: string };

/** The settings of one container; undefined when it has none. */
export function containerSettings(
  annotations: Annotations,
  container: string,
  rules: SettingsRules,
): PodSettings | undefined {
  const found: Record<string, unknown> = {};
  for (const setting of rules.allow) {
    for (const key of [`${rules.prefix}/${setting}.${container}`, `${rules.prefix}/${setting}`]) {
      const text = Object.hasOwn(annotations, key) ? annotations[key] : undefined;
      const parsed = text === undefined ? undefined : parseSetting(setting, text, rules);
      if (parsed === undefined || "problem" in parsed) continue;
      if (parsed.value !== undefined) found[setting] = parsed.value;
      break;
    }
  }
  if (rules.allow.includes("exclude") && found.exclude === undefined) {
    const parsed = fluentbit(annotations, container);
    if (parsed !== undefined) found.exclude = parsed;
  }
  return Object.keys(found).length === 0 ? undefined : { ...found, key: JSON.stringify(found) };
}

/** What is wrong with a pod's annotations. @param containers names of the pod's containers, as far as known. */
export function annotationProblems(
  annotations: Annotations,
  containers: readonly string[],
  rules: SettingsRules,
): AnnotationProblem[] {
  const problems: AnnotationProblem[] = [];
  for (const [annotation, value] of Object.entries(annotations)) {
    if (!annotation.startsWith(`${rules.prefix}/`)) continue;
    const message = problemOf(annotation.slice(rules.prefix.length + 1), value, containers, rules);
    if (message !== undefined) problems.push({ annotation, value: value.slice(0, MAX_SHOWN), message });
  }
  return problems;
}

function problemOf(
  name: string,
  value: string,
  containers: readonly string[],
  rules: SettingsRules,
): string | undefined {
  const [key = "", container] = split(name);
  const setting = SETTINGS.find((setting) => setting === key);
  if (setting === undefined) {
    const guess = nearest(key, SETTINGS);
    return `there is no such setting; ${guess === undefined ? `allowed are ${SETTINGS.join(", ")}` : `did you mean ${guess}?`}`;
  }
  if (!rules.allow.includes(setting))
    return `the operator does not allow it; allowed are ${rules.allow.join(", ") || "none"}`;
  if (container !== undefined && containers.length > 0 && !containers.includes(container))
    return `the pod has no container ${container}; it has ${containers.join(", ")}`;
  const parsed = parseSetting(setting, value, rules);
  return "problem" in parsed ? parsed.problem : undefined;
}

/** KEY or KEY.CONTAINER; no container's name holds a dot. */
function split(name: string): [key: string, container?: string] {
  const dot = name.indexOf(".");
  return dot < 0 ? [name] : [name.slice(0, dot), name.slice(dot + 1)];
}

function parseSetting(setting: Setting, text: string, rules: SettingsRules): Parsed {
  const value = text.trim();
  switch (setting) {
    case "exclude":
      if (value === "false") return { value: undefined };
      if (value === "true") return { value: "all" };
      return oneOf(value, ["true", "false", "stdout", "stderr"]);
    case "multiline":
      return oneOf(value, PRESET_NAMES);
    case "parse":
      return oneOf(value, PARSES);
    case "sample": {
      const rate = /^(\d+(\.\d*)?|\.\d+)$/.test(value) ? Number(value) : Number.NaN;
      return rate >= 0 && rate <= 1 ? { value: rate } : { problem: 'it must be a number from 0 to 1, such as "0.1"' };
    }
    case "outputs": {
      const names = value.split(",").map((name) => name.trim());
      const wrong = names.find((name) => !rules.outputs.includes(name));
      return wrong === undefined ? { value: [...new Set(names)].sort() } : oneOf(wrong, rules.outputs);
    }
  }
}

function oneOf(value: string, allowed: readonly string[]): Parsed {
  if (allowed.includes(value)) return { value };
  const guess = nearest(value, allowed);
  return { problem: `allowed are ${allowed.join(", ")}${guess === undefined ? "" : `; did you mean ${guess}?`}` };
}

/** As Fluent Bit reads it: exclude[_stdout|_stderr][-CONTAINER]. */
function fluentbit(annotations: Annotations, container: string): PodSettings["exclude"] {
  const isSet = (stream: string): boolean =>
    [`${FLUENTBIT}${stream}-${container}`, `${FLUENTBIT}${stream}`].some(
      (key) => Object.hasOwn(annotations, key) && annotations[key] === "true",
    );
  const [stdout, stderr] = [isSet("_stdout"), isSet("_stderr")];
  if (isSet("") || (stdout && stderr)) return "all";
  return stdout ? "stdout" : stderr ? "stderr" : undefined;
}
