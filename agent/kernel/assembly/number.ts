/** Whole numbers as decimal digits. */

const TEXT = memory.data(32, 16);
/** Where the digits of the number that was made last end. */
export const DIGITS_END: u32 = <u32>TEXT + 32;

/** The digits of a whole number up to 2^53, before DIGITS_END. @returns how many there are. */
export function makeDigits(number: f64): u32 {
  let at = DIGITS_END;
  let value = <u64>number;
  while (value > 0xffffffff) {
    const rest = value / 10;
    store<u8>(--at, <u8>(0x30 + value - rest * 10));
    value = rest;
  }
  let small = <u32>value;
  do {
    const rest = small / 10;
    store<u8>(--at, <u8>(0x30 + small - rest * 10));
    small = rest;
  } while (small > 0);
  return DIGITS_END - at;
}
