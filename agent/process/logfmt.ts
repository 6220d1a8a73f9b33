/**
 * logfmt: pairs, as Go's loggers and Heroku's router write them. Values are text; a name without a value has an empty one.
 *
 *     time=2026-11-23T23:52:41.131Z level=INFO msg="say \"hi\"" path=/a bare empty=
 *
 * A message that does not begin with a name and `=`, or has an open quote, is none: prose with a pair in it stays as it is.
 */
import type { Rows } from "../batch.ts";
import type { Fields } from "../fields.ts";
import { LF, QUOTE, SPACE, TAB } from "../parse/ascii.ts";
import { addQuoted, addText, endOfQuoted, type Format, MOST_MEMBERS } from "./format.ts";

const EQUALS = 0x3d;

/** Bytes that names are made of. */
const NAME = new Uint8Array(256);
for (const letter of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@/:[]")
  NAME[letter.charCodeAt(0)] = 1;

export class LogfmtFormat implements Format {
  readonly messageAlias = "msg";

  begin(): void {}

  parse(rows: Rows, from: number, to: number, fields: Fields): boolean {
    let at = from;
    while (at < to && NAME[rows.bytes[at]!] === 1) at++;
    if (at === from || at >= to || rows.bytes[at] !== EQUALS) return false;
    return addPairs(rows, from, to, fields);
  }
}

/** Adds the pairs in bytes[from, to). @returns false where there is something else. */
export function addPairs(rows: Rows, from: number, to: number, fields: Fields): boolean {
  const most = fields.used + MOST_MEMBERS;
  for (let at = from; ; ) {
    while (at < to && isBlank(rows.bytes[at]!)) at++;
    if (at >= to) return true;
    const name = at;
    while (at < to && NAME[rows.bytes[at]!] === 1) at++;
    const nameTo = at;
    if (nameTo === name || fields.used >= most) return false;
    if (at >= to || rows.bytes[at] !== EQUALS) {
      if (at < to && !isBlank(rows.bytes[at]!)) return false;
      addText(rows, fields, name, nameTo, at, at);
      continue;
    }
    at++;
    if (at < to && rows.bytes[at] === QUOTE) {
      const end = endOfQuoted(rows.bytes, at, to);
      if (end < 0 || (end < to && !isBlank(rows.bytes[end]!))) return false;
      addQuoted(rows, fields, name, nameTo, at, end);
      at = end;
      continue;
    }
    const value = at;
    while (at < to && !isBlank(rows.bytes[at]!)) {
      if (rows.bytes[at++] === QUOTE) return false;
    }
    addText(rows, fields, name, nameTo, value, at);
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === LF;
}
