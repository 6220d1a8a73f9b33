/**
 * The kinds of settings. Each says once how it is written, how it is checked, what it becomes (sizes: bytes, durations:
 * milliseconds) and what its JSON Schema is. Messages say what is allowed; load.ts puts what is wrong before them, as it
 * knows which values must not be shown.
 */
import * as z from "zod";
import type { Backlog } from "../backlog.ts";
import { Secret } from "./secret.ts";
import { parseTemplate, TemplateError } from "./template.ts";
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
  SIZE_HINT,
  SIZE_PATTERN,
  TIME_HINT,
  TIME_PATTERN,
} from "./units.ts";

/** In `params` of an issue whose message is about the value alone. */
export const ABOUT_VALUE = "aboutValue";

/** What the registry keeps of a converted setting. */
export interface SettingMeta {
  /** Its JSON Schema; `title` names the kind. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** A value as people write it. */
  readonly print?: (value: never) => string | number;
}

/** A place for a variable, wherever a pattern or a type would forbid one. */
export const VARIABLE = "\\$\\{";
/** Longer ones overflow Node.js' timers, which then fire at once. */
const MAX_DURATION_MS = 596 * 3_600_000;

/** A value that is written in one form and used in another. `convert` returns undefined for what is not `hint`. */
export function converted<T>(
  meta: SettingMeta,
  hint: string,
  convert: (value: unknown, issue: (message: string, path?: PropertyKey[]) => void) => T | undefined,
) {
  return z
    .any()
    .meta({ ...meta })
    .transform((value, context): T => {
      let told = false;
      const issue = (message: string, path: PropertyKey[] = []): void => {
        told = true;
        context.addIssue({ code: "custom", message, path, params: { [ABOUT_VALUE]: true } });
      };
      const result = convert(value, issue);
      if (result === undefined && !told) issue(`it must be ${hint}`);
      return result === undefined || told ? z.NEVER : result;
    });
}

const isScalar = (value: unknown): value is string | number => typeof value === "string" || typeof value === "number";

/** How far an output may be behind. */
export function backlog() {
  const schema = {
    title: "size or duration",
    type: ["string", "integer"],
    pattern: `${SIZE_PATTERN}|${TIME_PATTERN}|${VARIABLE}`,
    minimum: 0,
    default: 0,
  };
  const print = (value: Backlog): string | number =>
    "bytes" in value ? formatSize(value.bytes) : formatDuration(value.ms);
  return converted<Backlog>({ schema, print }, `0, ${SIZE_HINT}, or ${TIME_HINT}`, (value) => {
    if (!isScalar(value)) return undefined;
    const bytes = parseSize(value);
    if (bytes !== undefined) return { bytes };
    const ms = parseDuration(value);
    return ms === undefined ? undefined : { ms };
  }).default({ bytes: 0 });
}

/** Without a default. @param fallback what the documentation shows as one. */
export function bareSize(min: number, fallback: string) {
  const schema = {
    title: "size",
    type: ["string", "integer"],
    pattern: `${SIZE_PATTERN}|${VARIABLE}`,
    minimum: min,
    default: fallback,
  };
  return converted({ schema, print: formatSize }, SIZE_HINT, (value, issue) => {
    const bytes = isScalar(value) ? parseSize(value) : undefined;
    if (bytes !== undefined && bytes < min) issue(`it must be at least ${formatSize(min)}`);
    return bytes;
  });
}

export function size(min: number, fallback: string) {
  return bareSize(min, fallback).default(parseSize(fallback) as number);
}

export function duration(fallback: string, minMs = 0) {
  const schema = {
    title: "duration",
    type: ["string", "integer"],
    pattern: `${TIME_PATTERN}|${VARIABLE}`,
    // The one number that needs no unit.
    minimum: 0,
    maximum: 0,
    default: fallback,
  };
  return converted({ schema, print: formatDuration }, TIME_HINT, (value, issue) => {
    const ms = isScalar(value) ? parseDuration(value) : undefined;
    if (ms !== undefined && ms < minMs) issue(`it must be at least ${formatDuration(minMs)}`);
    if (ms !== undefined && ms > MAX_DURATION_MS) issue(`it must be at most ${formatDuration(MAX_DURATION_MS)}`);
    return ms;
  }).default(parseDuration(fallback) as number);
}

