/**
 * Raw deflate (RFC 1951): greedy matches found by a hash of eight bytes, and a dynamic Huffman code for each block. At
 * the ratio of zlib's level 1 for half of its time (`npm run bench:micro`).
 *
 * A body is compressed in pieces. A piece lies in the window behind up to 32 KiB that came before it and may be
 * repeated. Bits that make no whole byte are kept for the next piece. More than 300 lines, since matching and coding work
 * on the same memory.
 */
import { makeCode } from "./huffman";
import { HISTORY_BYTES, LITERAL_BYTES, MAX_SEQUENCES, MAX_SYMBOLS, PLACES, REPEATS, SEQUENCES, TABLES } from "./layout";
import { equalBytes } from "./match";
import { endRepeats, forgetRepeats, REPEAT_BYTES } from "./repeats";

const LITERALS: u32 = 286;
const DISTANCES: u32 = 30;
const END_OF_BLOCK: u32 = 256;
const LONGEST: u32 = 258;
/** Of equal bytes, in as many matches as it takes. A block's end is a good enough place to cut what repeats without end. */
const LONGEST_RUN: u32 = 0xff00;
/** Shorter matches gain little and cost a wrong guess of the processor each: 2 to 6 % slower with six, up to 2 % smaller. */
const SHORTEST: u32 = 8;
/**
 * Where each hash was seen last, u16: so few that they stay in the first cache beside the window, and with so few bits
 * that a place of long ago looks like a new one, which comparing tells. In 128 KiB of whole places the search took 6 %
 * longer, for 0.9 % of the size.
 */
const PLACES_BITS: u32 = 13;
/** So close to a repeat nothing is looked for: mostly it is the rest of a number. */
const NEARBY: u32 = 24;
/** Steps grow by one for so many that found nothing: with twice as many 5 % slower, 0.4 % smaller. */
const PATIENCE_BITS: u32 = 4;
const PATIENT: u32 = 1 << PATIENCE_BITS;

/** Frequencies and codes, u32 by symbol. */
const LITERAL_COUNTS: u32 = TABLES;
const DISTANCE_COUNTS: u32 = TABLES + 0x500;
const LITERAL_CODES: u32 = TABLES + 0x600;
const DISTANCE_CODES: u32 = TABLES + 0xb00;
const LENGTH_COUNTS: u32 = TABLES + 0xc00;
const LENGTH_CODES: u32 = TABLES + 0xd00;
/** u32 by match length - 3: code and extra bits | how many << 24. */
const MATCH_CODES: u32 = TABLES + 0x1000;
/** The code lengths of both codes in their run-length form, u16: symbol | extra bits << 8. */
const RUNS: u32 = TABLES + 0x1400;
/** u8 by match length - 3: its symbol - 257. */
const LENGTH_SYMBOLS: u32 = TABLES + 0x2000;
/** Code lengths of both codes in one row, u8. */
const LENGTHS: u32 = TABLES + 0x2400;
/** Four times u32 by byte: how often it is a literal, counted in turns, as a counter waits for its last change. */
const HISTOGRAMS: u32 = TABLES + 0x6000;

let bits: u64 = 0;
let bitCount: u32 = 0;
let out: u32 = 0;
/** The repeat that comes next. */
let repeat: u32 = REPEATS;
/** Added to addresses before they become places: how far the bytes have moved down since the body began. */
export let moved: u32 = 0;

/** Smallest length and extra bits of each length symbol. */
const LENGTH_BASES = memory.data<u8>([
  0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 255,
]);
const LENGTH_EXTRA = memory.data<u8>([
  0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
]);
/** The order in which the lengths of the code for code lengths are written. */
const ORDER = memory.data<u8>([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]);

/** Fills the tables that never change. */
export function prepareDeflate(): void {
  for (let symbol: u32 = 0; symbol < 29; symbol++) {
    const first: u32 = load<u8>(LENGTH_BASES + symbol);
    const last: u32 = symbol == 28 ? 256 : load<u8>(LENGTH_BASES + symbol + 1);
    for (let length = first; length < last; length++) store<u8>(LENGTH_SYMBOLS + length, <u8>symbol);
  }
}

/** Forgets what is left of another body. */
export function beginDeflate(): void {
  memory.fill(PLACES, 0, 2 << PLACES_BITS);
  moved = 0;
  forgetRepeats();
  bits = 0;
  bitCount = 0;
}

