/**
 * Lines to rows: whole lines of a log in, columns of numbers out, as agent/parse/scanner.ts describes them; that is the
 * twin. Only lines of the plain kind, one after the other: whole messages, in the shape that runtimes write, with a time
 * that is one. It stops before any other line, whatever is odd about it, and leaves that to the twin.
 *
 *     2026-03-01T10:00:00.123456789Z stdout F hello
 *     {"log":"hello\n","stream":"stdout","time":"2026-03-01T10:00:00.123456789Z"}
 *
 * An instance that scans does nothing else, so its memory has a layout of its own. A line of 150 bytes takes 29 ns, the
 * twin 119; JSON in docker's format 132 ns and 578 (`node test/bench/scan.bench.ts`). More than 300 lines, since both
 * formats fill the same columns in one pass.
 */

/** Columns of at most so many rows; the widest first, so that all are aligned. The first 64 KiB are the compiler's. */
export const SCAN_ROWS: u32 = 0x1000;
export const SCAN_COLUMNS: u32 = 0x10000;
const OFFSETS: u32 = SCAN_COLUMNS;
const SECONDS: u32 = OFFSETS + SCAN_ROWS * 8;
const SIZES: u32 = SECONDS + SCAN_ROWS * 8;
const FROM: u32 = SIZES + SCAN_ROWS * 8;
const TO: u32 = FROM + SCAN_ROWS * 4;
const NANOS: u32 = TO + SCAN_ROWS * 4;
const DIGITS: u32 = NANOS + SCAN_ROWS * 4;
const FLAGS: u32 = DIGITS + SCAN_ROWS;

/** The lines; a newline stands behind them, so that no search runs on. */
export const SCAN_INPUT: u32 = FLAGS + SCAN_ROWS + 0x40;
export const SCAN_INPUT_BYTES: u32 = 0x40000;
/** Messages without the escapes that docker made. */
export const SCAN_TEXT: u32 = SCAN_INPUT + SCAN_INPUT_BYTES + 0x80;
export const SCAN_MEMORY_BYTES: u32 = SCAN_TEXT + SCAN_INPUT_BYTES + 0x40;

/** Which lines to take. */
const CRI: u32 = 1;
const DOCKER: u32 = 2;

const STDERR: u32 = 1;
const LF: u32 = 0x0a;
const CR: u32 = 0x0d;

/** Where the line begins that was not scanned, and where the messages without escapes end. */
export let scannedTo: u32 = 0;
export let scannedText: u32 = 0;
/** 1: all that was scanned is ASCII, so there is nothing that may not be UTF-8. */
export let scannedAscii: u32 = 0;

/** "YYYY-MM-DDThh:mm" that was seen last, and what it stands for. */
const MINUTE = memory.data(16, 16);
let minuteSeconds: f64 = 0;
/** Of the line at hand. */
let seconds: f64 = 0;
let nanos: u32 = 0;
let digits: u32 = 0;
let from: u32 = 0;
let end: u32 = 0;
let next: u32 = 0;
let flags: u32 = 0;
let text: u32 = 0;
/** All bytes that were looked at, one or'ed to the other. */
let seen: v128 = i8x16.splat(0);

/** u8 by the byte behind a backslash; 0: no such escape, or one that is left to the twin. */
const SIMPLE = memory.data(256, 16);

/** Fills the tables that never change. */
export function prepareScan(): void {
  store<u8>(SIMPLE + 0x22, 0x22);
  store<u8>(SIMPLE + 0x2f, 0x2f);
  store<u8>(SIMPLE + 0x5c, 0x5c);
  store<u8>(SIMPLE + 0x62, 0x08);
  store<u8>(SIMPLE + 0x66, 0x0c);
  store<u8>(SIMPLE + 0x6e, 0x0a);
  store<u8>(SIMPLE + 0x72, 0x0d);
  store<u8>(SIMPLE + 0x74, 0x09);
}

/**
 * Scans lines from `at` on, as long as they end before `to` and are plain.
 * @param base added to an address it gives the offset in the file. @param shift the same for positions of lines, and
 * @param textShift of messages without escapes, where the caller has them. @param maxBytes of a message.
 * @returns how many rows the columns hold.
 */
