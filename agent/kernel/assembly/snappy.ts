/**
 * Snappy's block format; outputs/snappy.ts describes it and is the twin. 0.70 CPU-seconds for a GB of logs on their
 * way to Loki; where every place was looked up, within blocks of 64 KiB, 1.07 and 3 % less room.
 */
import { MAX_ROWS, PLACES, SEQUENCES } from "./layout";
import { equalBytes } from "./match";

/** Shorter ones save little and cost a wrong guess of the processor each: 7 % slower with six, and 1 % smaller. */
const SHORTEST: u32 = 8;
/** Where each hash was seen last: the low 16 bits, as two bytes hold every offset. 32 KiB, which stay in the first cache. */
const PLACES_BITS: u32 = 14;
const FARTHEST: u32 = 0xffff;

/**
 * Only every fourth place is looked up, since bytes before a match are found from behind: with every third 7 % slower and
 * 2 % smaller, with every one 45 % and 7 %.
 */
const STEP: u32 = 4;
/** Steps grow by one for so many that found nothing. */
const PATIENCE_BITS: u32 = 4;

/**
 * What is compressed is a row of sections. Each begins as some other one did, goes on with text in which equal bytes are
 * searched for, and has a tail that begins as an earlier one's. In words: where it begins, where the search does, where the
 * tail begins, and where that earlier tail did; 0: there is none. The section behind it begins where it ends.
 */
export const SECTION_BYTES: u32 = 16;
export const SECTIONS: u32 = SEQUENCES;
/** All of them, and two that are only the end of others. */
export const SECTIONS_END: u32 = SECTIONS + (MAX_ROWS + 2) * SECTION_BYTES;

@inline
export function setSection(at: u32, start: u32, text: u32, tail: u32, earlier: u32): void {
  store<u32>(at, start);
  store<u32>(at, text, 4);
  store<u32>(at, tail, 8);
  store<u32>(at, earlier, 12);
}

/** Appends the elements of [from, to) at `out`. @returns the end of what was written. */
export function snappy(from: u32, to: u32, out: u32): u32 {
  setSection(SECTIONS, from, from + 1, to, 0);
  setSection(SECTIONS + SECTION_BYTES, to, to, to, 0);
  return packSections(SECTIONS, SECTION_BYTES, 1, out);
}

/**
 * Appends the elements of `count` sections, of which the first is at `section` and the next `stride` bytes on, at `out`.
 * Where a head and a tail are looked up is known from the start, so that the processor need not wait for the search to come
 * there: 13 % less than without sections, and 0.5 % more bytes. @returns the end of what was written.
 */
export function packSections(section: u32, stride: u32, count: u32, out: u32): u32 {
  // 0 is a place like any other: whatever is found is compared.
  memory.fill(PLACES, 0, 2 << PLACES_BITS);
  const from = load<u32>(section);
  let literal = from;
  for (; count > 0; count--, section += stride) {
    const start = load<u32>(section);
    const tail = load<u32>(section, 8);
    const head = load<u64>(start);
    let found = lookUp(start, head);
    if (load<u64>(found) == head && found >= from && found != start) {
      const end = start + SHORTEST + equalBytes(found + SHORTEST, start + SHORTEST, tail);
      out = writeMatch(literal, start, found, end, from, out);
      literal = end;
    }
    let at = max(load<u32>(section, 4), literal);
    let misses = STEP << PATIENCE_BITS;
    const lastProbe = max(tail, 8) - 8;
    for (;;) {
      while (at <= lastProbe) {
        const bytes = load<u64>(at);
        found = lookUp(at, bytes);
        if (load<u64>(found) == bytes) break;
        at += misses++ >> PATIENCE_BITS;
      }
      if (at > lastProbe) break;
      // A place that was never seen, or just beyond the farthest.
      if (found < from || found == at) {
        at++;
        continue;
      }
      const end = at + SHORTEST + equalBytes(found + SHORTEST, at + SHORTEST, tail);
      out = writeMatch(literal, at, found, end, from, out);
      // So that it is found again by steps that fall elsewhere: without these 2 % larger.
      note(at + 1);
      note(at + 3);
      at = end;
      literal = at;
      misses = STEP << PATIENCE_BITS;
    }
    const earlier = load<u32>(section, 12);
    if (earlier != 0 && tail - earlier <= FARTHEST) {
      const length = equalBytes(earlier, tail, load<u32>(section + stride));
      if (length >= SHORTEST) {
        out = writeMatch(literal, tail, earlier, tail + length, from, out);
        literal = tail + length;
      }
    }
  }
  return writeLiteral(literal, load<u32>(section), out);
}

/** Where these bytes were seen last, perhaps; from now on that is `at`. */
@inline
function lookUp(at: u32, bytes: u64): u32 {
  const slot = slotOf(bytes);
  const found = at - ((at - <u32>load<u16>(slot)) & FARTHEST);
  store<u16>(slot, <u16>at);
  return found;
}

/** What is not written yet, from `literal` on, and that [at, end) is the same as from `found` on. */
@inline
function writeMatch(literal: u32, at: u32, found: u32, end: u32, from: u32, out: u32): u32 {
  const offset = at - found;
  // What was stepped over may belong to it.
  const unequal = load<u64>(at - 8) ^ load<u64>(found - 8);
  at -= min<u32>(<u32>clz(unequal) >> 3, min<u32>(at - literal, found - from));
  return writeCopy(offset, end - at, writeLiteral(literal, at, out));
}

/** Where the place of these bytes is kept. */
@inline
function slotOf(bytes: u64): usize {
  return PLACES + (<u32>((bytes * 0x9e3779b97f4a7c15) >> (64 - PLACES_BITS)) << 1);
}

@inline
function note(at: u32): void {
  store<u16>(slotOf(load<u64>(at)), <u16>at);
}

function writeLiteral(from: u32, to: u32, out: u32): u32 {
  const size = to - from;
  if (size == 0) return out;
  const rest = size - 1;
  if (rest < 60) {
    // Most are this short: no loop, whose end would have to be guessed.
    store<u8>(out++, <u8>(rest << 2));
    v128.store(out, v128.load(from));
    if (size <= 16) return out + size;
  } else if (rest < 256) {
    store<u16>(out, <u16>((60 << 2) | (rest << 8)));
    out += 2;
  } else if (rest < 0x10000) {
    store<u32>(out, (61 << 2) | (rest << 8));
    out += 3;
  } else {
    store<u32>(out, (62 << 2) | (rest << 8));
    out += 4;
  }
  // What is too much is written over or lies in the slack.
  const end = out + size;
  do {
    v128.store(out, v128.load(from));
    out += 16;
    from += 16;
  } while (out < end);
  return end;
}

function writeCopy(offset: u32, length: u32, out: u32): u32 {
  while (length > 64) {
    const size: u32 = length >= 68 ? 64 : 60;
    out = writeLongCopy(offset, size, out);
    length -= size;
  }
  // Either form is written without a guess of which it is.
  const isLong = <u32>(length >= 12) | <u32>(offset >= 2048);
  const long = ((length - 1) << 2) | 2 | (offset << 8);
  const short = ((offset >> 8) << 5) | ((length - 4) << 2) | 1 | ((offset & 0xff) << 8);
  store<u32>(out, isLong ? long : short);
  return out + 2 + isLong;
}

@inline
function writeLongCopy(offset: u32, size: u32, out: u32): u32 {
  store<u32>(out, ((size - 1) << 2) | 2 | (offset << 8));
  return out + 3;
}
