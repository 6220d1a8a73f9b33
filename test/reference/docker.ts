/** The slow twin of agent/parse/{docker,unescape}.ts, over text whose characters are bytes. */
import { parseTime, type Time } from "./time.ts";

export interface DockerLine {
  stream: "stdout" | "stderr";
  time: Time;
  /** As bytes. */
  log: string;
}

/** The parts of a docker line, or undefined. */
export function parseDockerLine(text: string): DockerLine | undefined {
  const string = String.raw`"(?:[^"\\]|\\[\s\S])*"`;
  const object = /^\{[ \t\r]*(?:\}|(?=")([\s\S]*))$/.exec(text);
  if (object === null) return undefined;
  const values = new Map<string, string>();
  let rest = object[1];
  if (rest === undefined) return undefined; // no time in an empty object
  for (;;) {
    const key = new RegExp(`^(${string})[ \\t\\r]*:[ \\t\\r]*`).exec(rest);
    if (key === null) return undefined;
    rest = rest.slice(key[0].length);
    const length = valueLength(rest);
    if (length === 0) return undefined;
    values.set(key[1]!.slice(1, -1), rest.slice(0, length));
    const after = /^[ \t\r]*([,}])[ \t\r]*/.exec(rest.slice(length));
    if (after === null) return undefined;
    rest = rest.slice(length + after[0].length);
    if (after[1] === "}") break;
  }
  const log = unquote(values.get("log") ?? '""');
  const stream = values.get("stream") ?? '""';
  const time = parseTime(/^"(.*)"$/.exec(values.get("time") ?? "")?.[1] ?? "");
  if (rest !== "" || log === undefined || time === undefined) return undefined;
  if (stream !== '""' && stream !== '"stdout"' && stream !== '"stderr"') return undefined;
  return { stream: stream === '"stderr"' ? "stderr" : "stdout", time, log };
}

/** How long the JSON value at the beginning of `text` is; 0 when there is none. Brackets are counted, not matched. */
function valueLength(text: string): number {
  const token = /"(?:[^"\\]|\\[\s\S])*"|[{[]|[}\]]|[^"{}[\]]/y;
  const scalar = /^[^ \t\r,{}[\]"][^ \t\r,}\]"]*/.exec(text);
  if (scalar !== null) return scalar[0].length;
  let depth = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    if (/^[{[]$/.test(match[0])) depth++;
    else if (/^[}\]]$/.test(match[0])) depth--;
    else if (depth === 0 && match[0].length === 1) return 0;
    if (depth < 0) return 0;
    if (depth === 0) return token.lastIndex;
  }
  return 0;
}

/** The bytes that a JSON string means; undefined when it is no string or has an escape that JSON has not. */
function unquote(text: string): string | undefined {
  const sequence = String.raw`\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})`;
  if (!new RegExp(`^"(?:[^"\\\\]|${sequence})*"$`).test(text)) return undefined;
  const run = new RegExp(`(?:${sequence})+`, "g");
  return text.slice(1, -1).replace(run, (escapes) => {
    // A whole run at once, so that pairs of surrogates stay together.
    const characters = JSON.parse(`"${escapes}"`) as string;
    return Buffer.from(characters.toWellFormed()).toString("latin1");
  });
}