export function scanLines(
  at: u32,
  to: u32,
  formats: u32,
  base: f64,
  shift: u32,
  textShift: u32,
  maxBytes: u32,
): u32 {
  let row: u32 = 0;
  text = SCAN_TEXT;
  seen = i8x16.splat(0);
  while (row < SCAN_ROWS && at < to) {
    const textBefore = text;
    const docker = load<u8>(at) == 0x7b;
    if ((formats & (docker ? DOCKER : CRI)) == 0 || !(docker ? scanDocker(at) : scanCri(at)) || next > to) {
      text = textBefore;
      break;
    }
    if (end > from && load<u8>(end - 1) == CR) end--;
    if (end - from > maxBytes) {
      text = textBefore;
      break;
    }
    const moved = from >= SCAN_TEXT ? textShift : shift;
    store<f64>(OFFSETS + (row << 3), base + <f64>at);
    store<f64>(SECONDS + (row << 3), seconds);
    store<f64>(SIZES + (row << 3), <f64>(next - at));
    store<u32>(FROM + (row << 2), from + moved);
    store<u32>(TO + (row << 2), end + moved);
    store<u32>(NANOS + (row << 2), nanos);
    store<u8>(DIGITS + row, <u8>digits);
    store<u8>(FLAGS + row, <u8>flags);
    row++;
    at = next;
  }
  scannedTo = at;
  scannedText = text;
  scannedAscii = <u32>(i8x16.bitmask(seen) == 0);
  return row;
}

/** Whatever matches has no newline in it, so nothing is looked at beyond the one at the end. */
function scanCri(at: u32): bool {
  at = parseTime(at);
  if (at == 0) return false;
  const stream = load<u64>(at);
  // " stdout ", " stderr "
  if (stream == 0x2074756f64747320) flags = 0;
  else if (stream == 0x2072726564747320) flags = STDERR;
  else return false;
  // "F "
  if (load<u16>(at + 8) != 0x2046) return false;
  from = at + 10;
  const newline = i8x16.splat(<i8>LF);
  at = from;
  let bytes = v128.load(at);
  let all = bytes;
  let mask = i8x16.bitmask(i8x16.eq(bytes, newline));
  while (mask == 0) {
    at += 16;
    bytes = v128.load(at);
    all = v128.or(all, bytes);
    mask = i8x16.bitmask(i8x16.eq(bytes, newline));
  }
  seen = v128.or(seen, all);
  end = at + ctz(mask);
  next = end + 1;
  return true;
}

/** A message that ends with an escaped newline. It is copied as it is searched, in case that there are more escapes. */
function scanDocker(at: u32): bool {
  // {"log":"
  if (load<u64>(at) != 0x223a22676f6c227b) return false;
  at += 8;
  from = at;
  const newline = i8x16.splat(<i8>LF);
  const quote = i8x16.splat(0x22);
  const backslash = i8x16.splat(0x5c);
  let out = text;
  let escaped = false;
  let all = newline;
  for (;;) {
    const bytes = v128.load(at);
    all = v128.or(all, bytes);
    v128.store(out, bytes);
    const mask = i8x16.bitmask(
      v128.or(i8x16.eq(bytes, newline), v128.or(i8x16.eq(bytes, quote), i8x16.eq(bytes, backslash))),
    );
    if (mask == 0) {
      at += 16;
      out += 16;
      continue;
    }
    const clean = ctz(mask);
    at += clean;
    out += clean;
    if (load<u8>(at) != 0x5c) return false;
    const letter = <u32>load<u8>(at + 1);
    // \n"
    if (letter == 0x6e && load<u8>(at + 2) == 0x22) break;
    escaped = true;
    if (letter == 0x75) {
      out = unescapeCode(at, out);
      if (out == 0) return false;
      at += 6;
      continue;
    }
    const simple = load<u8>(SIMPLE + letter);
    if (simple == 0) return false;
    store<u8>(out++, simple);
    at += 2;
  }
  seen = v128.or(seen, all);
  end = at;
  at += 2;
  // ","strea
  if (load<u64>(at) != 0x6165727473222c22) return false;
  const stream = load<u64>(at + 8);
  const rest = load<u64>(at + 16);
  // m":"stdo ut","tim, m":"stde rr","tim
  if (stream == 0x6f647473223a226d && rest == 0x6d6974222c227475) flags = 0;
  else if (stream == 0x65647473223a226d && rest == 0x6d6974222c227272) flags = STDERR;
  else return false;
  // e":"
  if (load<u32>(at + 24) != 0x223a2265) return false;
  at = parseTime(at + 28);
  // "}
  if (at == 0 || load<u16>(at) != 0x7d22 || load<u8>(at + 2) != LF) return false;
  next = at + 3;
  if (escaped) {
    from = text;
    end = out;
    text = out;
  }
  return true;
}

