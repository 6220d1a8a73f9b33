/**
 * Rows to bytes: columns and messages in, documents out. What a row is made of says a program, the same for all rows of
 * an origin; agent/kernel/row.ts describes it and holds the twin.
 *
 * A document of 900 bytes is written in a few hundred nanoseconds: constants 16 bytes at a time, and the message escaped
 * by looking at 16 bytes at a time (`npm run bench:micro`).
 */
import { COUNT, DIGITS, ENDS, FIRST, FLAGS, FROM, LEVELS, NANOS, OFFSETS, SECONDS, STDERR, TO } from "./columns";
import { PROGRAM, SPREADS } from "./layout";
import { writeMembers } from "./members";
import { makeDigits, putDigits, putNanos, putWideDigits } from "./number";
import { writePayload } from "./payload";
import { addRepeat, rememberRepeats, takeBackRepeats } from "./repeats";

/** Operations: a word, then its arguments. */
const END: u32 = 0;
/** address, length, and where it was written last (repeats.ts) */
const COPY: u32 = 1;
const MESSAGE: u32 = 2;
/** the same for stdout, then for stderr */
const STREAM: u32 = 3;
const OFFSET: u32 = 4;
const TIME: u32 = 5;
/** Ten digits of seconds, nine of nanoseconds. */
const STAMP: u32 = 6;
const FIELDS: u32 = 7;
/** the same for each severity */
const SEVERITY: u32 = 8;
const SEVERITIES: u32 = 10;
/** Of one constant's three words. */
export const PART_BYTES: u32 = 12;
/** The offset with leading zeros. */
const WIDE_OFFSET: u32 = 9;
/** the same four times: see payload.ts */
const PAYLOAD: u32 = 10;

/** What a message's 16 bytes, and a number or a time, may take at most. */
const STEP: u32 = 96;

/** Why `encodeRows` stopped: 0 all done, 1 no room, 2 over the limit, 3 a time that it can't write. */
export let stopped: u32 = 0;
/** Where it stopped writing. */
export let encodedTo: u32 = 0;

/** Digits of the row's nanoseconds. */
const NANO_TEXT = memory.data(16, 16);
/** "2026-09-21T14:13:20" and "1790000000" of the second that was written last. */
const SECOND_TEXT = memory.data(32, 16);
const STAMP_TEXT = memory.data(16, 16);
let second: f64 = -1;

const BACKSLASH: u8 = 0x80;
const NOTHING: u8 = 0xff;

/** u8 by byte: 0 stands for itself, 1 is \u00XX, else the letter behind the backslash. */
const ESCAPES = memory.data(256, 16);

/** Fills the tables that never change. */
export function prepareEncode(): void {
  memory.fill(ESCAPES, 1, 32);
  store<u8>(ESCAPES + 8, 0x62);
  store<u8>(ESCAPES + 9, 0x74);
  store<u8>(ESCAPES + 10, 0x6e);
  store<u8>(ESCAPES + 12, 0x66);
  store<u8>(ESCAPES + 13, 0x72);
  store<u8>(ESCAPES + 0x22, 0x22);
  store<u8>(ESCAPES + 0x5c, 0x5c);
  // Which byte stands where; BACKSLASH: none, but a backslash; NOTHING: none.
  memory.fill(SPREADS, NOTHING, 0x1000);
  for (let choice: u32 = 0; choice < 256; choice++) {
    let to = SPREADS + (choice << 4);
    for (let i: u32 = 0; i < 8; i++) {
      if ((choice >> i) & 1) store<u8>(to++, BACKSLASH);
      store<u8>(to++, <u8>i);
    }
  }
}

/**
 * Writes the first `rows` of the columns from `out` on. A row's message is at `input` + its from, and its members are at
 * `members` + 16 times its first.
 * @param room end of what may be written. @param limit a row that ends beyond it is taken back, unless it is `first`.
 * @returns the row that was not written.
 */
