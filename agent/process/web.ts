/**
 * The logs of web servers.
 *
 *     access, common and combined; more may follow (nginx's own format adds "$http_x_forwarded_for"):
 *     127.0.0.1 - bob [23/Nov/2026:23:52:47 +0000] "GET /a?b=c HTTP/1.1" 200 153 "http://example.com/" "curl/8.1"
 *     nginx, errors:
 *     2026/11/23 23:52:47 [error] 11#11: *1 open() "/srv/x" failed (2: …), client: 127.0.0.1, server: , host: "x"
 *     apache, errors:
 *     [Tue Nov 24 10:42:29.902022 2026] [core:error] [pid 35:tid 43] [client 10.0.0.9:4711] AH00126: Invalid URI
 *
 * Texts stay as the server wrote them, with its escapes (\x22). Where there is nothing but "-", there is no member. Of an
 * access line the message stays whole; of an error it is the text.
 */
import type { Rows } from "../batch.ts";
import type { Fields } from "../fields.ts";
import { CLOSE_BRACKET, COLON, COMMA, MINUS, OPEN_BRACKET, QUOTE, SPACE } from "../parse/ascii.ts";
import { addNumber, addText, endOfQuoted, type Format, hasShape, isDigit } from "./format.ts";
import { Names } from "./names.ts";

const HASH = 0x23;
const STAR = 0x2a;
const NAMES = [
  ...["client", "identity", "user", "time", "request", "method", "path", "protocol", "status", "bytes", "referrer"],
  ...["agent", "level", "pid", "tid", "connection", "message", "module", "server", "upstream", "host"],
] as const;
type Name = (typeof NAMES)[number];
/** Where each stands among the names. */
const AT = Object.fromEntries(NAMES.map((name, i) => [name, i])) as Record<Name, number>;
/** What nginx tells of the request behind an error's text. */
const CONTEXT: readonly Name[] = ["client", "server", "request", "upstream", "host", "referrer"];
const CLIENT = Buffer.from(", client: ");

class WebFormat {
  readonly severityName = "level";
  /** Of the last message: an access line tells nothing twice, an error may. */
  unique = false;
  readonly #names = new Names(NAMES);

  begin(): void {
    this.#names.forget();
  }

  /** Common, combined, and what begins like them. */
  protected parseAccess(rows: Rows, from: number, to: number, fields: Fields): boolean {
    const { bytes } = rows;
    this.unique = true;
    const client = endOfWord(bytes, from, to);
    const identity = endOfWord(bytes, client + 1, to);
    // A user's name may hold blanks; the time's bracket ends it.
    const open = identity < to ? bytes.subarray(0, to).indexOf(OPEN_BRACKET, identity + 1) : -1;
    if (client === from || open < 0 || open - 1 <= identity + 1 || bytes[open - 1] !== SPACE) return false;
    const close = bytes.subarray(0, to).indexOf(CLOSE_BRACKET, open);
    if (close < 0 || close + 2 >= to || bytes[close + 1] !== SPACE || bytes[close + 2] !== QUOTE) return false;
    const request = close + 2;
    const requestTo = endOfQuoted(bytes, request, to);
    if (requestTo < 0 || requestTo >= to || bytes[requestTo] !== SPACE) return false;
    const status = requestTo + 1;
    const statusTo = endOfWord(bytes, status, to);
    const size = statusTo + 1;
    const sizeTo = endOfWord(bytes, size, to);
    if (!isNumber(bytes, status, statusTo) || (!isNumber(bytes, size, sizeTo) && !isNothing(bytes, size, sizeTo)))
      return false;
    this.text(rows, fields, AT.client, from, client);
    this.text(rows, fields, AT.identity, client + 1, identity);
    this.text(rows, fields, AT.user, identity + 1, open - 1);
    this.text(rows, fields, AT.time, open + 1, close);
    this.#request(rows, fields, request + 1, requestTo - 1);
    this.number(rows, fields, AT.status, status, statusTo);
    this.number(rows, fields, AT.bytes, size, sizeTo);
    const agent = this.#quoted(rows, fields, AT.referrer, sizeTo, to);
    if (agent > 0) this.#quoted(rows, fields, AT.agent, agent, to);
    return true;
  }