/** \uXXXX at `at`, as UTF-8. @returns where it ends; 0 for what is no such escape, and for surrogates. */
function unescapeCode(at: u32, out: u32): u32 {
  let code: u32 = 0;
  for (let i = at + 2; i < at + 6; i++) {
    const byte = <u32>load<u8>(i);
    const digit = byte - 0x30;
    const letter = (byte | 0x20) - 0x61;
    if (digit <= 9) code = (code << 4) + digit;
    else if (letter <= 5) code = (code << 4) + letter + 10;
    else return 0;
  }
  if (code >= 0xd800 && code <= 0xdfff) return 0;
  if (code < 0x80) {
    store<u8>(out, <u8>code);
    return out + 1;
  }
  if (code < 0x800) {
    store<u8>(out, <u8>(0xc0 | (code >> 6)));
    store<u8>(out + 1, <u8>(0x80 | (code & 0x3f)));
    return out + 2;
  }
  store<u8>(out, <u8>(0xe0 | (code >> 12)));
  store<u8>(out + 1, <u8>(0x80 | ((code >> 6) & 0x3f)));
  store<u8>(out + 2, <u8>(0x80 | (code & 0x3f)));
  return out + 3;
}

/** As agent/parse/time.ts has it. @returns where the time ends; 0 for none, and for more than nine digits. */
function parseTime(at: u32): u32 {
  const same = i8x16.all_true(i8x16.eq(v128.load(at), v128.load(MINUTE)));
  if (!same && !setMinute(at)) return 0;
  const second = twoDigits(at + 17);
  if (load<u8>(at + 16) != 0x3a || second > 59) return 0;
  seconds = minuteSeconds + <f64>second;
  at += 19;
  nanos = 0;
  digits = 0;
  if (load<u8>(at) == 0x2e) {
    at++;
    let value: u32 = 0;
    let count: u32 = 0;
    for (; ; count++) {
      const digit = <u32>load<u8>(at + count) - 0x30;
      if (digit > 9) break;
      if (count == 9) return 0;
      value = value * 10 + digit;
    }
    if (count == 0) return 0;
    at += count;
    digits = count;
    for (; count < 9; count++) value *= 10;
    nanos = value;
  }
  const zone = load<u8>(at);
  if (zone == 0x5a) return at + 1;
  // + -
  if ((zone != 0x2b && zone != 0x2d) || load<u8>(at + 3) != 0x3a) return 0;
  const hours = twoDigits(at + 1);
  const minutes = twoDigits(at + 4);
  if (hours > 23 || minutes > 59) return 0;
  const east = <f64>(hours * 3600 + minutes * 60);
  seconds = zone == 0x2b ? seconds - east : seconds + east;
  return at + 6;
}

/** The number that two digits make; more than 99 where they are none. */
function twoDigits(at: u32): u32 {
  const tens = <u32>load<u8>(at) - 0x30;
  const ones = <u32>load<u8>(at + 1) - 0x30;
  return tens <= 9 && ones <= 9 ? tens * 10 + ones : 100;
}

function setMinute(at: u32): bool {
  const century = twoDigits(at);
  const yearOfCentury = twoDigits(at + 2);
  const month = twoDigits(at + 5);
  const day = twoDigits(at + 8);
  const hour = twoDigits(at + 11);
  const minute = twoDigits(at + 14);
  if (century > 99 || yearOfCentury > 99 || month < 1 || month > 12 || day < 1) return false;
  if (hour > 23 || minute > 59) return false;
  if (load<u8>(at + 4) != 0x2d || load<u8>(at + 7) != 0x2d) return false;
  if (load<u8>(at + 10) != 0x54 || load<u8>(at + 13) != 0x3a) return false;
  const year = century * 100 + yearOfCentury;
  const leap: u32 = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 1 : 0;
  const days: u32 = month == 2 ? 28 + leap : month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
  if (day > days) return false;
  v128.store(MINUTE, v128.load(at));
  // Gregorian calendar; years begin in March, so that a leap day is the last of its year, and 400 years are a cycle.
  const marchYear = <i32>year - (month > 2 ? 0 : 1);
  const cycle = marchYear < 0 ? -1 : marchYear / 400;
  const yearOfCycle = marchYear - cycle * 400;
  const dayOfYear = (153 * ((<i32>month + 9) % 12) + 2) / 5 + <i32>day - 1;
  const leapDays = yearOfCycle / 4 - yearOfCycle / 100;
  const since = cycle * 146097 + yearOfCycle * 365 + leapDays + dayOfYear - 719468;
  minuteSeconds = <f64>since * 86400 + <f64>(hour * 3600 + minute * 60);
  return true;
}