export function encodeRows(rows: u32, input: u32, members: u32, out: u32, room: u32, limit: u32, first: bool): u32 {
  const last = room - STEP;
  let row: u32 = 0;
  stopped = 0;
  for (; row < rows; row++) {
    const start = out;
    rememberRepeats();
    const seconds = load<f64>(SECONDS + (row << 3));
    if (seconds != second && !setSecond(seconds)) {
      stopped = 3;
      break;
    }
    putNanos(NANO_TEXT, load<u32>(NANOS + (row << 2)));
    const offsetLength = makeDigits(load<f64>(OFFSETS + (row << 3)));
    let at = PROGRAM;
    for (;;) {
      const operation = load<u32>(at);
      if (operation == END) break;
      if (operation == COPY) {
        out = copyPart(at + 4, out, last);
        at += 4 + PART_BYTES;
      } else if (operation == MESSAGE) {
        out = escape(input + load<u32>(FROM + (row << 2)), input + load<u32>(TO + (row << 2)), out, last);
        at += 4;
      } else if (operation == STREAM) {
        out = copyPart(at + 4 + (load<u8>(FLAGS + row) & STDERR) * PART_BYTES, out, last);
        at += 4 + 2 * PART_BYTES;
      } else if (operation == OFFSET) {
        putDigits(out, offsetLength);
        out += offsetLength;
        at += 4;
      } else if (operation == TIME) {
        v128.store(out, v128.load(SECOND_TEXT));
        v128.store(out + 16, v128.load(SECOND_TEXT + 16));
        out += 19;
        const digits = <u32>load<u8>(DIGITS + row);
        if (digits > 0) {
          store<u8>(out, 0x2e);
          v128.store(out + 1, v128.load(NANO_TEXT));
          out += 1 + digits;
        }
        store<u8>(out++, 0x5a);
        at += 4;
      } else if (operation == FIELDS) {
        out = writeMembers(members + (load<u32>(FIRST + (row << 2)) << 4), load<u32>(COUNT + (row << 2)), input, out, last);
        at += 4;
      } else if (operation == SEVERITY) {
        out = copyPart(at + 4 + <u32>load<u8>(LEVELS + row) * PART_BYTES, out, last);
        at += 4 + SEVERITIES * PART_BYTES;
      } else if (operation == WIDE_OFFSET) {
        putWideDigits(out);
        out += 16;
        at += 4;
      } else if (operation == PAYLOAD) {
        const from = input + load<u32>(FROM + (row << 2));
        const to = input + load<u32>(TO + (row << 2));
        const first = members + (load<u32>(FIRST + (row << 2)) << 4);
        out = writePayload(at + 4, from, to, first, load<u32>(COUNT + (row << 2)), input, out, last);
        at += 4 + 4 * PART_BYTES;
      } else {
        v128.store(out, v128.load(STAMP_TEXT));
        v128.store(out + 10, v128.load(NANO_TEXT));
        out += 19;
        at += 4;
      }
      if (out > last) break;
    }
    if (out > last || (out > limit && !first)) {
      stopped = out > last ? 1 : 2;
      out = start;
      takeBackRepeats();
      break;
    }
    first = false;
    store<u32>(ENDS + (row << 2), out);
  }
  encodedTo = out;
  return row;
}

/** 16 bytes at a time; what is too much is written over or lies in the slack. @returns more than `last` for no room. */
@inline
export function copy(from: u32, length: u32, out: u32, last: u32): u32 {
  const end = out + length;
  if (end > last) return last + 1;
  for (; out < end; out += 16, from += 16) v128.store(out, v128.load(from));
  return end;
}

/** A constant, and that it was copied. */
@inline
function copyPart(part: u32, out: u32, last: u32): u32 {
  const end = copy(load<u32>(part), load<u32>(part, 4), out, last);
  if (end <= last) addRepeat(part, out, end);
  return end;
}

