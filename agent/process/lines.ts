/** Kinds of lines that stack traces are made of, for the tables of presets.ts. */
import { SPACE, TAB, ZERO } from "../parse/ascii.ts";
import type { LineTest } from "./trace.ts";

const HASH = 0x23;
const COLON = 0x3a;
const OPEN = 0x28;
const CLOSE = 0x29;
const CARET = 0x5e;
const APOSTROPHE = 0x27;
const SERVING = Buffer.from("http: panic serving ");

/** Of path:LINE, so far is looked for it; a path is no longer on Linux. */
const LONGEST_PATH = 4096;

type Matches = LineTest["matches"];

function test(first: (byte: number) => boolean, matches: Matches, empty = false): LineTest {
  return { first: Uint8Array.from({ length: 256 }, (_, byte) => (first(byte) ? 1 : 0)), matches, empty };
}

const isBlank = (byte: number): boolean => byte === SPACE || byte === TAB;
const always: Matches = () => true;

function skipBlanks(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && isBlank(bytes[at]!)) at++;
  return at;
}

/** Nothing but blanks. */
export const blank: LineTest = test(isBlank, (bytes, from, to) => skipBlanks(bytes, from, to) === to, true);
/** Any line with something in it. */
export const solid: LineTest = test(always as () => boolean, (bytes, from, to) => skipBlanks(bytes, from, to) < to);
/** Any line at all. */
export const anything: LineTest = test(() => true, always, true);
/** A line with something in it that does not begin with a blank. */
export const flush: LineTest = test((byte) => !isBlank(byte), always);

/** One of these texts stands at the line's beginning. */
export function begins(...texts: readonly string[]): LineTest {
  const all = texts.map((text) => Buffer.from(text));
  return test(
    (byte) => all.some((text) => text[0] === byte),
    (bytes, from, to) => all.some((text) => beginsWith(bytes, from, to, text)),
  );
}

/** Blanks, and behind them something; where a text is given, it. */
export function indented(text = ""): LineTest {
  const wanted = Buffer.from(text);
  return test(isBlank, (bytes, from, to) => {
    const at = skipBlanks(bytes, from, to);
    return at < to && beginsWith(bytes, at, to, wanted);
  });
}

/** "#0 ", "#12 " … */
export const numbered: LineTest = test(
  (byte) => byte === HASH,
  (bytes, from, to) => {
    const at = skipDigits(bytes, from + 1, to);
    return at > from + 1 && at < to && bytes[at] === SPACE;
  },
);

/** Go's "goroutine 1 [running]:", also with its thread: "goroutine 1 gp=0xc000002380 m=0 mp=0x5a5a20 [running]:". */
export const goroutine: LineTest = begins(...Array.from({ length: 10 }, (_, digit) => `goroutine ${digit}`));

/** Go's "main.(*T).call(0x1, {0x2, 0x3})", "main.f(...)": no blank before the first bracket, and one at the end. */
export const goCall: LineTest = test(
  (byte) => !isBlank(byte),
  (bytes, from, to) => {
    if (bytes[to - 1] !== CLOSE) return false;
    for (let at = from; at < to; at++) {
      if (bytes[at] === OPEN) return at > from;
      if (bytes[at] === SPACE) return false;
    }
    return false;
  },
);

/** Go's registers after a signal: "rax    0x0". */
export const goRegister: LineTest = test(
  (byte) => byte >= 0x61 && byte <= 0x7a,
  (bytes, from, to) => {
    let at = from;
    while (at < to && bytes[at] !== SPACE) at++;
    return at - from <= 6 && beginsWith(bytes, skipBlanks(bytes, at, to), to, Buffer.from("0x"));
  },
);

/** Node's "/srv/app/server.js:4" and "node:internal/process/promises:288": a source file's name and a line, no more. */
export const nodePosition: LineTest = test(
  (byte) => byte === 0x2f || byte === 0x66 || byte === 0x6e,
  (bytes, from, to) => {
    let at = to;
    while (at > from && isDigit(bytes[at - 1]!)) at--;
    if (at === to || at === from || bytes[at - 1] !== COLON || at - from > LONGEST_PATH) return false;
    const path = Buffer.from(bytes.buffer, bytes.byteOffset + from, at - 1 - from).toString("latin1");
    return /^node:[\w/]+$|^(?:\/|file:\/\/).*\.[cm]?[jt]sx?$/.test(path);
  },
);

/** Node's mark below the source line: blanks and carets. */
export const carets: LineTest = test(
  (byte) => isBlank(byte) || byte === CARET,
  (bytes, from, to) => {
    const at = skipBlanks(bytes, from, to);
    return at < to && bytes[at] === CARET;
  },
);

/** net/http's "2026/11/23 23:52:47 http: panic serving …", behind the stamps that package log makes. */
export const goServing: LineTest = test(
  (byte) => isDigit(byte) || byte === SERVING[0],
  (bytes, from, to) => [0, 20, 27].some((stamp) => beginsWith(bytes, from + stamp, to, SERVING)),
);

/** Ruby's "app/models/row.rb:4:in `load'", and nothing more. */
export const rubyFrame: LineTest = test(
  (byte) => !isBlank(byte),
  (bytes, from, to) => bytes[to - 1] === APOSTROPHE && endOfRubyPlace(bytes, from, to) > 0,
);

/** Ruby's "/srv/app.rb:4:in `load': cannot load x4 (OrderError)". */
export const rubyRaise: LineTest = test(
  (byte) => !isBlank(byte),
  (bytes, from, to) => {
    const end = Math.min(to, from + LONGEST_PATH);
    for (let at = endOfRubyPlace(bytes, from, to); at > 0 && at < end; at++) {
      if (bytes[at] === APOSTROPHE && beginsWith(bytes, at + 1, to, RUBY_SAYS)) return true;
    }
    return false;
  },
);
const RUBY_IN = Buffer.from(":in ");
const RUBY_SAYS = Buffer.from(": ");

/** Behind "app.rb:4:in ", or -1. */
function endOfRubyPlace(bytes: Uint8Array, from: number, to: number): number {
  const end = Math.min(to, from + LONGEST_PATH);
  for (let at = from; at < end && !isBlank(bytes[at]!); at++) {
    if (bytes[at] !== COLON) continue;
    const digits = skipDigits(bytes, at + 1, to);
    if (digits > at + 1 && beginsWith(bytes, digits, to, RUBY_IN)) return digits + RUBY_IN.length;
  }
  return -1;
}

function beginsWith(bytes: Uint8Array, from: number, to: number, text: Uint8Array): boolean {
  if (to - from < text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text[i]) return false;
  return true;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}

function skipDigits(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && isDigit(bytes[at]!)) at++;
  return at;
}
