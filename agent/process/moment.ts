/**
 * Times as apps write them, from a field's JSON text to two integers, exactly:
 *
 *     "2026-11-23T23:52:40.867327765Z"     RFC 3339, also with a blank for the T
 *     "23/Nov/2026:23:52:47 +0000"         as web servers log it
 *     1795478287  1795478287.123  1795478287123  "1795478287123456789"
 *                                          seconds since 1970, or so many digits more that it must be milli-, micro- or
 *                                          nanoseconds
 *
 * A time without a zone is none: nobody knows what it means.
 */
import { DOT, QUOTE, SPACE, UPPER_T, ZERO } from "../parse/ascii.ts";
import { TimeParser } from "../parse/time.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEB = /^(\d\d)\/([A-Z][a-z][a-z])\/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)$/;
/** Up to so many digits are seconds: enough until the year 5138. */
const SECONDS_DIGITS = 11;
const LONGEST = 40;

export class Moment {
  readonly #rfc3339 = new TimeParser();
  readonly #scratch = Buffer.alloc(LONGEST);
  seconds = 0;
  nanos = 0;
  /** Fractional digits that the text has, 0..9. */
  digits = 0;

  /** Reads the value bytes[from, to). @returns false, and the fields above as they were, when it is no time. */
  read(bytes: Buffer, from: number, to: number): boolean {
    const quoted = bytes[from] === QUOTE;
    const start = quoted ? from + 1 : from;
    const end = quoted ? to - 1 : to;
    if (end <= start || end - start > LONGEST) return false;
    let at = start;
    while (at < end && bytes[at]! >= ZERO && bytes[at]! <= ZERO + 9) at++;
    if (at === end || (bytes[at] === DOT && at > start)) return this.#readNumber(bytes, start, at, end);
    return quoted && (this.#readRfc3339(bytes, start, end) || this.#readWeb(bytes, start, end));
  }

  #readRfc3339(bytes: Buffer, from: number, to: number): boolean {
    let end = this.#rfc3339.parse(bytes, from, to) - from;
    if (end < 0 && bytes[from + 10] === SPACE) {
      bytes.copy(this.#scratch, 0, from, to);
      this.#scratch[10] = UPPER_T;
      end = this.#rfc3339.parse(this.#scratch, 0, to - from);
    }
    if (end !== to - from) return false;
    this.#take(this.#rfc3339.seconds, this.#rfc3339.nanos, this.#rfc3339.digits);
    return true;
  }

  #readWeb(bytes: Buffer, from: number, to: number): boolean {
    const parts = WEB.exec(bytes.toString("latin1", from, to));
    const month = MONTHS.indexOf(parts?.[2] ?? "") + 1;
    if (parts === null || month === 0) return false;
    const [, day, , year, time, hours, minutes] = parts;
    const text = `${year}-${String(month).padStart(2, "0")}-${day}T${time}${hours}:${minutes}`;
    const length = this.#scratch.write(text, "latin1");
    if (this.#rfc3339.parse(this.#scratch, 0, length) !== length) return false;
    this.#take(this.#rfc3339.seconds, 0, 0);
    return true;
  }

  /** Digits in bytes[from, end), and perhaps a fraction behind a dot at `end`. */
  #readNumber(bytes: Buffer, from: number, end: number, to: number): boolean {
    const length = end - from;
    const extra = length <= SECONDS_DIGITS ? 0 : length <= 14 ? 3 : length <= 17 ? 6 : 9;
    if (length > 20) return false;
    let seconds = 0;
    for (let at = from; at < end - extra; at++) seconds = seconds * 10 + bytes[at]! - ZERO;
    let nanos = 0;
    let digits = 0;
    for (let at = end - extra; at < to && digits < 9; at++) {
      if (at === end) continue;
      nanos = nanos * 10 + bytes[at]! - ZERO;
      digits++;
    }
    for (let at = end + 1; at < to; at++) if (bytes[at]! < ZERO || bytes[at]! > ZERO + 9) return false;
    if (end + 1 === to) return false;
    this.#take(seconds, nanos * 10 ** (9 - digits), digits);
    return true;
  }

  #take(seconds: number, nanos: number, digits: number): void {
    this.seconds = seconds;
    this.nanos = nanos;
    this.digits = digits;
  }
}