/** Also as text, since variables are text. */
export function count(min: number, max: number, fallback: number) {
  const schema = {
    title: "number",
    type: ["integer", "string"],
    minimum: min,
    maximum: max,
    pattern: `^\\d+$|${VARIABLE}`,
    default: fallback,
  };
  return converted({ schema }, `a whole number from ${min} to ${max}`, (value) => {
    const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
    return typeof number === "number" && Number.isInteger(number) && number >= min && number <= max
      ? number
      : undefined;
  }).default(fallback);
}

/** Also as text, since variables are text. */
export function flag(fallback: boolean) {
  const schema = {
    title: "boolean",
    type: ["boolean", "string"],
    pattern: `^(true|false)$|${VARIABLE}`,
    default: fallback,
  };
  return converted({ schema }, "true or false", (value) =>
    value === "true" || value === true ? true : value === "false" || value === false ? false : undefined,
  ).default(fallback);
}

export const text = (fallback: string) => z.string().default(fallback);

export const list = (fallback: string[]) => z.array(z.string()).default(fallback);

/** Becomes a part of file names and metric labels. */
export const name = () => {
  const pattern = "^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,62}$";
  return converted(
    { schema: { title: "name", type: "string", pattern: `${pattern}|${VARIABLE}` } },
    "1 to 63 letters, digits, dots, dashes or underscores, without a dot in front",
    (value) => (typeof value === "string" && new RegExp(pattern).test(value) ? value : undefined),
  );
};

/** As Google has them (cloud.google.com/resource-manager/docs/creating-managing-projects); old ones may name a domain. */
export const projectId = () => {
  const pattern = "^$|^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$";
  return converted(
    { schema: { title: "project ID", type: "string", pattern: `${pattern}|${VARIABLE}`, default: "" } },
    "the ID of a project, not its name or number: 6 to 30 lower-case letters, digits or dashes",
    (value) => (typeof value === "string" && new RegExp(pattern).test(value) ? value : undefined),
  ).default("");
};

/** @param fallback "": it may be empty. */
export function template(fallback?: string) {
  const schema = {
    title: "template",
    type: "string",
    ...(fallback === "" ? {} : { minLength: 1 }),
    ...(fallback === undefined ? {} : { default: fallback }),
  };
  const parsed = converted({ schema }, "a text, with placeholders such as {namespace} where wanted", (value, issue) => {
    if (typeof value !== "string" || (value === "" && fallback !== "")) return undefined;
    try {
      return parseTemplate(value);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      issue(error.message);
      return undefined;
    }
  });
  return fallback === undefined ? parsed : parsed.default(parseTemplate(fallback));
}

/** @param inHeader whether it goes into a header as it is, which takes no line breaks. */
export const secret = (inHeader: boolean) =>
  converted(
    {
      schema: {
        title: "secret",
        anyOf: [
          { type: "string", minLength: 1 },
          {
            type: "object",
            properties: { file: { type: "string", minLength: 1 } },
            required: ["file"],
            additionalProperties: false,
          },
        ],
      },
    },
    "a text that is not empty (digits in quotes), or { file: PATH } to read it from there",
    (value, issue) => {
      if (typeof value === "string" && value !== "") {
        if (inHeader && /[^\t\x20-\x7e\x80-\xff]/.test(value))
          issue("a line break, or another character that HTTP headers can't hold, must not be in it");
        return Secret.ofText(value);
      }
      const file =
        typeof value === "object" && value !== null && Object.keys(value).length === 1 && "file" in value && value.file;
      return typeof file === "string" && file !== "" ? Secret.ofFile(file) : undefined;
    },
  );

export const address = (fallback: string) => {
  const pattern = "^(\\[[0-9a-fA-F:.]+\\]|[^\\s:/\\[\\]]+):\\d{1,5}$";
  return converted(
    { schema: { title: "address", type: "string", pattern: `${pattern}|${VARIABLE}`, default: fallback } },
    "HOST:PORT, such as 0.0.0.0:9780 or [::1]:9780",
    (value) =>
      typeof value === "string" && new RegExp(pattern).test(value) && Number(value.split(":").at(-1)) < 65536
        ? value
        : undefined,
  ).default(fallback);
};

export const endpoint = () =>
  converted(
    { schema: { title: "URL", type: "string", pattern: `^https?://|${VARIABLE}` } },
    "a URL such as https://es:9200",
    (value, issue) => {
      if (typeof value !== "string" || !/^https?:\/\//.test(value) || !URL.canParse(value)) return undefined;
      const { username, password } = new URL(value);
      if (username !== "" || password !== "") issue("a URL must hold no user or password: put them under auth");
      return value.replace(/\/+$/, "");
    },
  );
