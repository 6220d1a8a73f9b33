/**
 * Templates: text with placeholders, rendered from a record's origin and time. A value can't break out of its place:
 * whoever renders says how values are cleaned, and an empty one becomes `unknown`.
 */
import { type Batch, SEVERITIES, STDERR } from "../batch.ts";
import { isoTime } from "../clock.ts";
import { fieldText } from "../fields.ts";
import type { Origin } from "../pods/origin.ts";
import { nearest } from "./nearest.ts";

/** Not a template; the message is a sentence for the user. */
export class TemplateError extends Error {
  override name = "TemplateError";
}

const UNKNOWN = "unknown";

type Clean = (value: string) => string;

export interface Template {
  readonly text: string;
  readonly isConstant: boolean;
  /** Rows of one container can give different texts. */
  readonly perRow: boolean;
  /** Rows of one container and output stream give the same text. */
  readonly perStream: boolean;
  /** It is a placeholder and nothing else: which one. */
  readonly only: string | undefined;
  /** @param clean applied to each value, not to the text around; best one function for all calls. */
  render(batch: Batch, row: number, clean?: Clean): string;
}

type Part = string | ((batch: Batch, row: number) => string);

const OF_ORIGIN: Readonly<Record<string, (origin: Origin) => string>> = {
  cluster: ({ cluster }) => cluster,
  node: ({ node }) => node,
  namespace: ({ namespace }) => namespace,
  pod: ({ pod }) => pod,
  uid: ({ uid }) => uid,
  container: ({ container }) => container,
  workload: ({ workload }) => workload,
  workloadKind: ({ workloadKind }) => workloadKind,
  app: ({ labels, workload, container }) => labels["app.kubernetes.io/name"] || labels.app || workload || container,
};

const OF_ROW: Readonly<Record<string, (batch: Batch, row: number) => string>> = {
  stream: ({ flags }, row) => (((flags[row] as number) & STDERR) !== 0 ? "stderr" : "stdout"),
  offset: ({ offset }, row) => String(offset[row]),
  severity: ({ severity }, row) => SEVERITIES[severity?.[row] ?? 0] ?? "",
};

const TIMES: Readonly<Record<string, (time: Date) => string>> = {
  "yyyy.MM.dd": (time) => day(time, "."),
  "yyyy-MM-dd": (time) => day(time, "-"),
  "yyyy.MM": (time) => day(time, ".").slice(0, 7),
  "yyyy.ww": week,
  HH: (time) => isoTime(time.getTime()).slice(11, 13),
};

const MAPS = { label: "labels", annotation: "annotations", namespaceLabel: "namespaceLabels" } as const;
const FIELD = "field";
export const PLACEHOLDERS = [
  ...Object.keys(OF_ORIGIN),
  ...Object.keys(OF_ROW),
  ...[...Object.keys(MAPS), FIELD].map((name) => `${name}.NAME`),
  ...Object.keys(TIMES),
];
/** What differs from row to row, so that there is nothing to keep. */
const EACH_ROW = /^(offset|severity|field\..+)$/;
const HOUR = 3600;

const keep: Clean = (value) => value;

/** @throws TemplateError */
export function parseTemplate(text: string): Template {
  const parts: Part[] = [];
  const names: string[] = [];
  let at = 0;
  for (const match of text.matchAll(/\{([^{}]*)\}/g)) {
    const name = match[1] ?? "";
    parts.push(text.slice(at, match.index), placeholder(name));
    names.push(name);
    at = match.index + match[0].length;
  }
  parts.push(text.slice(at));
  if (parts.some((part) => typeof part === "string" && /[{}]/.test(part)))
    throw new TemplateError("a brace is without its partner; placeholders look like {namespace}");
  if (names.length === 0)
    return { text, isConstant: true, perRow: false, perStream: true, only: undefined, render: () => text };
  const build = (batch: Batch, row: number, clean: Clean): string => {
    let result = "";
    for (const part of parts) result += typeof part === "string" ? part : clean(part(batch, row) || UNKNOWN) || UNKNOWN;
    return result;
  };
  const hasTime = names.some((name) => Object.hasOwn(TIMES, name));
  const ofRow = names.filter((name) => Object.hasOwn(OF_ROW, name) || EACH_ROW.test(name));
  return {
    text,
    isConstant: false,
    perRow: hasTime || ofRow.length > 0,
    perStream: !hasTime && ofRow.every((name) => name === "stream"),
    only: text === `{${names[0]}}` ? names[0] : undefined,
    render: names.some((name) => EACH_ROW.test(name))
      ? (batch, row, clean = keep) => build(batch, row, clean)
      : remembering(build, hasTime),
  };
}

