/**
 * Where everything lies in the kernel's memory, which is made once and never grows: views of it stay valid. Every region
 * that is read or written 16 bytes at a time has slack behind it. The same figures, in the same order, are exported to
 * agent/kernel/kernel.ts by index.ts.
 */

// The first 64 KiB are the compiler's, for constants.

/** Where the compressors saw which bytes last. */
export const PLACES: u32 = 0x10000;
export const PLACES_BYTES: u32 = 0x8000;

/** Tables of Huffman coding. */
export const TABLES: u32 = PLACES + PLACES_BYTES;
export const TABLES_BYTES: u32 = 0x8000;

/** How eight bytes make room for the backslashes before some of them: 16 bytes for each choice (encode.ts). */
export const SPREADS: u32 = TABLES + TABLES_BYTES;
export const SPREADS_BYTES: u32 = 0x1000;

/** Sequences of a block, u64: literals, distance - 1 << 16, length - 3 << 32, the distance's symbol << 40. */
export const SEQUENCES: u32 = SPREADS + SPREADS_BYTES;
export const MAX_SEQUENCES: u32 = 0x4000;

/** The literals of a block, one behind the other. */
export const LITERAL_BYTES: u32 = SEQUENCES + MAX_SEQUENCES * 8 + 0x40;
/** Symbols in a block, at most: fewer than what a frequency may be. */
export const MAX_SYMBOLS: u32 = 0xc000;

/** What a row is made of (encode.ts): operations, then the bytes they copy. */
export const PROGRAM: u32 = LITERAL_BYTES + MAX_SYMBOLS + 0x40;
export const PROGRAM_BYTES: u32 = 0x8000;

/** Columns of at most this many rows, one after the other; the widest first, so that all are aligned. */
export const COLUMNS: u32 = PROGRAM + PROGRAM_BYTES + 0x40;
export const MAX_ROWS: u32 = 0x1000;

/** Fields of the rows (members.ts): four words each. */
export const MEMBERS: u32 = COLUMNS + MAX_ROWS * 43 + 0x40;
export const MAX_MEMBERS: u32 = 0x2000;

/** What rows repeat of the rows before them (repeats.ts): three words each. */
export const REPEATS: u32 = MEMBERS + MAX_MEMBERS * 16 + 0x40;
export const MAX_REPEATS: u32 = 0x1000;

/** The bytes of a batch. */
export const INPUT: u32 = REPEATS + MAX_REPEATS * 12 + 0x40;
export const INPUT_BYTES: u32 = 0x40000;

/** 32 KiB that were compressed before and may be repeated, then what is to be compressed. */
export const WINDOW: u32 = INPUT + INPUT_BYTES + 0x40;
export const HISTORY_BYTES: u32 = 0x8000;
export const PIECE_BYTES: u32 = 0x40000;
export const WINDOW_PIECE: u32 = WINDOW + HISTORY_BYTES;

/** Compressed bytes; noise grows a little. Before there are any: where a CRC is folded (crc.ts). */
export const OUTPUT: u32 = WINDOW + HISTORY_BYTES + PIECE_BYTES + 0x40;
export const OUTPUT_BYTES: u32 = PIECE_BYTES + (PIECE_BYTES >> 4) + 0x400;

export const MEMORY_BYTES: u32 = OUTPUT + OUTPUT_BYTES + 0x40;
