/**
 * Templates: text with placeholders, rendered from a record's origin and time. A value can't break out of its place:
 * whoever renders says how values are cleaned, and an empty one becomes `unknown`.
 */
import { type Batch, STDERR } from "../batch.ts";
import type { Origin } from "../pods/origin.ts";
import { nearest } from "./nearest.ts";

/** Not a template; the message is a sentence for the user. */
export class TemplateError extends Error {
  override name = "TemplateError";
}

export type Clean = (value: string) => string;

export interface Template {
  readonly text: string;
  readonly isConstant: boolean;
  /** Rows of one container can give different texts. */
  readonly perRow: boolean;
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
};

const TIMES: Readonly<Record<string, (time: Date) => string>> = {
  "yyyy.MM.dd": (time) => day(time, "."),
  "yyyy-MM-dd": (time) => day(time, "-"),
  "yyyy.MM": (time) => day(time, ".").slice(0, 7),
  "yyyy.ww": week,
  HH: (time) => time.toISOString().slice(11, 13),
};

const MAPS = { label: "labels", annotation: "annotations", namespaceLabel: "namespaceLabels" } as const;
const ALLOWED = [
  ...Object.keys(OF_ORIGIN),
  ...Object.keys(OF_ROW),
  ...Object.keys(MAPS).map((name) => `${name}.NAME`),
  ...Object.keys(TIMES),
];
const HOUR = 3600;

/** @throws TemplateError */
export function parseTemplate(text: string): Template {
  const parts: Part[] = [];
  let perRow = false;
  let at = 0;
  for (const match of text.matchAll(/\{([^{}]*)\}/g)) {
    parts.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    const name = match[1] ?? "";
    const part = placeholder(name);
    parts.push(part);
    perRow ||= Object.hasOwn(OF_ROW, name) || Object.hasOwn(TIMES, name);
  }
  parts.push(text.slice(at));
  if (parts.some((part) => typeof part === "string" && /[{}]/.test(part)))
    throw new TemplateError("a brace without its partner; placeholders look like {namespace}");
  const isConstant = parts.length === 1;
  const memo = new WeakMap<Origin, string>();
  const build = (batch: Batch, row: number, clean: Clean): string => {
    let result = "";
    for (const part of parts) result += typeof part === "string" ? part : clean(part(batch, row) || "unknown");
    return result;
  };
  return {
    text,
    isConstant,
    perRow,
    render: (batch, row, clean = (value) => value) => {
      if (isConstant) return text;
      if (perRow) return build(batch, row, clean);
      let rendered = memo.get(batch.origin);
      if (rendered === undefined) {
        rendered = build(batch, row, clean);
        memo.set(batch.origin, rendered);
      }
      return rendered;
    },
  };
}

function placeholder(name: string): (batch: Batch, row: number) => string {
  const ofOrigin = Object.hasOwn(OF_ORIGIN, name) ? OF_ORIGIN[name] : undefined;
  if (ofOrigin !== undefined) return ({ origin }) => ofOrigin(origin);
  const ofRow = Object.hasOwn(OF_ROW, name) ? OF_ROW[name] : undefined;
  if (ofRow !== undefined) return ofRow;
  const ofTime = Object.hasOwn(TIMES, name) ? TIMES[name] : undefined;
  if (ofTime !== undefined) return hourly(ofTime);
  const [map = "", ...key] = name.split(".");
  if (Object.hasOwn(MAPS, map) && key.length > 0) {
    const property = MAPS[map as keyof typeof MAPS];
    const label = key.join(".");
    return ({ origin }) => origin[property][label] ?? "";
  }
  const guess = nearest(name, ALLOWED);
  throw new TemplateError(
    `there is no placeholder {${name}}${guess === undefined ? "" : `; did you mean {${guess}}?`}; allowed are ${ALLOWED.map((allowed) => `{${allowed}}`).join(" ")}`,
  );
}

/** The rows of one hour share the text of a time, so most rows make no Date. */
function hourly(format: (time: Date) => string): (batch: Batch, row: number) => string {
  let hour = Number.NaN;
  let text = "";
  return ({ seconds }, row) => {
    const now = Math.floor((seconds[row] as number) / HOUR);
    if (now !== hour) {
      hour = now;
      const time = new Date(now * HOUR * 1000);
      text = Number.isNaN(time.getTime()) ? "" : format(time);
    }
    return text;
  };
}

function day(time: Date, separator: string): string {
  return time.toISOString().slice(0, 10).replaceAll("-", separator);
}

/** ISO 8601: the week with the year's first Thursday is its first. */
function week(time: Date): string {
  const thursday = new Date(time);
  thursday.setUTCDate(thursday.getUTCDate() + 4 - (thursday.getUTCDay() || 7));
  const year = thursday.getUTCFullYear();
  const number = Math.ceil(((thursday.getTime() - Date.UTC(year, 0, 1)) / 86_400_000 + 1) / 7);
  return `${year}.${String(number).padStart(2, "0")}`;
}