  protected text(rows: Rows, fields: Fields, name: number, from: number, to: number): void {
    if (isNothing(rows.bytes, from, to)) return;
    this.#names.place(rows);
    addText(rows, fields, this.#names.from(name), this.#names.to(name), from, to);
  }

  protected number(rows: Rows, fields: Fields, name: number, from: number, to: number): void {
    if (isNothing(rows.bytes, from, to)) return;
    this.#names.place(rows);
    addNumber(rows, fields, this.#names.from(name), this.#names.to(name), from, to);
  }

  /** "GET /a HTTP/1.1" in its parts; what is none stays whole. */
  #request(rows: Rows, fields: Fields, from: number, to: number): void {
    const { bytes } = rows;
    const method = endOfWord(bytes, from, to);
    const path = endOfWord(bytes, method + 1, to);
    const protocol = endOfWord(bytes, path + 1, to);
    if (!isMethod(bytes, from, method) || path <= method + 1 || path + 1 >= to || protocol !== to) {
      this.text(rows, fields, AT.request, from, to);
      return;
    }
    this.text(rows, fields, AT.method, from, method);
    this.text(rows, fields, AT.path, method + 1, path);
    this.text(rows, fields, AT.protocol, path + 1, protocol);
  }

  /** @returns the position behind a blank and a text in quotes at `at`; -1 when there is none. */
  #quoted(rows: Rows, fields: Fields, name: number, at: number, to: number): number {
    if (at + 1 >= to || rows.bytes[at] !== SPACE || rows.bytes[at + 1] !== QUOTE) return -1;
    const end = endOfQuoted(rows.bytes, at + 1, to);
    if (end > 0) this.text(rows, fields, name, at + 2, end - 1);
    return end;
  }
}

export class NginxFormat extends WebFormat implements Format {
  parse(rows: Rows, from: number, to: number, fields: Fields): boolean {
    this.unique = false;
    return this.#parseError(rows, from, to, fields) || this.parseAccess(rows, from, to, fields);
  }

  /** "2026/11/23 23:52:47 [error] 11#11: *1 text, client: …, host: "…"" */
  #parseError(rows: Rows, from: number, to: number, fields: Fields): boolean {
    const { bytes } = rows;
    const time = "0000/00/00 00:00:00 [";
    if (!hasShape(bytes, from, to, time)) return false;
    const level = from + time.length;
    const levelTo = endOfLetters(bytes, level, to);
    const pid = levelTo + 2;
    const pidTo = endOfNumber(bytes, pid, to);
    const tid = pidTo + 1;
    const tidTo = endOfNumber(bytes, tid, to);
    if (bytes[levelTo] !== CLOSE_BRACKET || bytes[pidTo] !== HASH || bytes[tidTo] !== COLON || tidTo >= to)
      return false;
    let at = skipBlank(bytes, tidTo + 1, to);
    this.text(rows, fields, AT.time, from, from + time.length - 2);
    this.text(rows, fields, AT.level, level, levelTo);
    this.number(rows, fields, AT.pid, pid, pidTo);
    this.number(rows, fields, AT.tid, tid, tidTo);
    const connection = endOfNumber(bytes, at + 1, to);
    if (at < to && bytes[at] === STAR && connection > at + 1 && connection < to && bytes[connection] === SPACE) {
      this.number(rows, fields, AT.connection, at + 1, connection);
      at = connection + 1;
    }
    const context = bytes.subarray(0, to).indexOf(CLIENT, at);
    const mark = fields.used;
    const known = context >= 0 && this.#context(rows, fields, context, to);
    if (!known) fields.used = mark;
    this.text(rows, fields, AT.message, at, known ? context : to);
    return true;
  }

  /**
   * ", client: 127.0.0.1, server: , request: "GET / HTTP/1.1", host: "x""; quotes within are not escaped.
   * @returns false when anything else is there, and so would get lost.
   */
  #context(rows: Rows, fields: Fields, from: number, to: number): boolean {
    let told = 0;
    for (let at = from; at < to; ) {
      // Each is told once.
      if (told++ === CONTEXT.length) return false;
      const key = at + 2;
      const keyTo = endOfLetters(rows.bytes, key, to);
      const name = contextName(rows.bytes, key, keyTo);
      const value = keyTo + 2;
      const blank = rows.bytes[keyTo] === COLON && rows.bytes[keyTo + 1] === SPACE;
      if (name === undefined || value > to || !blank) return false;
      at = nextContext(rows.bytes, value, to);
      if (value < at && rows.bytes[value] === QUOTE) {
        if (at < value + 2 || rows.bytes[at - 1] !== QUOTE) return false;
        this.text(rows, fields, AT[name], value + 1, at - 1);
      } else {
        if (rows.bytes.subarray(value, at).includes(COMMA)) return false;
        this.text(rows, fields, AT[name], value, at);
      }
    }
    return true;
  }
}

function contextName(bytes: Buffer, from: number, to: number): Name | undefined {
  return to - from > 10 ? undefined : CONTEXT.find((name) => name === bytes.toString("latin1", from, to));
}

/** Where the next ", NAME: " of nginx stands, or `to`. */
function nextContext(bytes: Buffer, from: number, to: number): number {
  for (let at = from; ; at++) {
    at = bytes.subarray(0, to).indexOf(COMMA, at);
    if (at < 0) return to;
    if (bytes[at + 1] !== SPACE) continue;
    const keyTo = endOfLetters(bytes, at + 2, to);
    if (keyTo < to && bytes[keyTo] === COLON && contextName(bytes, at + 2, keyTo) !== undefined) return at;
  }
}