/** The bytes have moved down by `distance`. */
export function moveDown(distance: u32): void {
  moved += distance;
}

/** Where the place of these bytes is kept. */
@inline
function slotOf(bytes: u64): usize {
  return PLACES + (<u32>((bytes * 0x9e3779b97f4a7c15) >> (64 - PLACES_BITS)) << 1);
}

/**
 * Compresses [from, to). @param low where the history begins. @param target where whole bytes are written.
 * @param final this is the last piece: it ends the stream. @returns the end of what was written.
 */
export function deflate(low: u32, from: u32, to: u32, target: u32, final: bool): u32 {
  out = target;
  endRepeats();
  repeat = REPEATS;
  let at = from;
  do {
    at = compressBlock(low, at, to, final);
  } while (at < to);
  forgetRepeats();
  if (final) {
    store<u64>(out, bits);
    out += (bitCount + 7) >> 3;
  }
  return out;
}

/**
 * Compresses a block's worth. @returns where it ended. What a match has of bytes, before, after and as literals between,
 * is taken in whole words: each loop over single ones was a wrong guess of the processor for nearly every match, and all
 * of them a quarter of the time.
 */
function compressBlock(low: u32, from: u32, to: u32, final: bool): u32 {
  memory.fill(LITERAL_COUNTS, 0, 0x600);
  let sequence = SEQUENCES;
  const lastSequence = SEQUENCES + (MAX_SEQUENCES - (0x10000 >> 8)) * 8;
  let literals = LITERAL_BYTES;
  let literal = from;
  let at = from;
  let misses = PATIENT;
  // Literals that are waiting count as symbols too.
  let symbolsLeft: i32 = MAX_SYMBOLS;
  const shift = moved;
  const lastStart = to - 8;
  let next = nextRepeat(repeat, at);
  let repeatAt = load<u32>(next);
  // Literals that are waiting must fit into the block. One limit for all is 1 % faster than two.
  let lastProbe: u32 = probeLimit(at, literal + symbolsLeft - 1, to, repeatAt);
  let found: u32 = 0;
  let distance: u32 = 0;
  for (;;) {
    // A loop of its own, which needs few registers: half of the search is spent here.
    while (at <= lastProbe) {
      const bytes = load<u64>(at);
      const slot = slotOf(bytes);
      distance = (at + shift - <u32>load<u16>(slot)) & 0xffff;
      store<u16>(slot, <u16>(at + shift));
      found = at - distance;
      if (load<u64>(found) == bytes) break;
      at += misses++ >> PATIENCE_BITS;
    }
    let length: u32;
    if (at > lastProbe) {
      // A block's end, or a repeat.
      if (repeatAt >= to || repeatAt - literal >= <u32>symbolsLeft) {
        at = min<u32>(to, literal + symbolsLeft);
        break;
      }
      at = max(repeatAt, literal);
      distance = load<u32>(next, 8);
      found = at - distance;
      const end = load<u32>(next, 4);
      length = end - at;
      next += REPEAT_BYTES;
      // Numbers and times begin as the ones before them.
      const more = i8x16.bitmask(i8x16.eq(v128.load(end), v128.load(end - distance))) | (i8x16.bitmask(i8x16.eq(v128.load(end + 16), v128.load(end + 16 - distance))) << 16);
      length = min<u32>(length + <u32>ctz(~more), min<u32>(to - at, LONGEST_RUN));
    } else {
      if (distance - 1 >= HISTORY_BYTES || found < low) {
        at++;
        continue;
      }
      length = min<u32>(SHORTEST + equalBytes(found + SHORTEST, at + SHORTEST, to), LONGEST_RUN);
    }
    // What was stepped over may belong to it.
    const unequal = load<u64>(at - 8) ^ load<u64>(found - 8);
    const back = min<u32>(<u32>clz(unequal) >> 3, min<u32>(at - literal, found - low));
    at -= back;
    length += back;
    let waiting = at - literal;
    literals = keepLiterals(literal, waiting, literals);
    symbolsLeft -= waiting;
    const distanceLess = distance - 1;
    const distanceSymbol = symbolOfDistance(distanceLess);
    const distanceSlot = DISTANCE_COUNTS + (distanceSymbol << 2);
    const tail = (<u64>distanceLess << 16) | (<u64>distanceSymbol << 40);
    at += length;
    do {
      let part = min<u32>(length, LONGEST);
      // What is left must be a match again.
      if (length - part > 0 && length - part < 3) part -= 3;
      const slot = LITERAL_COUNTS + ((257 + <u32>load<u8>(LENGTH_SYMBOLS + part - 3)) << 2);
      store<u32>(slot, load<u32>(slot) + 1);
      store<u32>(distanceSlot, load<u32>(distanceSlot) + 1);
      store<u64>(sequence, tail | waiting | (<u64>(part - 3) << 32));
      sequence += 8;
      symbolsLeft--;
      waiting = 0;
      length -= part;
    } while (length > 0);
    literal = at;
    misses = PATIENT;
    next = nextRepeat(next, at);
    repeatAt = load<u32>(next);
    lastProbe = probeLimit(at, literal + symbolsLeft - 1, to, repeatAt);
    // Where a match ended another one begins the next time.
    if (at <= lastStart) {
      store<u16>(slotOf(load<u64>(at - 2)), <u16>(at - 2 + shift));
    }
    if (sequence >= lastSequence || symbolsLeft < 0x1000) break;
  }
  repeat = next;
  literals = keepLiterals(literal, at - literal, literals);
  store<u64>(sequence, at - literal);
  countLiterals(literals);
  store<u32>(LITERAL_COUNTS + (END_OF_BLOCK << 2), 1);
  writeBlock(from, at, sequence, final && at == to);
  return at;
}

