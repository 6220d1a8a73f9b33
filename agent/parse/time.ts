/**
 * RFC 3339 times as container runtimes write them, from bytes to two integers: no Date, no BigInt, no string.
 *
 *     2026-03-01T10:00:00.123456789Z      2026-03-01T12:00:00.5+02:00      2026-03-01T10:00:00Z
 *
 * Strict as the kubelet's reader is: days fit their month, seconds end at 59 (no clock that Go or C reads ever shows
 * a leap second), and a fraction of more than nine digits is cut after the ninth. Anything else is no time.
 * Lines that follow each other mostly share their minute, so what "2026-03-01T10:00:" stands for is remembered
 * (12-20 ns a line instead of 43-82; `node test/bench/scan.bench.ts` shows the whole).
 */
import { COLON, DOT, MINUS, PLUS, UPPER_T, UPPER_Z, ZERO } from "./ascii.ts";

/** Length of the remembered "YYYY-MM-DDThh:mm:". */
const MINUTE_LENGTH = 17;
/** "YYYY-MM-DDThh:mm:ssZ" */
const SHORTEST = 20;
/** "+hh:mm" */
const OFFSET_LENGTH = 6;
const NANOS_OF_DIGITS = [1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 10, 1];
const DAYS_OF_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const DAYS_BEFORE_1970 = 719_468;

export class TimeParser {
  /** Of the last time that was parsed: seconds since 1970 in UTC, nanoseconds, and how many digits they had. */
  seconds = 0;
  nanos = 0;
  digits = 0;
  readonly #minute = new Uint8Array(MINUTE_LENGTH);
  #minuteSeconds = 0;

  /**
   * Parses the time that begins at bytes[from].
   * @returns where it ends, at most `to`; -1 when there is none, and the fields above are as they were.
   */
  parse(bytes: Uint8Array, from: number, to: number): number {
    if (to - from < SHORTEST) return -1;
    const minute = this.#minute;
    for (let i = MINUTE_LENGTH - 1; i >= 0; i--) {
      if (bytes[from + i] !== minute[i]) {
        if (!this.#parseMinuteSlow(bytes, from)) return -1;
        break;
      }
    }
    const second = twoDigits(bytes, from + MINUTE_LENGTH);
    if (second < 0 || second > 59) return -1;
    let seconds = this.#minuteSeconds + second;
    let at = from + MINUTE_LENGTH + 2;
    let nanos = 0;
    let digits = 0;
    if (bytes[at] === DOT) {
      at++;
      const fraction = at;
      for (; at < to; at++) {
        const digit = bytes[at]! - ZERO;
        if (digit < 0 || digit > 9) break;
        if (digits < 9) {
          nanos = nanos * 10 + digit;
          digits++;
        }
      }
      if (at === fraction) return -1;
      nanos *= NANOS_OF_DIGITS[digits]!;
    }
    if (at >= to) return -1;
    if (bytes[at] === UPPER_Z) {
      at++;
    } else {
      const offset = parseOffset(bytes, at, to);
      if (offset === undefined) return -1;
      seconds -= offset;
      at += OFFSET_LENGTH;
    }
    this.seconds = seconds;
    this.nanos = nanos;
    this.digits = digits;
    return at;
  }

  /** Parses and remembers "YYYY-MM-DDThh:mm:". */
  #parseMinuteSlow(bytes: Uint8Array, from: number): boolean {
    const century = twoDigits(bytes, from);
    const yearOfCentury = twoDigits(bytes, from + 2);
    const month = twoDigits(bytes, from + 5);
    const day = twoDigits(bytes, from + 8);
    const hour = twoDigits(bytes, from + 11);
    const minute = twoDigits(bytes, from + 14);
    if (century < 0 || yearOfCentury < 0 || month < 1 || month > 12 || day < 1) return false;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return false;
    if (bytes[from + 4] !== MINUS || bytes[from + 7] !== MINUS || bytes[from + 10] !== UPPER_T) return false;
    if (bytes[from + 13] !== COLON || bytes[from + 16] !== COLON) return false;
    const year = century * 100 + yearOfCentury;
    const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 1 : 0;
    if (day > DAYS_OF_MONTH[month - 1]! + leap) return false;
    for (let i = 0; i < MINUTE_LENGTH; i++) this.#minute[i] = bytes[from + i]!;
    this.#minuteSeconds = daysSince1970(year, month, day) * 86_400 + hour * 3600 + minute * 60;
    return true;
  }
}

/** The number that two digits make, or -1. */
function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = bytes[at]! - ZERO;
  const ones = bytes[at + 1]! - ZERO;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
}

/** Seconds east of UTC that "+hh:mm" or "-hh:mm" means. */
function parseOffset(bytes: Uint8Array, at: number, to: number): number | undefined {
  if (to - at < OFFSET_LENGTH || bytes[at + 3] !== COLON) return undefined;
  const sign = bytes[at];
  if (sign !== PLUS && sign !== MINUS) return undefined;
  const hours = twoDigits(bytes, at + 1);
  const minutes = twoDigits(bytes, at + 4);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return undefined;
  const seconds = hours * 3600 + minutes * 60;
  return sign === PLUS ? seconds : -seconds;
}

/** Gregorian calendar; years begin in March, so that a leap day is the last of its year, and 400 years are a cycle. */
function daysSince1970(year: number, month: number, day: number): number {
  const marchYear = month > 2 ? year : year - 1;
  const cycle = Math.floor(marchYear / 400);
  const yearOfCycle = marchYear - cycle * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const leapDays = Math.floor(yearOfCycle / 4) - Math.floor(yearOfCycle / 100);
  return cycle * 146_097 + yearOfCycle * 365 + leapDays + dayOfYear - DAYS_BEFORE_1970;
}
