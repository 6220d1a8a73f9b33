/**
 * A row's fields as members of a JSON object that is not empty: `,"name":value` for each. Its twin is outputs/members.ts.
 *
 * Members that an app wrote one behind the other, as it mostly did with all of them, stand in the input as they have to
 * stand in the document: they are copied as one run, 16 bytes at a time. Whether they do is seen from the bytes that are
 * copied, so that it needs no mark.
 */
import { copy } from "./encode";

const QUOTE: u32 = 0x22;
const COMMA: u32 = 0x2c;
const COMMA_QUOTE: u16 = 0x222c;
const QUOTE_COLON: u16 = 0x3a22;

/** @param member where the first of `count` is. @param input what their offsets are added to. @returns more than `last` for no room. */
export function writeMembers(member: u32, count: u32, input: u32, out: u32, last: u32): u32 {
  let from: u32 = 0;
  let to: u32 = 0;
  for (const end = member + (count << 4); member < end; member += 16) {
    const nameFrom = input + load<u32>(member);
    const nameTo = input + load<u32>(member, 4);
    const valueFrom = input + load<u32>(member, 8);
    const valueTo = input + load<u32>(member, 12);
    if (valueFrom == nameTo + 2 && load<u8>(nameFrom - 1) == QUOTE && load<u16>(nameTo) == QUOTE_COLON) {
      if (nameFrom == to + 2 && load<u8>(to) == COMMA) {
        to = valueTo;
        continue;
      }
      out = copy(from, to - from, out, last);
      if (out > last) return last + 1;
      store<u8>(out++, <u8>COMMA);
      from = nameFrom - 1;
    } else {
      out = copy(from, to - from, out, last);
      if (out > last) return last + 1;
      store<u16>(out, COMMA_QUOTE);
      out = copy(nameFrom, nameTo - nameFrom, out + 2, last);
      if (out > last) return last + 1;
      store<u16>(out, QUOTE_COLON);
      out += 2;
      from = valueFrom;
    }
    to = valueTo;
  }
  return copy(from, to - from, out, last);
}
