/**
 * Hints: matches that are known before anyone looks for them, because the encoder wrote the same bytes before. Of the
 * bytes of a document nine in ten are such; not to search and compare them makes deflate half again as fast.
 */
import { HINTS, HINTS_BYTES, HISTORY_BYTES } from "./layout";

/** u32 start, u32 length << 16 | distance - 1; ascending and without overlaps. */
export let hintsEnd: u32 = HINTS;
/** Shorter ones are dearer than their literals. */
const SHORTEST: u32 = 5;
const LONGEST: u32 = 0xffff;

export function clearHints(): void {
  hintsEnd = HINTS;
}

/** The `length` bytes at `start` are those `distance` before them; what is too far away does not help. */
export function addHint(start: u32, length: u32, distance: u32): void {
  if (distance - 1 >= HISTORY_BYTES) return;
  if (hintsEnd > HINTS) {
    const before = load<u32>(hintsEnd - 4);
    const whole = (before >> 16) + length;
    if (load<u32>(hintsEnd - 8) + (before >> 16) == start && (before & 0xffff) == distance - 1 && whole <= LONGEST) {
      store<u32>(hintsEnd - 4, (whole << 16) | (distance - 1));
      return;
    }
  }
  if (length < SHORTEST || length > LONGEST || hintsEnd == HINTS + HINTS_BYTES) return;
  store<u32>(hintsEnd, start);
  store<u32>(hintsEnd + 4, (length << 16) | (distance - 1));
  hintsEnd += 8;
}

/** The last hint's length and distance, which more bytes may change. */
export function lastHint(): u32 {
  return hintsEnd > HINTS ? load<u32>(hintsEnd - 4) : 0;
}

/** Takes hints back. @param end what `hintsEnd`, @param last what `lastHint` was then. */
export function takeBackHints(end: u32, last: u32): void {
  hintsEnd = end;
  if (end > HINTS) store<u32>(end - 4, last);
}
