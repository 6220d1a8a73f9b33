/** Whole numbers as decimal digits. */

const ASCII: u64 = 0x3030303030303030;
const EIGHT_DIGITS: u32 = 100_000_000;

/** Of the number that was made last: its first eight of sixteen digits, and its last eight; the first is the lowest byte. */
let high: u64 = 0;
let low: u64 = 0;

/** Makes the digits of a whole number up to 2^53. @returns how many there are. */
export function makeDigits(number: f64): u32 {
  const value = <u64>number;
  if (value < EIGHT_DIGITS) {
    const digits = eightDigits(<u32>value);
    high = ASCII;
    low = digits | ASCII;
    return 8 - (<u32>ctz(digits | (1 << 56)) >> 3);
  }
  const above = value / EIGHT_DIGITS;
  const digits = eightDigits(<u32>above);
  high = digits | ASCII;
  low = eightDigits(<u32>(value - above * EIGHT_DIGITS)) | ASCII;
  return 16 - (<u32>ctz(digits) >> 3);
}

/** Writes the digits that were made last, `count` of them, and a few bytes more. */
@inline
export function putDigits(out: u32, count: u32): void {
  if (count <= 8) store<u64>(out, low >> (<u64>(8 - count) << 3));
  else {
    store<u64>(out, high >> (<u64>(16 - count) << 3));
    store<u64>(out + count - 8, low);
  }
}

/** Writes sixteen digits of the number that was made last. */
@inline
export function putWideDigits(out: u32): void {
  store<u64>(out, high);
  store<u64>(out + 8, low);
}

/** Writes the nine digits of nanoseconds. */
@inline
export function putNanos(out: u32, nanos: u32): void {
  const tens = nanos / 10;
  store<u64>(out, eightDigits(tens) | ASCII);
  store<u8>(out + 8, <u8>(0x30 + nanos - tens * 10));
}

/** Of a number below 10^8, one in each byte: it is cut into halves of four digits, these into two, and these into one. */
@inline
function eightDigits(value: u32): u64 {
  const top = value / 10_000;
  const fours = <u64>top | (<u64>(value - top * 10_000) << 32);
  // A hundredth and a tenth by multiplication.
  const hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
  const twos = hundreds | ((fours - hundreds * 100) << 16);
  const tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
  return tens | ((twos - tens * 10) << 8);
}
