/**
 * Severity: finds how serious a record is, on one scale for all outputs (`SEVERITIES`): a parsed field, klog's letter, a
 * usual word at a usual place, else the default for its stream. What a parser found already stays.
 *
 *   E0924 12:00:00.000000       1 main.go:12] …      klog: error
 *   2026-09-24 12:00:00,000 WARN  [main] …           a word in capitals, alone
 *   [error] …    error: …    level=error …    "level":"error"
 *
 * Looks at the first 128 bytes of a message; makes no string.
 */
import { type Rows, SEVERITIES, STDERR } from "../batch.ts";
import type { Fields } from "../fields.ts";
import { wanted } from "./match.ts";
import { type Match, OUT, type Processor } from "./processor.ts";

export type SeverityName = (typeof SEVERITIES)[number];

export function severityLevel(name: string): number {
  return Math.max(0, (SEVERITIES as readonly string[]).indexOf(name));
}

const WORDS: Readonly<Record<string, SeverityName>> = {
  trace: "trace",
  trc: "trace",
  finest: "trace",
  finer: "trace",
  verbose: "debug",
  debug: "debug",
  dbg: "debug",
  fine: "debug",
  info: "info",
  inf: "info",
  information: "info",
  informational: "info",
  notice: "notice",
  warn: "warn",
  wrn: "warn",
  warning: "warn",
  error: "error",
  err: "error",
  severe: "error",
  critical: "critical",
  crit: "critical",
  fatal: "critical",
  ftl: "critical",
  panic: "critical",
  alert: "alert",
  emergency: "emergency",
  emerg: "emergency",
};
/** What a word means where it is in text: "fine" and "alert" are English, too. */
const ENGLISH = new Set(["fine", "finer", "finest", "alert", "notice", "inf", "severe"]);
const LETTERS: Readonly<Record<string, SeverityName>> = {
  t: "trace",
  d: "debug",
  i: "info",
  n: "notice",
  w: "warn",
  e: "error",
  f: "critical",
  c: "critical",
};

const LONGEST = 13;
const LOOK_BYTES = 128;
const QUOTE = 0x22;
const COLON = 0x3a;
const EQUALS = 0x3d;
const BRACKET = 0x5b;
const SPACE = 0x20;

/** By a hash of the letters in lower case; words are few enough for it to be perfect, which is checked. */
interface Word {
  readonly letters: Buffer;
  readonly level: number;
  readonly english: boolean;
}
const byHash: (Word | undefined)[] = new Array(4096);
for (const [word, severity] of Object.entries(WORDS)) {
  const letters = Buffer.from(word);
  const hash = hashOf(letters, 0, letters.length);
  if (byHash[hash] !== undefined) throw new Error(`two words of severity have the hash ${hash}`);
  byHash[hash] = { letters, level: severityLevel(severity), english: ENGLISH.has(word) };
}

function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0;
  for (let at = from; at < to; at++) hash = (hash * 33 + (bytes[at]! | SPACE)) & 0xffff;
  return (hash ^ (hash >> 4)) & 4095;
}

function wordAt(bytes: Uint8Array, from: number, to: number): Word | undefined {
  const word = byHash[hashOf(bytes, from, to)];
  if (word === undefined || word.letters.length !== to - from) return undefined;
  for (let i = 0; i < word.letters.length; i++) if ((bytes[from + i]! | SPACE) !== word.letters[i]) return undefined;
  return word;
}

/** What severity a field's value is; 0: none. The value is JSON text: a word, a letter, or a number. */
export function severityOfValue(bytes: Buffer, from: number, to: number): number {
  const quoted = bytes[from] === QUOTE;
  const start = quoted ? from + 1 : from;
  const end = quoted ? to - 1 : to;
  const length = end - start;
  if (length < 1 || length > LONGEST) return 0;
  const first = bytes[start]! | SPACE;
  if (first >= 0x61 && first <= 0x7a) {
    if (!quoted) return 0;
    if (length === 1) return severityLevel(LETTERS[String.fromCharCode(first)] ?? "");
    return wordAt(bytes, start, end)?.level ?? 0;
  }
  return severityOfNumber(Number(bytes.toString("latin1", start, end)));
}

/** Below 8 syslog's (0 is emergency, RFC 5424), from 10 on those of pino and bunyan (10 is trace, 60 fatal). */
function severityOfNumber(level: number): number {
  if (!Number.isInteger(level) || level < 0) return 0;
  const syslog = ["emergency", "alert", "critical", "error", "warn", "notice", "info", "debug"];
  const tens = ["", "trace", "debug", "info", "warn", "error", "critical"];
  const name = level < 8 ? syslog[level] : level < 10 ? "" : tens[Math.min(6, Math.floor(level / 10))];
  return severityLevel(name ?? "");
}