export class ApacheFormat extends WebFormat implements Format {
  parse(rows: Rows, from: number, to: number, fields: Fields): boolean {
    this.unique = false;
    return rows.bytes[from] === OPEN_BRACKET
      ? this.#parseError(rows, from, to, fields)
      : this.parseAccess(rows, from, to, fields);
  }

  /** "[Tue Nov 24 10:42:29.902022 2026] [core:error] [pid 35:tid 43] [client 10.0.0.9:4711] AH00126: Invalid URI" */
  #parseError(rows: Rows, from: number, to: number, fields: Fields): boolean {
    const { bytes } = rows;
    const timeTo = bytes.subarray(0, to).indexOf(CLOSE_BRACKET, from);
    // "Tue Nov 24 10:42:29 2026", with a fraction or without.
    if (timeTo < from + 25 || timeTo > from + 35 || bytes[timeTo + 1] !== SPACE || bytes[timeTo + 2] !== OPEN_BRACKET)
      return false;
    const module = timeTo + 3;
    const levelTo = bytes.subarray(0, to).indexOf(CLOSE_BRACKET, module);
    if (levelTo < 0) return false;
    const colon = bytes.subarray(0, levelTo).indexOf(COLON, module);
    const level = colon < 0 ? module : colon + 1;
    // A trace has its number: trace1 … trace8.
    const word = endOfLetters(bytes, level, levelTo);
    if (word === level || (word < levelTo && endOfNumber(bytes, word, levelTo) !== levelTo)) return false;
    this.text(rows, fields, AT.time, from + 1, timeTo);
    if (colon > module) this.text(rows, fields, AT.module, module, colon);
    this.text(rows, fields, AT.level, level, levelTo);
    let at = levelTo + 1;
    // Process and client, each once.
    for (let brackets = 0; brackets < 2; brackets++) {
      const next = this.#bracket(rows, fields, at, to);
      if (next > 0) at = next;
    }
    this.text(rows, fields, AT.message, skipBlank(bytes, at, to), to);
    return true;
  }

  /** " [pid 35:tid 43]" and " [client 10.0.0.9:4711]". @returns its end; -1 when there is none. */
  #bracket(rows: Rows, fields: Fields, from: number, to: number): number {
    const { bytes } = rows;
    if (from + 2 >= to || bytes[from] !== SPACE || bytes[from + 1] !== OPEN_BRACKET) return -1;
    const end = bytes.subarray(0, to).indexOf(CLOSE_BRACKET, from);
    if (end < 0) return -1;
    const key = from + 2;
    const value = endOfLetters(bytes, key, end) + 1;
    if (bytes[value - 1] !== SPACE) return -1;
    switch (bytes.toString("latin1", key, Math.min(value - 1, key + 8))) {
      case "client":
        this.text(rows, fields, AT.client, value, end);
        return end + 1;
      case "pid": {
        const pidTo = endOfNumber(bytes, value, end);
        const hasTid = hasText(bytes, pidTo, end, ":tid ");
        if (pidTo === value || (hasTid ? !isNumber(bytes, pidTo + 5, end) : pidTo < end)) return -1;
        this.number(rows, fields, AT.pid, value, pidTo);
        if (hasTid) this.number(rows, fields, AT.tid, pidTo + 5, end);
        return end + 1;
      }
      default:
        return -1;
    }
  }
}

function endOfWord(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && bytes[at] !== SPACE) at++;
  return Math.min(at, to);
}

/** Behind the blank at `from`, where there is one. */
function skipBlank(bytes: Buffer, from: number, to: number): number {
  return from < to && bytes[from] === SPACE ? from + 1 : from;
}

function endOfNumber(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && isDigit(bytes[at]!)) at++;
  return at;
}

function endOfLetters(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to && (bytes[at]! | 0x20) >= 0x61 && (bytes[at]! | 0x20) <= 0x7a) at++;
  return at;
}

function isNumber(bytes: Buffer, from: number, to: number): boolean {
  return to > from && endOfNumber(bytes, from, to) === to;
}

/** Empty, or "-". */
function isNothing(bytes: Buffer, from: number, to: number): boolean {
  return to <= from || (to === from + 1 && bytes[from] === MINUS);
}

function isMethod(bytes: Buffer, from: number, to: number): boolean {
  return to > from && to - from < 20 && endOfLetters(bytes, from, to) === to;
}

function hasText(bytes: Buffer, from: number, to: number, text: string): boolean {
  return to - from >= text.length && bytes.toString("latin1", from, from + text.length) === text;
}
