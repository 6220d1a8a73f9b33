/** Where the columns of the rows at hand are: each of MAX_ROWS elements, as agent/kernel/columns.ts fills them. */
import { COLUMNS, MAX_ROWS } from "./layout";

export const OFFSETS: u32 = COLUMNS;
export const SECONDS: u32 = OFFSETS + MAX_ROWS * 8;
export const FROM: u32 = SECONDS + MAX_ROWS * 8;
export const TO: u32 = FROM + MAX_ROWS * 4;
export const NANOS: u32 = TO + MAX_ROWS * 4;
/** Of members. */
export const FIRST: u32 = NANOS + MAX_ROWS * 4;
export const COUNT: u32 = FIRST + MAX_ROWS * 4;
/** Where rows end that have been written. */
export const ENDS: u32 = COUNT + MAX_ROWS * 4;
export const DIGITS: u32 = ENDS + MAX_ROWS * 4;
export const FLAGS: u32 = DIGITS + MAX_ROWS;
export const LEVELS: u32 = FLAGS + MAX_ROWS;

/** Bits of FLAGS, as in agent/batch.ts. */
export const STDERR: u32 = 1;
export const DROPPED: u32 = 8;
