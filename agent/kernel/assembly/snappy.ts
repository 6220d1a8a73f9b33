/**
 * Snappy's block format; outputs/snappy.ts describes it and is the twin. 0.78 CPU-seconds for a GB of pushes to Loki; where
 * every place was looked up, within blocks of 64 KiB, 1.07 and 3 % less room.
 */
import { PLACES } from "./layout";
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

/** Appends the elements of [from, to) at `out`. @returns the end of what was written. */
export function snappy(from: u32, to: u32, out: u32): u32 {
  // 0 is a place like any other: whatever is found is compared.
  memory.fill(PLACES, 0, 2 << PLACES_BITS);
  let literal = from;
  let at = from + 1;
  let misses = STEP << PATIENCE_BITS;
  let found: u32 = 0;
  const lastProbe = max(to, 8) - 8;
  for (;;) {
    while (at <= lastProbe) {
      const bytes = load<u64>(at);
      const slot = slotOf(bytes);
      found = at - ((at - <u32>load<u16>(slot)) & FARTHEST);
      store<u16>(slot, <u16>at);
      if (load<u64>(found) == bytes) break;
      at += misses++ >> PATIENCE_BITS;
    }
    if (at > lastProbe) break;
    // A place that was never seen, or just beyond the farthest.
    if (found < from || found == at) {
      at++;
      continue;
    }
    const end = at + SHORTEST + equalBytes(found + SHORTEST, at + SHORTEST, to);
    const offset = at - found;
    // What was stepped over may belong to it.
    const unequal = load<u64>(at - 8) ^ load<u64>(found - 8);
    at -= min<u32>(<u32>clz(unequal) >> 3, min<u32>(at - literal, found - from));
    // So that it is found again by steps that fall elsewhere: without these 7 % quicker, and 2 % larger.
    note(at + 1);
    note(at + 3);
    out = writeLiteral(literal, at, out);
    out = writeCopy(offset, end - at, out);
    at = end;
    literal = at;
    misses = STEP << PATIENCE_BITS;
  }
  return writeLiteral(literal, to, out);
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
