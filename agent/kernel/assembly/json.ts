/**
 * JSON objects in messages: whether a message is one (RFC 8259), and where the members at its top are. The twin is
 * agent/process/members.ts; agent/kernel/json.ts is the typed face.
 *
 * Each name gets a number, the same wherever it comes again, so that nobody has to look at its bytes twice, and equal names
 * in an object are seen by comparing numbers, eight at a time. What is rare is left to the twin: names that come twice,
 * escapes in names, halves of characters, line ends between tokens, and whatever there is no room for.
 *
 * An instance that does this does nothing else, so its regions lie where others have theirs. More than
 * 300 lines, since the members of an object are found in the pass that checks it.
 */

export const TEXT_BYTES: u32 = 0x40000;
export const TEXT: u32 = 0x10000;
/** A row: from, to of the message; of the object from, to; first member, their count; what it is | levels << 8. */
export const ROWS: u32 = TEXT + TEXT_BYTES + 0x40;
export const MAX_OBJECTS: u32 = 0x1000;
const ROW_BYTES: u32 = 28;
/** Four words a member: its name is [0, 1), its value [2, 3). */
export const FOUND: u32 = ROWS + MAX_OBJECTS * ROW_BYTES + 0x40;
export const MAX_FOUND: u32 = 0x4000;
/** u16 a member: its name's number, and whether its value has escapes. */
export const FOUND_NAMES: u32 = FOUND + MAX_FOUND * 16 + 0x40;
const ESCAPED: u32 = 0x8000;
/** Names by their number: 64 bytes each, zeros behind; and their lengths, u8. 0 is none. */
const NAMES: u32 = FOUND_NAMES + MAX_FOUND * 2 + 0x40;
export const MAX_NAMES: u32 = 0x800;
const LONGEST_NAME: u32 = 64;
const LENGTHS: u32 = NAMES + MAX_NAMES * LONGEST_NAME;
/** u16 by a hash of the name: its number. */
const SLOTS: u32 = LENGTHS + MAX_NAMES;
const SLOT_BITS: u32 = 13;
/** A quarter of the slots is used at most, so that more only come of names that are chosen for it. */
const MAX_PROBES: u32 = 16;
/** u16: numbers of the names of all open objects, one above the other. */
const OPEN: u32 = SLOTS + (2 << SLOT_BITS) + 0x40;
const MAX_OPEN: u32 = 0x1000;
/** u32 by level: where the names of its object begin, or ARRAY. */
const LEVELS: u32 = OPEN + MAX_OPEN * 2 + 0x40;
const MAX_LEVELS: u32 = 128;
const ARRAY: u32 = 0;

/** What a message is. */
const OTHER: u32 = 0;
const OBJECT: u32 = 1;
/** For the twin to say. */
const ASK: u32 = 2;
/** An object with numbers that a double may not hold. */
const UNSAFE: u32 = 4;
/** Digits of integers, and of exponents, that are beyond doubles or may be. */
const UNSAFE_DIGITS: u32 = 16;
const UNSAFE_EXPONENT: u32 = 3;

/** Names that are known, and members found so far. */
export let names: u32 = 1;
let found: u32 = 0;
/** Of the string read last. */
let sawEscape: bool = false;
/** Of the message being read. */
let ask: bool = false;
let unsafe: bool = false;

/** Sixteen bytes that stay and sixteen that do not: to cut a name at its end. */
const MASK = memory.data<u8>([
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0,
]);

export function forgetNames(): void {
  memory.fill(SLOTS, 0, 2 << SLOT_BITS);
  names = 1;
}

/** Reads `rows` messages, whose offsets are added to `text`. */
export function scanObjects(rows: u32, text: u32): void {
  found = 0;
  let row = ROWS;
  for (const end = row + rows * ROW_BYTES; row < end; row += ROW_BYTES) {
    const from = text + load<u32>(row);
    const to = text + load<u32>(row, 4);
    const first = found;
    ask = false;
    unsafe = false;
    let what = OTHER;
    // An empty message stands for one that is none for sure, and may not even be in the memory.
    if (from != to) {
      // A byte that nothing goes on with stands for the end, so that no step has to look for it.
      const behind = load<u8>(to);
      store<u8>(to, 0);
      what = scanObject(row, from, to, text);
      store<u8>(to, behind);
    }
    // What an invalid text had that the twin should see changes nothing: it sees it all anew.
    if (ask) what = ASK;
    if ((what & 0xff) != OBJECT) found = first;
    else if (unsafe) what |= UNSAFE;
    store<u32>(row, first, 16);
    store<u32>(row, found - first, 20);
    store<u32>(row, what, 24);
  }
}

