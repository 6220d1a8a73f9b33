/**
 * Snappy's block format; outputs/snappy.ts describes it and is the twin. 1.2 CPU-seconds for a GB of log, where one loop for
 * probes and matches, with a loop for each run of single bytes, took 1.5, and places of four bytes each in a table of
 * 128 KiB, for matches of at least four bytes, 2.6 and 2 % more room (`npm run bench:micro`).
 */
import { PLACES } from "./layout";
import { equalBytes } from "./match";

/** Matches stay within a block, so that two bytes hold every offset, and every place within it. */
const BLOCK_BYTES: u32 = 0x10000;
/** Shorter ones save little and cost a wrong guess of the processor each: 7 % slower with six, and 1 % smaller. */
const SHORTEST: u32 = 8;
/** Where in the block each hash was seen last, u16: 32 KiB, which stay in the processor's first cache. */
const PLACES_BITS: u32 = 14;

/** Steps grow by one for so many that found nothing: with twice as many 3 % slower, half a percent smaller. */
const PATIENCE_BITS: u32 = 4;
const PATIENT: u32 = 1 << PATIENCE_BITS;

/** Appends the elements of [from, to) at `out`. @returns the end of what was written. */
export function snappy(from: u32, to: u32, out: u32): u32 {
  for (let at = from; at < to; at += BLOCK_BYTES) out = compressBlock(at, min(to, at + BLOCK_BYTES), out);
  return out;
}

/** Where the place of these bytes is kept. */
@inline
function slotOf(bytes: u64): usize {
  return PLACES + (<u32>((bytes * 0x9e3779b97f4a7c15) >> (64 - PLACES_BITS)) << 1);
}

function compressBlock(from: u32, to: u32, out: u32): u32 {
  // 0 is a place like any other: whatever is found is compared.
  memory.fill(PLACES, 0, 2 << PLACES_BITS);
  let literal = from;
  let at = from + 1;
  let misses = PATIENT;
  let found: u32 = 0;
  const lastProbe = max(to, 8) - 8;
  for (;;) {
    while (at <= lastProbe) {
      const bytes = load<u64>(at);
      const slot = slotOf(bytes);
      found = from + <u32>load<u16>(slot);
      store<u16>(slot, <u16>(at - from));
      if (load<u64>(found) == bytes) break;
      at += misses++ >> PATIENCE_BITS;
    }
    if (at > lastProbe) break;
    const end = at + SHORTEST + equalBytes(found + SHORTEST, at + SHORTEST, to);
    const offset = at - found;
    // What was stepped over may belong to it.
    const unequal = load<u64>(at - 8) ^ load<u64>(found - 8);
    at -= min<u32>(<u32>clz(unequal) >> 3, min<u32>(at - literal, found - from));
    out = writeLiteral(literal, at, out);
    out = writeCopy(offset, end - at, out);
    at = end;
    literal = at;
    misses = PATIENT;
    if (at <= lastProbe) store<u16>(slotOf(load<u64>(at - 1)), <u16>(at - 1 - from));
  }
  return writeLiteral(literal, to, out);
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
  } else {
    store<u8>(out, 61 << 2);
    store<u16>(out + 1, <u16>rest);
    out += 3;
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
