/**
 * A row's payload: its message as a text, or pieces of it as the JSON that they are. Its members are these pieces: ranges
 * of values, with a mark in the length of the first one's name. Its twin is the end of an entry in
 * outputs/stackdriver-entry.ts.
 *
 * Takes four constants: what stands before and behind a text, and before and behind JSON.
 */
import { copy, escape, PART_BYTES } from "./encode";

// A mark of 0 is one piece, as it is.
/** Members of an object that has lost some, in runs: braces around and commas between them. */
const RUNS: u32 = 1;
/** One piece, the inside of a string: a text, but escaped already. */
const STRING: u32 = 2;

/** @returns more than `last` for no room. */
export function writePayload(at: u32, from: u32, to: u32, member: u32, count: u32, input: u32, out: u32, last: u32): u32 {
  const mark = count == 0 ? STRING : load<u32>(member, 4) - load<u32>(member);
  const constants = mark == STRING ? at : at + 2 * PART_BYTES;
  out = copy(load<u32>(constants), load<u32>(constants, 4), out, last);
  if (out > last) return out;
  if (count == 0) out = escape(from, to, out, last);
  else {
    if (mark == RUNS) store<u8>(out++, 0x7b);
    for (const end = member + (count << 4); ; ) {
      const start = input + load<u32>(member, 8);
      out = copy(start, input + load<u32>(member, 12) - start, out, last);
      if (out > last) return out;
      member += 16;
      if (member == end) break;
      store<u8>(out++, 0x2c);
    }
    if (mark == RUNS) store<u8>(out++, 0x7d);
  }
  if (out > last) return out;
  return copy(load<u32>(constants, PART_BYTES), load<u32>(constants, PART_BYTES + 4), out, last);
}
