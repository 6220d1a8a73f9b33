/** Snappy's block format; outputs/snappy.ts describes it and is the twin. */
import { base, equalBytes, placeOf } from "./match";

/** Matches stay within a block, so that two bytes hold every offset. */
const BLOCK_BYTES: u32 = 0x10000;
const SHORTEST: u32 = 4;
const UNUSED_BITS: u64 = 64 - SHORTEST * 8;

/** Appends the elements of [from, to) at `out`. @returns the end of what was written. */
export function snappy(from: u32, to: u32, out: u32): u32 {
  for (let at = from; at < to; at += BLOCK_BYTES) out = compressBlock(at, min(to, at + BLOCK_BYTES), out);
  return out;
}

function compressBlock(from: u32, to: u32, out: u32): u32 {
  let literal = from;
  let at = from;
  let misses: u32 = 32;
  const low = from + base;
  while (at + 8 <= to) {
    const bytes = load<u64>(at) << UNUSED_BITS;
    const place = placeOf(bytes);
    const known = load<u32>(place);
    store<u32>(place, at + base);
    // Places of earlier blocks and inputs are lower, none can be higher.
    const found = known - base;
    if (known < low || (load<u64>(found) << UNUSED_BITS) != bytes) {
      at += misses++ >> 5;
      continue;
    }
    const length = SHORTEST + equalBytes(found + SHORTEST, at + SHORTEST, to);
    out = writeLiteral(literal, at, out);
    out = writeCopy(at - found, length, out);
    at += length;
    literal = at;
    misses = 32;
    if (at + 8 <= to) store<u32>(placeOf(load<u64>(at - 1) << UNUSED_BITS), at - 1 + base);
  }
  return writeLiteral(literal, to, out);
}

function writeLiteral(from: u32, to: u32, out: u32): u32 {
  const size = to - from;
  if (size == 0) return out;
  const rest = size - 1;
  if (rest < 60) {
    store<u8>(out++, <u8>(rest << 2));
  } else if (rest < 256) {
    store<u16>(out, <u16>((60 << 2) | (rest << 8)));
    out += 2;
  } else {
    store<u8>(out, 61 << 2);
    store<u16>(out + 1, <u16>rest);
    out += 3;
  }
  if (size <= 32) {
    // Two stores, whatever the length: what is too much is written over or lies in the slack.
    v128.store(out, v128.load(from));
    v128.store(out + 16, v128.load(from + 16));
  } else memory.copy(out, from, size);
  return out + size;
}

function writeCopy(offset: u32, length: u32, out: u32): u32 {
  while (length > 64) {
    const size: u32 = length >= 68 ? 64 : 60;
    out = writeLongCopy(offset, size, out);
    length -= size;
  }
  if (length >= 12 || offset >= 2048) return writeLongCopy(offset, length, out);
  store<u16>(out, <u16>(((offset >> 8) << 5) | ((length - 4) << 2) | 1 | ((offset & 0xff) << 8)));
  return out + 2;
}

@inline
function writeLongCopy(offset: u32, size: u32, out: u32): u32 {
  store<u32>(out, ((size - 1) << 2) | 2 | (offset << 8));
  return out + 3;
}