/** The inside of a JSON string, from [at, to). @returns more than `last` for no room. */
export function escape(at: u32, to: u32, out: u32, last: u32): u32 {
  const space = i8x16.splat(0x20);
  const quote = i8x16.splat(0x22);
  const backslash = i8x16.splat(0x5c);
  const none = i8x16.splat(BACKSLASH);
  while (at < to) {
    if (out > last) return out;
    const bytes = v128.load(at);
    v128.store(out, bytes);
    const controls = i8x16.lt_u(bytes, space);
    let mask = i8x16.bitmask(v128.or(controls, v128.or(i8x16.eq(bytes, quote), i8x16.eq(bytes, backslash))));
    const left = to - at;
    if (left < 16) mask &= (1 << left) - 1;
    if (mask == 0) {
      const step = min<u32>(left, 16);
      at += step;
      out += step;
      continue;
    }
    if ((i8x16.bitmask(controls) & 0xff) == 0) {
      // Quotes and backslashes of eight bytes at once, however many: JSON within JSON took 2.2 times as long one by one.
      const choice = mask & 0xff;
      const spread = v128.load(SPREADS + (choice << 4));
      const slashes = v128.and(i8x16.eq(spread, none), backslash);
      v128.store(out, v128.or(i8x16.swizzle(bytes, spread), slashes));
      const step = min<u32>(left, 8);
      at += step;
      out += step + popcnt(choice);
      continue;
    }
    const clean = ctz(mask);
    at += clean;
    out += clean;
    const byte = <u32>load<u8>(at++);
    const letter = <u32>load<u8>(ESCAPES + byte);
    if (letter != 1) {
      store<u16>(out, <u16>(0x5c | (letter << 8)));
      out += 2;
    } else {
      // \u00
      store<u32>(out, 0x3030755c);
      store<u8>(out + 4, <u8>(0x30 + (byte >> 4)));
      const low = byte & 15;
      store<u8>(out + 5, <u8>(low < 10 ? 0x30 + low : 0x57 + low));
      out += 6;
    }
  }
  return out;
}

/** @returns false for a second that does not have ten digits. */
function setSecond(seconds: f64): bool {
  if (!(seconds >= 0 && seconds < 1e10)) return false;
  second = seconds;
  let value = <u64>seconds;
  for (let at = STAMP_TEXT + 9; at >= STAMP_TEXT; at--) {
    store<u8>(at, <u8>(0x30 + (value % 10)));
    value /= 10;
  }
  const days = <i32>(seconds / 86400);
  const rest = <u32>(seconds - <f64>days * 86400);
  // Gregorian calendar; years begin in March, so that a leap day is the last of its year, and 400 years are a cycle.
  const since = days + 719468;
  const cycle = since / 146097;
  const day = since - cycle * 146097;
  const year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  const dayOfYear = day - (365 * year + year / 4 - year / 100);
  const month = (5 * dayOfYear + 2) / 153;
  const calendarMonth: u32 = month < 10 ? month + 3 : month - 9;
  const calendarYear: u32 = year + cycle * 400 + (calendarMonth <= 2 ? 1 : 0);
  putTwo(SECOND_TEXT, calendarYear / 100, calendarYear % 100);
  store<u8>(SECOND_TEXT + 4, 0x2d);
  putTwo(SECOND_TEXT + 5, calendarMonth, 0);
  store<u8>(SECOND_TEXT + 7, 0x2d);
  putTwo(SECOND_TEXT + 8, dayOfYear - (153 * month + 2) / 5 + 1, 0);
  store<u8>(SECOND_TEXT + 10, 0x54);
  putTwo(SECOND_TEXT + 11, rest / 3600, 0);
  store<u8>(SECOND_TEXT + 13, 0x3a);
  putTwo(SECOND_TEXT + 14, (rest / 60) % 60, 0);
  store<u8>(SECOND_TEXT + 16, 0x3a);
  putTwo(SECOND_TEXT + 17, rest % 60, 0);
  return true;
}

/** Two numbers below 100, of two digits each. */
function putTwo(at: usize, a: u32, b: u32): void {
  store<u8>(at, <u8>(0x30 + a / 10));
  store<u8>(at + 1, <u8>(0x30 + (a % 10)));
  store<u8>(at + 2, <u8>(0x30 + b / 10));
  store<u8>(at + 3, <u8>(0x30 + (b % 10)));
}