/** What a message says of its severity; 0: nothing. */
export function severityOfMessage(bytes: Buffer, from: number, to: number): number {
  const klog = klogLevel(bytes, from, to);
  if (klog !== 0) return klog;
  const end = Math.min(to, from + LOOK_BYTES);
  for (let at = from; at < end; ) {
    const byte = bytes[at]! | SPACE;
    if (byte < 0x61 || byte > 0x7a) {
      at++;
      continue;
    }
    const start = at;
    while (at < end && isWordByte(bytes[at]!)) at++;
    if (at - start < 3 || at - start > LONGEST || (at === end && end < to && isWordByte(bytes[end]!))) continue;
    const word = wordAt(bytes, start, at);
    if (word !== undefined && isUsualPlace(bytes, from, start, at, to, word.english)) return word.level;
  }
  return 0;
}

function isWordByte(byte: number): boolean {
  const letter = byte | SPACE;
  return (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x5f || byte === 0x2d;
}

/** In capitals, in brackets, before a colon at the beginning, or the value of a level. */
function isUsualPlace(bytes: Buffer, from: number, start: number, end: number, to: number, english: boolean): boolean {
  let before = start > from ? bytes[start - 1]! : SPACE;
  const after = end < to ? bytes[end]! : SPACE;
  if (before === BRACKET && after === 0x5d) return true;
  let nameEnd = start - 1;
  while (nameEnd >= from && (before === QUOTE || before === SPACE)) before = --nameEnd >= from ? bytes[nameEnd]! : 0;
  if (before === EQUALS || before === COLON) {
    while (nameEnd > from && (bytes[nameEnd - 1] === QUOTE || bytes[nameEnd - 1] === SPACE)) nameEnd--;
    if (isLevelName(bytes, from, nameEnd)) return true;
  }
  if (english) return false;
  if (start === from && after === COLON) return true;
  // HTTP/1.1 ERROR-CODE and ERROR=1 are something else.
  return isCapital(bytes, start, end) && after !== EQUALS && (start === from || !isGlued(bytes[start - 1]!));
}

function isGlued(byte: number): boolean {
  return byte === 0x2e || byte === 0x2f || byte === 0x2d || byte === EQUALS || byte === 0x25;
}

function isCapital(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at]! > 0x5a) return false;
  return true;
}

const LEVEL_NAMES = ["level", "lvl", "severity", "loglevel", "levelname"].map((name) => Buffer.from(name));

function isLevelName(bytes: Buffer, from: number, to: number): boolean {
  next: for (const name of LEVEL_NAMES) {
    const start = to - name.length;
    if (start < from || (start > from && isWordByte(bytes[start - 1]!))) continue;
    for (let i = 0; i < name.length; i++) if ((bytes[start + i]! | SPACE) !== name[i]) continue next;
    return true;
  }
  return false;
}

/** Lmmdd hh:mm: the letter is one of I, W, E, F (k8s.io/klog). */
function klogLevel(bytes: Buffer, from: number, to: number): number {
  if (to - from < 12 || bytes[from + 5] !== SPACE || bytes[from + 8] !== COLON) return 0;
  for (let i = 1; i < 5; i++) if (bytes[from + i]! < 0x30 || bytes[from + i]! > 0x39) return 0;
  switch (bytes[from]) {
    case 0x49:
      return severityLevel("info");
    case 0x57:
      return severityLevel("warn");
    case 0x45:
      return severityLevel("error");
    case 0x46:
      return severityLevel("critical");
    default:
      return 0;
  }
}

/** Where libraries put their level, the usual first. */
const FIELD_NAMES = ["level", "severity", "log.level", "lvl", "loglevel", "levelname", "severity_text", "@l"].map(
  (name) => Buffer.from(name),
);

function severityOfFields(fields: Fields, bytes: Buffer, row: number): number {
  for (const name of FIELD_NAMES) {
    const member = fields.find(bytes, row, name);
    const level = member < 0 ? 0 : severityOfValue(bytes, fields.valueFrom(member), fields.valueTo(member));
    if (level > 0) return level;
  }
  return 0;
}

export class SeverityFinder implements Processor {
  readonly name = "severity";
  readonly #stdout: number;
  readonly #stderr: number;
  readonly #match: Match | undefined;

  constructor(stdout: SeverityName, stderr: SeverityName, match: Match | undefined) {
    this.#stdout = severityLevel(stdout);
    this.#stderr = severityLevel(stderr);
    this.#match = match;
  }

  process(rows: Rows): void {
    const want = wanted(this.#match, rows);
    if (want === false) return;
    const severity = rows.severities();
    for (let row = 0; row < rows.rows; row++) {
      if (severity[row] !== 0 || ((rows.flags[row] as number) & OUT) !== 0 || (want !== true && !want(row))) continue;
      const { fields, bytes } = rows;
      let level = fields !== undefined && fields.count[row] !== 0 ? severityOfFields(fields, bytes, row) : 0;
      if (level === 0) level = severityOfMessage(bytes, rows.from[row] as number, rows.to[row] as number);
      if (level === 0) level = ((rows.flags[row] as number) & STDERR) !== 0 ? this.#stderr : this.#stdout;
      severity[row] = level;
    }
  }
}
