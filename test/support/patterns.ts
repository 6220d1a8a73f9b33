/** Patterns that automata can't decide in bounded time, and texts on which they can't. */

/** What stands in the last 500 characters is in the state, so hardly any state comes twice. */
export const HARD_PATTERN = "/y.{500}x/";

/** Letters x and z in an order without a period. */
export function hardText(length: number): string {
  let state = 1;
  let text = "";
  for (let i = 0; i < length; i++) {
    // A linear-feedback shift register of 32 bits (Xilinx XAPP052).
    const bit = (state ^ (state >>> 10) ^ (state >>> 30) ^ (state >>> 31)) & 1;
    state = ((state >>> 1) | (bit << 31)) >>> 0;
    text += bit === 1 ? "x" : "z";
  }
  return text;
}
