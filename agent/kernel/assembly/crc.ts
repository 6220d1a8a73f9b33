/**
 * CRC-32 of gzip (RFC 1952) without a table: all but the last five thousand bytes of a piece are folded into them, and
 * what they have become has the CRC of the whole. 22 GB/s in the second cache, and 20 for 256 KiB with what is left to
 * node:zlib's crc32, which alone has 5 (`npm run bench:micro`).
 *
 * A CRC is the remainder of a polynomial whose highest power is the first bit, and multiples of the CRC's own polynomial
 * may be added to it. One of these is y^4949 + y^3112 + y^1749 + 1 with y = x^8: it removes a byte by xoring it into those
 * 1837, 3200 and 4949 bytes behind it. All powers are whole bytes, so nothing needs shifting or carry-less products.
 *
 * All with four terms were found by looking for two pairs of powers with the same remainder. The shortest (140, 791, 3006)
 * is at 18 GB/s, since it reads what is still on its way into the cache; the next (1927, 2181, 4018) at 21, since all its
 * reads cross cache lines, where this one has 3200 of whole blocks. Five terms of whole blocks (2320, 2928, 3376, 4800)
 * are a fifth load: 21. Three terms begin at 91,639 bytes.
 */
import { OUTPUT } from "./layout";

const NEAR: usize = 1837;
const MIDDLE: usize = 3200;
const FAR: usize = 4949;

/** So many bytes are folded before the last of them move to the front: all that is used has room in the first cache. */
const RUN_BYTES: u32 = 0x6c00;

/**
 * What the last FAR bytes were when they were removed, and behind them those that follow; in the room for compressed
 * bytes, which are made later. Bytes are written FAR behind the place that is read: on whole blocks.
 */
const FOLDED: u32 = OUTPUT + 16 - (FAR & 15);

/** Where the rest lies, until something is compressed. */
export const CRC_REST: u32 = FOLDED;

/**
 * Folds [from, to), at least four bytes, of a CRC that was `previous` before them; up to 15 bytes behind are read.
 * @returns bytes of the rest: their CRC is that of all, when it begins with a register of zero (a CRC of 2^32 - 1).
 */
export function foldCrc(from: u32, to: u32, previous: u32): u32 {
  memory.fill(FOLDED, 0, FAR);
  // The register's beginning goes into the first bytes from FAR before them.
  store<u32>(FOLDED, ~previous);
  let at = from;
  while (to - at >= FAR + 16) {
    const end = at + (min<u32>(to - at - FAR, RUN_BYTES) & ~15);
    let last = FOLDED;
    for (; at < end; at += 16, last += 16) v128.store(last, folded(at, last), FAR);
    memory.copy(FOLDED, last, FAR);
  }
  // Of the rest nothing is removed, so that nothing is xored into what follows.
  memory.fill(FOLDED + FAR, 0, FAR);
  const rest = to - at;
  for (let last = FOLDED; at < to; at += 16, last += 16) v128.store(last, folded(at, last));
  return rest;
}

/** 16 bytes at `at`, with what was removed before them; `last` is FAR before them among these. */
@inline
function folded(at: u32, last: u32): v128 {
  const far = v128.load(last);
  const middle = v128.load(last, FAR - MIDDLE);
  const near = v128.load(last, FAR - NEAR);
  return v128.xor(v128.xor(v128.load(at), far), v128.xor(middle, near));
}
