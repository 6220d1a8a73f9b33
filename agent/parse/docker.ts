/**
 * Lines of docker's json-file log driver (moby daemon/logger/jsonfilelog).
 *
 *     {"log":"hello\n","stream":"stdout","time":"2026-03-01T10:00:00.123456789Z"}
 *
 * `log` and `stream` are left out when empty, `attrs` may stand before `time`; keys are taken in any order, unknown
 * ones are skipped, the last of equal ones counts. A message ends with the part whose `log` ends with a newline.
 * Inside strings any raw byte is taken as it is. A line that is no such object is left to be shipped whole.
 */
import { STDERR } from "../batch.ts";
import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  CR,
  LOWER_E,
  LOWER_N,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  SPACE,
  TAB,
} from "./ascii.ts";
import type { Line } from "./line.ts";
import type { TimeParser } from "./time.ts";

const HEAD = Buffer.from('{"log":"');
const STDOUT_TIME = Buffer.from('","stream":"stdout","time":"');
const STDERR_TIME = Buffer.from('","stream":"stderr","time":"');
/** Where the two above differ first. */
const STREAM_LETTER = STDOUT_TIME.indexOf("out");

const KEY_LOG = Buffer.from("log");
const KEY_STREAM = Buffer.from("stream");
const KEY_TIME = Buffer.from("time");
const NAME_STDOUT = Buffer.from("stdout");
const NAME_STDERR = Buffer.from("stderr");

/** Parses bytes[from, to), a line without its LF. @returns false, and `line.error`, when it is no docker line. */
export function parseDocker(bytes: Buffer, from: number, to: number, time: TimeParser, line: Line): boolean {
  if (!startsWith(bytes, from, HEAD)) return parseDockerSlow(bytes, from, to, time, line);
  const start = from + HEAD.length;
  let quote = bytes.indexOf(QUOTE, start);
  if (quote < 0 || quote >= to) return refuse(line, "not a docker line: not a whole JSON object");
  // Mostly the only escape is the newline at the end. There is one, so the search for the first can't run far.
  const newline = quote - 2;
  const ended = newline >= start && bytes[newline] === BACKSLASH && bytes[newline + 1] === LOWER_N;
  const plain = ended && bytes.indexOf(BACKSLASH, start) === newline;
  if (!plain) quote = endOfString(bytes, start, to);
  const stderr = bytes[quote + STREAM_LETTER] === LOWER_E;
  if (quote >= to || !startsWith(bytes, quote, stderr ? STDERR_TIME : STDOUT_TIME)) {
    return parseDockerSlow(bytes, from, to, time, line);
  }
  const end = time.parse(bytes, quote + STDOUT_TIME.length, to);
  if (end < 0 || end + 2 !== to || bytes[end] !== QUOTE || bytes[end + 1] !== CLOSE_BRACE) {
    return parseDockerSlow(bytes, from, to, time, line);
  }
  line.flags = stderr ? STDERR : 0;
  line.from = start;
  line.to = plain ? newline : quote;
  line.escaped = !plain;
  line.partial = false;
  return true;
}

/** Any other order and number of keys. */
function parseDockerSlow(bytes: Buffer, from: number, to: number, time: TimeParser, line: Line): boolean {
  const broken = "not a docker line: not a whole JSON object";
  if (from >= to || bytes[from] !== OPEN_BRACE) return refuse(line, broken);
  line.flags = 0;
  line.from = line.to = from;
  line.escaped = true;
  let timeFrom = -1;
  let logKnown = true;
  let streamKnown = true;
  let at = skipBlanks(bytes, from + 1, to);
  if (at < to && bytes[at] === CLOSE_BRACE) return refuse(line, "not a docker line: no time");
  for (;;) {
    if (at >= to || bytes[at] !== QUOTE) return refuse(line, broken);
    const key = at + 1;
    const keyEnd = endOfString(bytes, key, to);
    at = skipBlanks(bytes, keyEnd + 1, to);
    if (at >= to || bytes[at] !== COLON) return refuse(line, broken);
    const value = skipBlanks(bytes, at + 1, to);
    const valueEnd = skipValue(bytes, value, to);
    if (valueEnd < 0 || valueEnd > to) return refuse(line, broken);
    const isString = bytes[value] === QUOTE;
    if (equals(bytes, key, keyEnd, KEY_LOG)) {
      logKnown = isString;
      line.from = value + 1;
      line.to = valueEnd - 1;
    } else if (equals(bytes, key, keyEnd, KEY_STREAM)) {
      const empty = valueEnd - value === 2;
      const stderr = equals(bytes, value + 1, valueEnd - 1, NAME_STDERR);
      streamKnown = isString && (empty || stderr || equals(bytes, value + 1, valueEnd - 1, NAME_STDOUT));
      line.flags = stderr ? STDERR : 0;
    } else if (equals(bytes, key, keyEnd, KEY_TIME)) {
      timeFrom = isString && time.parse(bytes, value + 1, valueEnd - 1) === valueEnd - 1 ? value + 1 : -1;
    }
    at = skipBlanks(bytes, valueEnd, to);
    if (at < to && bytes[at] === CLOSE_BRACE) break;
    if (at >= to || bytes[at] !== COMMA) return refuse(line, broken);
    at = skipBlanks(bytes, at + 1, to);
  }
  if (skipBlanks(bytes, at + 1, to) !== to) return refuse(line, "not a docker line: more follows the JSON object");
  if (timeFrom < 0) return refuse(line, "not a docker line: no time");
  if (!logKnown) return refuse(line, "not a docker line: log is not a string");
  if (!streamKnown) return refuse(line, "not a docker line: neither stdout nor stderr");
  return true;
}

/** The position of the quote that ends the string whose inside begins at `at`; `to` or more when there is none. */
function endOfString(bytes: Uint8Array, at: number, to: number): number {
  while (at < to && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}

/** The end of the JSON value at `at`; -1 or more than `to` when there is none. Brackets are counted, not matched: nobody asks what is in there. */
function skipValue(bytes: Uint8Array, at: number, to: number): number {
  const from = at;
  let depth = 0;
  while (at < to) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      at = endOfString(bytes, at + 1, to) + 1;
      if (depth === 0) return at;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth++;
      at++;
    } else if (depth === 0) {
      return skipScalar(bytes, from, to);
    } else {
      at++;
      if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && --depth === 0) return at;
    }
  }
  return -1;
}

/** The end of a number, true, false or null: whatever stands before a blank, a comma, a quote or a bracket. */
function skipScalar(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  for (; at < to; at++) {
    const byte = bytes[at]!;
    if (byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET || byte === QUOTE || isBlank(byte)) break;
  }
  return at > from ? at : -1;
}

function skipBlanks(bytes: Uint8Array, at: number, to: number): number {
  while (at < to && isBlank(bytes[at]!)) at++;
  return at;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === CR;
}

function startsWith(bytes: Uint8Array, at: number, pattern: Uint8Array): boolean {
  for (let i = 0; i < pattern.length; i++) if (bytes[at + i] !== pattern[i]) return false;
  return true;
}

function equals(bytes: Uint8Array, from: number, to: number, pattern: Uint8Array): boolean {
  return to - from === pattern.length && startsWith(bytes, from, pattern);
}

function refuse(line: Line, error: string): false {
  line.error = error;
  return false;
}
