/** What the compressors share: where places are kept by their first bytes, and how far two places are equal. */
import { HASH, HASH_BITS, HASH_BYTES } from "./layout";

/**
 * Added to addresses before they go into the hash table, so that places of former inputs are told by being too low and
 * the table needs no clearing for each of them.
 */
export let base: u32 = 0;
/** Before it overflows, all places are forgotten. */
const FAR: u32 = 0x70000000;

/** Forgets all places. */
export function clearPlaces(): void {
  memory.fill(HASH, 0, HASH_BYTES);
  base = 0;
}

/** Everything so far becomes too low: the next input has nothing to do with it. @param span addresses that were used. */
export function forgetPlaces(span: u32): void {
  if (base > FAR) clearPlaces();
  else base += span;
}

/** The bytes have moved down by `distance`; so have the places that are known. */
export function shiftPlaces(distance: u32): void {
  if (base > FAR) clearPlaces();
  else base += distance;
}

@inline
export function placeOf(bytes: u64): usize {
  return HASH + (<u32>((bytes * 0x9e3779b97f4a7c15) >> (64 - HASH_BITS)) << 2);
}

/** How many bytes at `a` and `b` are equal, `b` < `end`; 16 at a time, so 16 bytes behind `end` must be readable. */
@inline
export function equalBytes(a: usize, b: usize, end: usize): u32 {
  const from = b;
  while (b < end) {
    const unequal = ~i8x16.bitmask(i8x16.eq(v128.load(a), v128.load(b))) & 0xffff;
    if (unequal != 0) {
      b += ctz(unequal);
      break;
    }
    a += 16;
    b += 16;
  }
  return <u32>(min(b, end) - from);
}