/**
 * Keeps the last text of each stream, as long as origin, hour and clean stay the same. Rows come in batches of one origin,
 * so most take what is there and make nothing.
 */
function remembering(build: (batch: Batch, row: number, clean: Clean) => string, hasTime: boolean): Template["render"] {
  let origin: Origin | undefined;
  let hour = 0;
  let cleaned: Clean | undefined;
  const texts: [string | undefined, string | undefined] = [undefined, undefined];
  return (batch, row, clean = keep) => {
    const rowHour = hasTime ? Math.floor((batch.seconds[row] as number) / HOUR) : 0;
    if (batch.origin !== origin || rowHour !== hour || clean !== cleaned) {
      origin = batch.origin;
      hour = rowHour;
      cleaned = clean;
      texts[0] = texts[1] = undefined;
    }
    const stream = ((batch.flags[row] as number) & STDERR) as 0 | 1;
    const text = texts[stream] ?? build(batch, row, clean);
    texts[stream] = text;
    return text;
  };
}

function placeholder(name: string): (batch: Batch, row: number) => string {
  const ofOrigin = Object.hasOwn(OF_ORIGIN, name) ? OF_ORIGIN[name] : undefined;
  if (ofOrigin !== undefined) return ({ origin }) => ofOrigin(origin);
  const ofRow = Object.hasOwn(OF_ROW, name) ? OF_ROW[name] : undefined;
  if (ofRow !== undefined) return ofRow;
  const ofTime = Object.hasOwn(TIMES, name) ? TIMES[name] : undefined;
  if (ofTime !== undefined) return timed(ofTime);
  const [, map = "", key = ""] = /^(\w+)\.(.+)$/.exec(name) ?? [];
  if (Object.hasOwn(MAPS, map)) {
    const property = MAPS[map as keyof typeof MAPS];
    // Not `constructor` and the like, which every object has.
    return ({ origin }) => (Object.hasOwn(origin[property], key) ? (origin[property][key] ?? "") : "");
  }
  if (map === FIELD) return (batch, row) => fieldText(batch, row, key);
  const guess = near(name) ?? nearest(name, PLACEHOLDERS);
  throw new TemplateError(
    `there is no placeholder {${name}}${guess === undefined ? "" : `; did you mean {${guess}}?`}; allowed are ${PLACEHOLDERS.map((allowed) => `{${allowed}}`).join(" ")}`,
  );
}

function timed(format: (time: Date) => string): (batch: Batch, row: number) => string {
  return ({ seconds }, row) => {
    const time = new Date((seconds[row] as number) * 1000);
    return Number.isNaN(time.getTime()) ? "" : format(time);
  };
}

/** `{labels.app}`: the part before the dot is compared alone, as NAME can be anything. */
function near(name: string): string | undefined {
  const [, map = "", key = ""] = /^(\w+)\.(.+)$/.exec(name) ?? [];
  const guess = key === "" ? undefined : nearest(map, [...Object.keys(MAPS), FIELD]);
  return guess === undefined ? undefined : `${guess}.${key}`;
}

function day(time: Date, separator: string): string {
  return isoTime(time.getTime()).slice(0, 10).replaceAll("-", separator);
}

/** ISO 8601: the week with the year's first Thursday is its first. */
function week(time: Date): string {
  const thursday = new Date(time);
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7));
  const year = thursday.getUTCFullYear();
  const number = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * 86_400_000));
  return `${year}.${String(number).padStart(2, "0")}`;
}
