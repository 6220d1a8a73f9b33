/**
 * klog: the log of Kubernetes' own components.
 *
 *     I1123 23:52:42.890297       1 main.go:270] "Pod synced" pod="kube-system/coredns-0" took="0s"
 *     W1123 23:52:42.890590       1 main.go:271] watch closed: unexpected EOF
 *     Lmmdd hh:mm:ss.uuuuuu threadid file:line] text
 *
 * Members: level, time (it has no year and no zone), pid, file, line, message; of structured messages their pairs too.
 * A value of several lines stands between `<` and ` >`, each line behind a tab; whoever wants it whole joins the lines
 * first (multiline: { start: '/^[IWEF]\d{4} /' }).
 */
import type { Rows } from "../batch.ts";
import type { Fields } from "../fields.ts";
import { CLOSE_BRACKET, COLON, LF, QUOTE, SPACE, TAB } from "../parse/ascii.ts";
import {
  addNumber,
  addQuoted,
  addText,
  appendText,
  endOfQuoted,
  type Format,
  hasShape,
  isDigit,
  MOST_MEMBERS,
} from "./format.ts";
import { addPairs } from "./logfmt.ts";
import { Names } from "./names.ts";

const LEVEL = 0;
const TIME = 1;
const PID = 2;
const FILE = 3;
const LINE = 4;
const MESSAGE = 5;
/** By the letter; behind the names of members there are the words for levels, in quotes. */
const LEVELS = ["I", "W", "E", "F"].map((letter) => letter.charCodeAt(0));
const INFO = 6;
/** "mmdd hh:mm:ss.uuuuuu " */
const SHAPE = "0000 00:00:00.000000 ";
const LESS = 0x3c;
const EQUALS = 0x3d;
const GREATER = 0x3e;

export class KlogFormat implements Format {
  readonly severityName = "level";
  readonly #names = new Names([
    ...["level", "time", "pid", "file", "line", "message"],
    ...['"info"', '"warning"', '"error"', '"fatal"'],
  ]);

  begin(): void {
    this.#names.forget();
  }

  parse(rows: Rows, from: number, to: number, fields: Fields): boolean {
    const { bytes } = rows;
    const level = LEVELS.indexOf(bytes[from]!);
    if (level < 0 || !hasShape(bytes, from + 1, to, SHAPE)) return false;
    let at = from + 1 + SHAPE.length;
    while (at < to && bytes[at] === SPACE) at++;
    const pid = at;
    while (at < to && isDigit(bytes[at]!)) at++;
    if (at === pid || at >= to || bytes[at] !== SPACE) return false;
    const pidTo = at;
    const file = at + 1;
    const bracket = bytes.subarray(0, to).indexOf(CLOSE_BRACKET, file);
    if (bracket < 0) return false;
    let colon = bracket - 1;
    while (colon > file && isDigit(bytes[colon]!)) colon--;
    if (colon === file || bytes[colon] !== COLON || colon === bracket - 1) return false;
    for (at = file; at < colon; at++) if (bytes[at]! <= SPACE) return false;
    const names = this.#names;
    names.place(rows);
    fields.add(names.from(LEVEL), names.to(LEVEL), names.from(INFO + level), names.to(INFO + level));
    addText(rows, fields, names.from(TIME), names.to(TIME), from + 1, from + SHAPE.length);
    addNumber(rows, fields, names.from(PID), names.to(PID), pid, pidTo);
    addText(rows, fields, names.from(FILE), names.to(FILE), file, colon);
    addNumber(rows, fields, names.from(LINE), names.to(LINE), colon + 1, bracket);
    const text = bytes[bracket + 1] === SPACE && bracket + 1 < to ? bracket + 2 : bracket + 1;
    this.#addMessage(rows, text, to, fields);
    return true;
  }

  /** A text in quotes and its pairs; where that is not what stands there, all of it as it is. */
  #addMessage(rows: Rows, from: number, to: number, fields: Fields): void {
    const mark = fields.used;
    const names = this.#names;
    const end = from < to && rows.bytes[from] === QUOTE ? endOfQuoted(rows.bytes, from, to) : -1;
    if (end > 0) {
      addQuoted(rows, fields, names.from(MESSAGE), names.to(MESSAGE), from, end);
      if (addKlogPairs(rows, end, to, fields)) return;
      fields.used = mark;
    }
    addText(rows, fields, names.from(MESSAGE), names.to(MESSAGE), from, to);
  }
}

/** Pairs, of which some may have a value of several lines. */
function addKlogPairs(rows: Rows, from: number, to: number, fields: Fields): boolean {
  const most = fields.used + MOST_MEMBERS;
  let at = from;
  for (;;) {
    if (fields.used > most) return false;
    const open = blockAt(rows.bytes, at, to);
    if (!addPairs(rows, at, open < 0 ? to : nameBefore(rows.bytes, open), fields)) return false;
    if (open < 0) return true;
    const close = rows.bytes.subarray(0, to).indexOf(BLOCK_END, open + 2);
    if (close < 0) return false;
    addBlock(rows, fields, nameBefore(rows.bytes, open), open, open + 2, close);
    at = close + BLOCK_END.length;
  }
}

const BLOCK_BEGIN = Buffer.of(EQUALS, LESS, LF);
const BLOCK_END = Buffer.of(LF, SPACE, GREATER);

/** Where the next `=<` stands that ends a line; -1 when there is none. */
function blockAt(bytes: Buffer, from: number, to: number): number {
  return bytes.subarray(0, to).indexOf(BLOCK_BEGIN, from);
}

/** Where the name before the `=` at `at` begins. */
function nameBefore(bytes: Buffer, at: number): number {
  let from = at;
  while (bytes[from - 1]! > SPACE && bytes[from - 1] !== QUOTE) from--;
  return from;
}

/** Adds the lines bytes[from, to), each behind the tab that klog puts before it, as one text. */
function addBlock(rows: Rows, fields: Fields, name: number, nameTo: number, from: number, to: number): void {
  const text = rows.used;
  rows.reserve(to - from);
  for (let at = from + 1; at < to; at++) {
    const byte = rows.bytes[at]!;
    if (byte !== TAB || rows.bytes[at - 1] !== LF) rows.bytes[rows.used++] = byte;
  }
  const value = rows.used;
  appendText(rows, text, value);
  fields.add(name, nameTo, value, rows.used);
}