/** @returns the next repeat, from the given one on, of which enough is left behind `at`. */
@inline
function nextRepeat(repeat: u32, at: u32): u32 {
  while (load<u32>(repeat) < at && load<u32>(repeat, 4) < at + SHORTEST) repeat += REPEAT_BYTES;
  return repeat;
}

/** @returns the last place to look for a match at. */
@inline
function probeLimit(at: u32, full: u32, to: u32, repeatAt: u32): u32 {
  const end = min<u32>(to, repeatAt);
  return end < at + NEARBY ? 0 : min<u32>(end - 8, full);
}

/** Copies `count` literals to where they are kept. @returns the end of those. */
@inline
function keepLiterals(from: u32, count: u32, to: u32): u32 {
  v128.store(to, v128.load(from));
  for (let at: u32 = 16; at < count; at += 16) v128.store(to + at, v128.load(from + at));
  return to + count;
}

/** RFC 1951, 3.2.5, without a branch. */
@inline
function symbolOfDistance(less: u32): u32 {
  const high = 31 - clz(less | 1);
  const symbol = (high << 1) + ((less >> (high - 1)) & 1);
  return less == 1 ? 1 : symbol;
}

function countLiterals(end: u32): void {
  memory.fill(HISTOGRAMS, 0, 0x1000);
  let at = LITERAL_BYTES;
  for (; at + 4 <= end; at += 4) {
    const four = load<u32>(at);
    count(HISTOGRAMS + ((four & 0xff) << 2));
    count(HISTOGRAMS + 0x400 + (((four >> 8) & 0xff) << 2));
    count(HISTOGRAMS + 0x800 + (((four >> 16) & 0xff) << 2));
    count(HISTOGRAMS + 0xc00 + ((four >> 24) << 2));
  }
  for (; at < end; at++) count(HISTOGRAMS + (<u32>load<u8>(at) << 2));
  for (let slot: u32 = 0; slot < 0x400; slot += 16) {
    const two = i32x4.add(v128.load(HISTOGRAMS + slot), v128.load(HISTOGRAMS + 0x400 + slot));
    const four = i32x4.add(v128.load(HISTOGRAMS + 0x800 + slot), v128.load(HISTOGRAMS + 0xc00 + slot));
    v128.store(LITERAL_COUNTS + slot, i32x4.add(two, four));
  }
}

@inline
function count(slot: u32): void {
  store<u32>(slot, load<u32>(slot) + 1);
}

@inline
function put(value: u64, count: u32): void {
  bits |= value << bitCount;
  bitCount += count;
}

/** Writes whole bytes; at most 7 bits are left. */
@inline
function spill(): void {
  store<u64>(out, bits);
  out += bitCount >> 3;
  bits >>= bitCount & 0x38;
  bitCount &= 7;
}