/** @returns what it is | levels << 8. */
function scanObject(row: u32, from: u32, to: u32, text: u32): u32 {
  let at = skip(from);
  if (load<u8>(at) != 0x7b) return OTHER;
  store<u32>(row, at - text, 8);
  let level: u32 = 0;
  let deepest: u32 = 0;
  /** Names of the innermost object begin here; ARRAY in an array. */
  let base: u32 = ARRAY;
  let top: u32 = OPEN;
  let member: u32 = FOUND + (found << 4);
  // Each turn begins at a value.
  while (true) {
    const byte = <u32>load<u8>(at);
    let isNew = false;
    if (byte == 0x22) {
      sawEscape = false;
      at = endOfString(at + 1);
      if (at == 0) return OTHER;
      if (sawEscape && level == 1 && base != ARRAY) {
        const id = FOUND_NAMES + ((found - 1) << 1);
        store<u16>(id, <u16>(load<u16>(id) | ESCAPED));
      }
    } else if (byte == 0x7b || byte == 0x5b) {
      if (level == MAX_LEVELS) {
        ask = true;
        return ASK;
      }
      store<u32>(LEVELS + (level << 2), base);
      level++;
      if (level > deepest) deepest = level;
      base = byte == 0x7b ? top : ARRAY;
      at = skip(at + 1);
      isNew = load<u8>(at) != (base == ARRAY ? 0x5d : 0x7d);
    } else {
      at = endOfScalar(at, byte);
      if (at == 0) return OTHER;
    }
    if (!isNew) {
      // Here a value ends, or an object or an array that is empty is about to.
      if (byte != 0x7b && byte != 0x5b) {
        if (level == 1 && base != ARRAY) store<u32>(member - 16, at - text, 12);
        at = skip(at);
      }
      for (;;) {
        const next = <u32>load<u8>(at);
        if (next == 0x2c) {
          at = skip(at + 1);
          break;
        }
        if (next != <u32>(base == ARRAY ? 0x5d : 0x7d)) return OTHER;
        at++;
        level--;
        if (base != ARRAY) top = base;
        base = load<u32>(LEVELS + (level << 2));
        if (level == 0) {
          store<u32>(row, at - text, 12);
          return skip(at) == to ? OBJECT | (deepest << 8) : OTHER;
        }
        if (level == 1 && base != ARRAY) store<u32>(member - 16, at - text, 12);
        at = skip(at);
      }
    }
    if (base == ARRAY) continue;
    // A name and its colon.
    if (load<u8>(at) != 0x22) return OTHER;
    const nameFrom = at + 1;
    sawEscape = false;
    at = endOfString(nameFrom);
    if (at == 0) return OTHER;
    const nameTo = at - 1;
    const id = sawEscape || nameTo - nameFrom > LONGEST_NAME || top == OPEN + MAX_OPEN * 2 ? 0 : nameOf(nameFrom, nameTo);
    if (id == 0 || isAmong(id, base, top) || (level == 1 && found == MAX_FOUND)) {
      ask = true;
      return ASK;
    }
    store<u16>(top, <u16>id);
    top += 2;
    at = skip(at);
    if (load<u8>(at) != 0x3a) return OTHER;
    at = skip(at + 1);
    if (level == 1) {
      store<u32>(member, nameFrom - text);
      store<u32>(member, nameTo - text, 4);
      store<u32>(member, at - text, 8);
      store<u16>(FOUND_NAMES + (found << 1), <u16>id);
      member += 16;
      found++;
    }
  }
}

/** Behind blanks. Line ends are for the twin. */
@inline
function skip(at: u32): u32 {
  return load<u8>(at) > 0x20 ? at : skipBlanks(at);
}

function skipBlanks(at: u32): u32 {
  let byte = load<u8>(at);
  while (byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d) {
    if (byte == 0x0a || byte == 0x0d) ask = true;
    byte = load<u8>(++at);
  }
  return at;
}

/** @returns the position behind the closing quote of a string whose inside begins at `at`; 0 where there is none. */
function endOfString(at: u32): u32 {
  const space = i8x16.splat(0x20);
  const quote = i8x16.splat(0x22);
  const backslash = i8x16.splat(0x5c);
  while (true) {
    const bytes = v128.load(at);
    const mask = i8x16.bitmask(
      v128.or(i8x16.lt_u(bytes, space), v128.or(i8x16.eq(bytes, quote), i8x16.eq(bytes, backslash))),
    );
    if (mask == 0) {
      at += 16;
      continue;
    }
    at += ctz(mask);
    const byte = load<u8>(at);
    if (byte == 0x22) return at + 1;
    if (byte != 0x5c) return 0;
    sawEscape = true;
    at = endOfEscape(at + 1);
    if (at == 0) return 0;
  }
}

/** @param at behind the backslash. */
function endOfEscape(at: u32): u32 {
  const letter = <u32>load<u8>(at);
  if (letter == 0x75) {
    const unit = unitAt(at + 1);
    if (unit < 0) return 0;
    if ((unit & 0xf800) != 0xd800) return at + 5;
    const isPair = unit < 0xdc00 && load<u16>(at + 5) == 0x755c;
    if (isPair && (unitAt(at + 7) & ~0x3ff) == 0xdc00) return at + 11;
    ask = true;
    return at + 5;
  }
  // " \ / b f n r t
  const isKnown =
    letter == 0x22 || letter == 0x5c || letter == 0x6e || letter == 0x2f || letter == 0x74 || letter == 0x72 || letter == 0x62 || letter == 0x66;
  return isKnown ? at + 1 : 0;
}

