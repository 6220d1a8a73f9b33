/**
 * Prefix codes for deflate (RFC 1951, 3.2.2): from frequencies to code lengths of at most `limit` bits, and to codes.
 * Lengths are those of Moffat and Katajainen's in-place method; what is too long is shortened by Kraft's sum.
 */
import { TABLES } from "./layout";

/** u32 each: frequency << 16 | symbol, in order of frequency, and the same again for sorting. */
const SORTED: u32 = TABLES + 0x4000;
const SORTED_TOO: u32 = SORTED + 0x800;
/** u32 by byte. */
const COUNTS: u32 = SORTED + 0x1000;
/** u32 by length. */
const OF_LENGTH: u32 = SORTED + 0x1400;
const NEXT_CODE: u32 = SORTED + 0x1500;

/**
 * Makes a complete code. Frequencies are below 65536.
 * @param frequencies u32 by symbol. @param codes u32 by symbol: bits reversed | length << 16; 0: not in use.
 */
export function makeCode(frequencies: u32, symbols: u32, limit: u32, codes: u32): void {
  memory.fill(codes, 0, symbols << 2);
  let used: u32 = 0;
  for (let symbol: u32 = 0; symbol < symbols; symbol++) {
    const frequency = load<u32>(frequencies + (symbol << 2));
    if (frequency == 0) continue;
    store<u32>(SORTED + (used << 2), (frequency << 16) | symbol);
    used++;
  }
  // zlib's inflate takes only complete codes, and complete ones have two symbols.
  for (let symbol: u32 = 0; used < 2; symbol++) {
    if (load<u32>(frequencies + (symbol << 2)) != 0) continue;
    store<u32>(SORTED + (used << 2), (1 << 16) | symbol);
    used++;
  }
  sort(SORTED, SORTED_TOO, used, 16);
  sort(SORTED_TOO, SORTED, used, 24);
  // The symbols are needed again when the frequencies have become lengths.
  memory.copy(SORTED_TOO, SORTED, used << 2);
  for (let i: u32 = 0; i < used; i++) store<u32>(SORTED + (i << 2), load<u32>(SORTED + (i << 2)) >> 16);
  findLengths(used);
  memory.fill(OF_LENGTH, 0, 33 << 2);
  for (let i: u32 = 0; i < used; i++) {
    const slot = OF_LENGTH + (min(load<u32>(SORTED + (i << 2)), 32) << 2);
    store<u32>(slot, load<u32>(slot) + 1);
  }
  shorten(limit);
  let code: u32 = 0;
  store<u32>(OF_LENGTH, 0);
  for (let length: u32 = 1; length <= limit; length++) {
    code = (code + load<u32>(OF_LENGTH + ((length - 1) << 2))) << 1;
    store<u32>(NEXT_CODE + (length << 2), code);
  }
  // The rarest get the longest; within a length codes go by symbol, so lengths are noted first.
  let at: u32 = 0;
  for (let length = limit; length > 0; length--)
    for (let left = load<u32>(OF_LENGTH + (length << 2)); left > 0; left--) {
      const symbol = load<u32>(SORTED_TOO + (at++ << 2)) & 0xffff;
      store<u32>(codes + (symbol << 2), length << 16);
    }
  for (let symbol: u32 = 0; symbol < symbols; symbol++) {
    const entry = codes + (symbol << 2);
    const length = load<u32>(entry) >> 16;
    if (length == 0) continue;
    const slot = NEXT_CODE + (length << 2);
    const next = load<u32>(slot);
    store<u32>(slot, next + 1);
    store<u32>(entry, (length << 16) | reversed(next, length));
  }
}

/** One pass of a radix sort, by the byte at `shift`. */
function sort(from: u32, to: u32, count: u32, shift: u32): void {
  memory.fill(COUNTS, 0, 0x400);
  for (let i: u32 = 0; i < count; i++) {
    const slot = COUNTS + (((load<u32>(from + (i << 2)) >> shift) & 0xff) << 2);
    store<u32>(slot, load<u32>(slot) + 1);
  }
  let sum: u32 = 0;
  for (let slot = COUNTS; slot < COUNTS + 0x400; slot += 4) {
    const here = load<u32>(slot);
    store<u32>(slot, sum);
    sum += here;
  }
  for (let i: u32 = 0; i < count; i++) {
    const entry = load<u32>(from + (i << 2));
    const slot = COUNTS + (((entry >> shift) & 0xff) << 2);
    const place = load<u32>(slot);
    store<u32>(slot, place + 1);
    store<u32>(to + (place << 2), entry);
  }
}

@inline
function weight(i: i32): u32 {
  return load<u32>(SORTED + (i << 2));
}

@inline
function setWeight(i: i32, value: u32): void {
  store<u32>(SORTED + (i << 2), value);
}

/** Ascending frequencies in SORTED become descending lengths (Moffat, Katajainen 1995). */
function findLengths(used: i32): void {
  setWeight(0, weight(0) + weight(1));
  let root = 0;
  let leaf = 2;
  for (let next = 1; next < used - 1; next++) {
    if (leaf >= used || weight(root) < weight(leaf)) {
      setWeight(next, weight(root));
      setWeight(root++, next);
    } else setWeight(next, weight(leaf++));
    if (leaf >= used || (root < next && weight(root) < weight(leaf))) {
      setWeight(next, weight(next) + weight(root));
      setWeight(root++, next);
    } else setWeight(next, weight(next) + weight(leaf++));
  }
  setWeight(used - 2, 0);
  for (let next = used - 3; next >= 0; next--) setWeight(next, weight(weight(next)) + 1);
  let available = 1;
  let internal = 0;
  let depth: u32 = 0;
  root = used - 2;
  let next = used - 1;
  while (available > 0) {
    while (root >= 0 && weight(root) == depth) {
      internal++;
      root--;
    }
    while (available > internal) {
      setWeight(next--, depth);
      available--;
    }
    available = 2 * internal;
    depth++;
    internal = 0;
  }
}

/** Brings all lengths down to `limit` and the code back to a complete one. */
function shorten(limit: u32): void {
  let long = load<u32>(OF_LENGTH + (limit << 2));
  for (let length = limit + 1; length <= 32; length++) long += load<u32>(OF_LENGTH + (length << 2));
  store<u32>(OF_LENGTH + (limit << 2), long);
  let total: u32 = 0;
  for (let length: u32 = 1; length <= limit; length++) total += load<u32>(OF_LENGTH + (length << 2)) << (limit - length);
  for (; total > <u32>1 << limit; total--) {
    store<u32>(OF_LENGTH + (limit << 2), load<u32>(OF_LENGTH + (limit << 2)) - 1);
    for (let length = limit - 1; length > 0; length--) {
      const slot = OF_LENGTH + (length << 2);
      const count = load<u32>(slot);
      if (count == 0) continue;
      store<u32>(slot, count - 1);
      store<u32>(slot + 4, load<u32>(slot + 4) + 2);
      break;
    }
  }
}

function reversed(code: u32, length: u32): u32 {
  let result: u32 = 0;
  for (let i: u32 = 0; i < length; i++) {
    result = (result << 1) | (code & 1);
    code >>= 1;
  }
  return result;
}