/** Writes a block of the counted symbols: dynamic, or stored where that is shorter. */
function writeBlock(from: u32, to: u32, lastSequence: u32, final: bool): void {
  makeCode(LITERAL_COUNTS, LITERALS, 15, LITERAL_CODES);
  makeCode(DISTANCE_COUNTS, DISTANCES, 15, DISTANCE_CODES);
  let literals = LITERALS;
  while (literals > 257 && load<u32>(LITERAL_CODES + ((literals - 1) << 2)) == 0) literals--;
  let distances = DISTANCES;
  while (distances > 1 && load<u32>(DISTANCE_CODES + ((distances - 1) << 2)) == 0) distances--;
  for (let i: u32 = 0; i < literals; i++) store<u8>(LENGTHS + i, <u8>(load<u32>(LITERAL_CODES + (i << 2)) >> 16));
  for (let i: u32 = 0; i < distances; i++)
    store<u8>(LENGTHS + literals + i, <u8>(load<u32>(DISTANCE_CODES + (i << 2)) >> 16));
  const lastRun = makeRuns(literals + distances);
  makeCode(LENGTH_COUNTS, 19, 7, LENGTH_CODES);
  if (dynamicBits(lastRun) >= (to - from + 8) << 3) {
    writeStored(from, to, final);
    return;
  }
  put(final ? 5 : 4, 3);
  put(literals - 257, 5);
  put(distances - 1, 5);
  let lengths: u32 = 19;
  while (lengths > 4 && load<u32>(LENGTH_CODES + (<u32>load<u8>(ORDER + lengths - 1) << 2)) == 0) lengths--;
  put(lengths - 4, 4);
  for (let i: u32 = 0; i < lengths; i++) {
    put(load<u32>(LENGTH_CODES + (<u32>load<u8>(ORDER + i) << 2)) >> 16, 3);
    spill();
  }
  for (let run = RUNS; run < lastRun; run += 2) {
    const symbol = <u32>load<u8>(run);
    const code = load<u32>(LENGTH_CODES + (symbol << 2));
    put(code & 0xffff, code >> 16);
    if (symbol >= 16) put(load<u8>(run + 1), symbol == 16 ? 2 : symbol == 17 ? 3 : 7);
    spill();
  }
  for (let less: u32 = 0; less < 256; less++) {
    const symbol = <u32>load<u8>(LENGTH_SYMBOLS + less);
    const code = load<u32>(LITERAL_CODES + ((257 + symbol) << 2));
    const extra: u32 = less - load<u8>(LENGTH_BASES + symbol);
    const length = code >> 16;
    store<u32>(MATCH_CODES + (less << 2), (code & 0xffff) | (extra << length) | ((length + load<u8>(LENGTH_EXTRA + symbol)) << 24));
  }
  for (let symbol: u32 = 0; symbol < DISTANCES; symbol++) {
    const slot = DISTANCE_CODES + (symbol << 2);
    const extra: u32 = symbol < 4 ? 0 : (symbol >> 1) - 1;
    store<u32>(slot, load<u32>(slot) | (extra << 24));
  }
  writeSymbols(lastSequence);
}

