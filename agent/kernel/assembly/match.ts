/** What the compressors share: how far two places are equal. */

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