/** The number that four hexadecimal digits make, or -1. */
function unitAt(at: u32): i32 {
  let unit = 0;
  for (let i: u32 = 0; i < 4; i++) {
    const byte = <u32>load<u8>(at + i);
    const digit = byte - 0x30;
    const letter = (byte | 0x20) - 0x61;
    if (digit < 10) unit = (unit << 4) | digit;
    else if (letter < 6) unit = (unit << 4) | (letter + 10);
    else return -1;
  }
  return unit;
}

/** @returns where the number, true, false or null ends that begins with `byte`; 0 where there is none. */
function endOfScalar(at: u32, byte: u32): u32 {
  if (byte != 0x2d && byte - 0x30 > 9) {
    if (byte == 0x74) return load<u32>(at) == 0x65757274 ? at + 4 : 0;
    if (byte == 0x6e) return load<u32>(at) == 0x6c6c756e ? at + 4 : 0;
    return load<u32>(at) == 0x736c6166 && load<u8>(at + 4) == 0x65 ? at + 5 : 0;
  }
  const whole = byte == 0x2d ? at + 1 : at;
  at = behindDigits(whole);
  if (at == whole || (load<u8>(whole) == 0x30 && at > whole + 1)) return 0;
  if (at - whole >= UNSAFE_DIGITS) unsafe = true;
  if (load<u8>(at) == 0x2e) {
    const fraction = at + 1;
    at = behindDigits(fraction);
    if (at == fraction) return 0;
  }
  if ((load<u8>(at) | 0x20) == 0x65) {
    const sign = load<u8>(at + 1);
    const exponent = sign == 0x2b || sign == 0x2d ? at + 2 : at + 1;
    at = behindDigits(exponent);
    if (at == exponent) return 0;
    if (at - exponent >= UNSAFE_EXPONENT) unsafe = true;
  }
  return at;
}

@inline
function behindDigits(at: u32): u32 {
  while (<u32>load<u8>(at) - 0x30 < 10) at++;
  return at;
}

/** The number of a name of at most LONGEST_NAME bytes; 0 when there is no room for it. */
function nameOf(from: u32, to: u32): u32 {
  const length = to - from;
  const start = length < 16 ? v128.and(v128.load(from), v128.load(MASK + 16 - length)) : v128.load(from);
  const end = length <= 16 ? start : v128.load(to - 16);
  const mixed = v128.xor(start, end);
  const both = length <= 16 ? start : i64x2.add(start, i64x2.shl(mixed, 1));
  const hash =
    (i64x2.extract_lane(both, 0) * 0x9e3779b97f4a7c15) ^ (i64x2.extract_lane(both, 1) * 0xc2b2ae3d27d4eb4f) ^ (<u64>length << 50);
  let slot = <u32>(<u64>(hash * 0x9e3779b97f4a7c15) >> (64 - SLOT_BITS));
  for (let probes: u32 = 0; probes < MAX_PROBES; probes++) {
    const place = SLOTS + (slot << 1);
    const id = <u32>load<u16>(place);
    if (id == 0) return addName(place, from, length, start);
    const name = NAMES + id * LONGEST_NAME;
    if (<u32>load<u8>(LENGTHS + id) == length && !v128.any_true(v128.xor(start, v128.load(name)))) {
      if (length <= 16 || equalNames(name, from, length)) return id;
    }
    slot = (slot + 1) & ((1 << SLOT_BITS) - 1);
  }
  return 0;
}

/** Whether names of more than 16 bytes are equal behind these; the last 16 are looked at as a whole. */
function equalNames(name: u32, from: u32, length: u32): bool {
  for (let i: u32 = 16; i < length; i += 16) {
    const at = min(i, length - 16);
    if (v128.any_true(v128.xor(v128.load(name + at), v128.load(from + at)))) return false;
  }
  return true;
}

function addName(place: u32, from: u32, length: u32, start: v128): u32 {
  if (names == MAX_NAMES) return 0;
  const id = names++;
  store<u16>(place, <u16>id);
  store<u8>(LENGTHS + id, <u8>length);
  const name = NAMES + id * LONGEST_NAME;
  if (length <= 16) v128.store(name, start);
  else memory.copy(name, from, length);
  return id;
}

/** Whether `id` is one of the names [base, top). */
@inline
function isAmong(id: u32, base: u32, top: u32): bool {
  const wanted = i16x8.splat(<i16>id);
  for (let at = base; at < top; at += 16) {
    const mask = i16x8.bitmask(i16x8.eq(v128.load(at), wanted));
    // What stands behind the last name is of objects that have ended.
    if (mask != 0) return at + (ctz(mask) << 1) < top;
  }
  return false;
}