/** Three literals at a time, whether there are so many or not: most matches have fewer before them. */
function writeSymbols(lastSequence: u32): void {
  // In locals: globals would be written to memory each time.
  let to = out;
  let held = bits;
  let heldBits = bitCount;
  let literals = LITERAL_BYTES;
  for (let sequence = SEQUENCES; ; sequence += 8) {
    const parts = load<u64>(sequence);
    let left = <i32>(parts & 0xffff);
    const end = literals + left;
    do {
      const a = load<u32>(LITERAL_CODES + (<u32>load<u8>(literals) << 2)) & (0 - <u32>(left > 0));
      const b = load<u32>(LITERAL_CODES + (<u32>load<u8>(literals + 1) << 2)) & (0 - <u32>(left > 1));
      const c = load<u32>(LITERAL_CODES + (<u32>load<u8>(literals + 2) << 2)) & (0 - <u32>(left > 2));
      const two = (a >> 16) + (b >> 16);
      const three: u64 = <u64>(a & 0xffff) | (<u64>(b & 0xffff) << (a >> 16)) | (<u64>(c & 0xffff) << two);
      held |= three << heldBits;
      heldBits += two + (c >> 16);
      store<u64>(to, held);
      to += heldBits >> 3;
      held >>= heldBits & 0x38;
      heldBits &= 7;
      literals += 3;
      left -= 3;
    } while (left > 0);
    literals = end;
    if (sequence == lastSequence) break;
    const length = load<u32>(MATCH_CODES + ((<u32>(parts >> 32) & 0xff) << 2));
    const code = load<u32>(DISTANCE_CODES + (<u32>(parts >> 40) << 2));
    const codeBits = (code >> 16) & 0xff;
    const extra = <u64>((<u32>parts >> 16) & ((1 << (code >> 24)) - 1));
    const match = <u64>(length & 0xffffff) | ((<u64>(code & 0xffff) | (extra << codeBits)) << (length >> 24));
    held |= match << heldBits;
    heldBits += (length >> 24) + codeBits + (code >> 24);
    store<u64>(to, held);
    to += heldBits >> 3;
    held >>= heldBits & 0x38;
    heldBits &= 7;
  }
  const end = load<u32>(LITERAL_CODES + (END_OF_BLOCK << 2));
  held |= <u64>(end & 0xffff) << heldBits;
  heldBits += end >> 16;
  out = to;
  bits = held;
  bitCount = heldBits;
  spill();
}

/** Run-length form of the lengths (3.2.7), and how often each of its symbols comes. @returns its end. */
function makeRuns(count: u32): u32 {
  memory.fill(LENGTH_COUNTS, 0, 19 << 2);
  let run = RUNS;
  for (let i: u32 = 0; i < count; ) {
    const length = <u32>load<u8>(LENGTHS + i);
    let same: u32 = 1;
    while (i + same < count && <u32>load<u8>(LENGTHS + i + same) == length) same++;
    i += same;
    if (length == 0) {
      while (same >= 11) {
        const take = min<u32>(same, 138);
        run = addRun(run, 18, take - 11);
        same -= take;
      }
      if (same >= 3) {
        run = addRun(run, 17, same - 3);
        same = 0;
      }
    } else {
      run = addRun(run, length, 0);
      same--;
      while (same >= 3) {
        const take = min<u32>(same, 6);
        run = addRun(run, 16, take - 3);
        same -= take;
      }
    }
    for (; same > 0; same--) run = addRun(run, length, 0);
  }
  return run;
}

function addRun(run: u32, symbol: u32, extra: u32): u32 {
  store<u8>(run, <u8>symbol);
  store<u8>(run + 1, <u8>extra);
  const slot = LENGTH_COUNTS + (symbol << 2);
  store<u32>(slot, load<u32>(slot) + 1);
  return run + 2;
}

/** How many bits the block takes with dynamic codes. */
function dynamicBits(lastRun: u32): u32 {
  let sum: u32 = 3 + 14 + 19 * 3;
  for (let run = RUNS; run < lastRun; run += 2) sum += (load<u32>(LENGTH_CODES + (<u32>load<u8>(run) << 2)) >> 16) + 7;
  for (let symbol: u32 = 0; symbol < LITERALS; symbol++) {
    const length = (load<u32>(LITERAL_CODES + (symbol << 2)) >> 16) + (symbol > 256 ? <u32>load<u8>(LENGTH_EXTRA + symbol - 257) : 0);
    sum += load<u32>(LITERAL_COUNTS + (symbol << 2)) * length;
  }
  for (let symbol: u32 = 0; symbol < DISTANCES; symbol++) {
    const length = (load<u32>(DISTANCE_CODES + (symbol << 2)) >> 16) + (symbol < 4 ? 0 : (symbol >> 1) - 1);
    sum += load<u32>(DISTANCE_COUNTS + (symbol << 2)) * length;
  }
  return sum;
}

function writeStored(from: u32, to: u32, final: bool): void {
  do {
    const size = min<u32>(to - from, 0xffff);
    put(final && from + size == to ? 1 : 0, 3);
    // To a byte's end.
    bitCount = (bitCount + 7) & ~7;
    spill();
    store<u32>(out, size | ((size ^ 0xffff) << 16));
    memory.copy(out + 4, from, size);
    out += 4 + size;
    from += size;
  } while (from < to);
}
