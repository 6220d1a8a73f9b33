/**
 * Rows to entries of Loki's protobuf push; outputs/loki-protobuf.ts describes them and holds the twin. Those of stdout and
 * those of stderr are written apart, since each makes a stream, so one call does all rows of a chunk: 0.2 CPU-seconds per
 * GB of log where row by row took 1.8 (profiles of 200 MB over 30 containers).
 */
import { DROPPED, FLAGS, FROM, NANOS, OFFSETS, SECONDS, STDERR, TO } from "./columns";
import { MAX_ROWS, OUTPUT, PIECE_BYTES, PROGRAM, WINDOW_PIECE } from "./layout";
import { makeDigits, putDigits } from "./number";
import { packSections, SECTION_BYTES, SECTIONS, SECTIONS_END, setSection } from "./snappy";

const FIRST: u8 = 0x0a;
const SECOND: u8 = 0x12;
const THIRD: u8 = 0x1a;
const WHOLE_SECONDS: u8 = 0x08;
const NANOSECONDS: u8 = 0x10;

/** What stands for a whole second, with the tags of its number and of the nanoseconds: eight bytes at most. */
const SECOND_BYTES = memory.data(16, 16);
const SECONDS_END: f64 = <f64>(<u64>1 << 42);

/**
 * What all rows have in common, in words: for stdout and then for stderr where its metadata are and how long, which
 * output they go to and whether they are known at all; then the same of what stands before the offset; no bytes: no offset.
 */
const COMMON: u32 = PROGRAM;
const OFFSET_HEAD: u32 = COMMON + 32;
/**
 * What became of it: for both outputs the times of the oldest and the newest row, where its bytes end, how many rows it has
 * and how many runs of them; behind those, for stdout and for stderr, where its metadata were written last. Then beginnings
 * and ends of those runs.
 */
export const ENTRIES: u32 = SECTIONS_END + 0x20;
const RUNS: u32 = ENTRIES + 0x40;
export const RUNS_BYTES: u32 = MAX_ROWS * 4 + 0x10;

/** All but message and metadata may take so much, and 32 bytes that are written over. */
const MORE_BYTES: u32 = 0x80;

/**
 * Writes the entries of the first `rows` rows of the columns, except those that are dropped.
 * @param room how many bytes they may take all together. @param most rows. @param headOut what the first row of an output
 * takes besides. @param first a row that takes more than there is room for is written when nothing is there yet.
 * @returns the first row that was not looked at: it is beyond the limits, or not a thing for the kernel.
 */
export function encodeEntries(rows: u32, input: u32, room: u32, most: u32, head0: u32, head1: u32, first: bool): u32 {
  const offsetHead = load<u32>(OFFSET_HEAD);
  const offsetHeadBytes = load<u32>(OFFSET_HEAD + 4);
  memory.fill(ENTRIES, 0, 0x40);
  let out0 = WINDOW_PIECE;
  let out1 = OUTPUT;
  let written: u32 = 0;
  let row: u32 = 0;
  let second: f64 = -1;
  let secondText: u64 = 0;
  let secondBytes: u32 = 0;
  for (; row < rows; row++) {
    const flags = <u32>load<u8>(FLAGS + row);
    if ((flags & DROPPED) != 0) continue;
    const common = COMMON + ((flags & STDERR) << 4);
    const seconds = load<f64>(SECONDS + (row << 3));
    if (load<u32>(common + 12) == 0 || !(seconds >= 0 && seconds < SECONDS_END)) break;
    if (written >= most) break;
    const from = load<u32>(FROM + (row << 2));
    const line = load<u32>(TO + (row << 2)) - from;
    const metadata = load<u32>(common);
    const metadataBytes = load<u32>(common + 4);
    if (seconds != second) {
      second = seconds;
      store<u8>(SECOND_BYTES, WHOLE_SECONDS);
      const end = writeVarint(<u32>SECOND_BYTES + 1, <u64>seconds);
      store<u8>(end, NANOSECONDS);
      secondBytes = end + 1 - <u32>SECOND_BYTES;
      secondText = load<u64>(SECOND_BYTES);
    }
    const nanos = load<u32>(NANOS + (row << 2));
    const time = secondBytes + varintBytes(nanos);
    let size = 3 + time + varintBytes(line) + line + metadataBytes;
    let digits: u32 = 0;
    let pair: u32 = 0;
    if (offsetHeadBytes > 0) {
      digits = makeDigits(load<f64>(OFFSETS + (row << 3)));
      // Its length takes one byte, as there are no more than 16 digits.
      pair = offsetHeadBytes + 1 + digits;
      size += 1 + varintBytes(pair) + pair;
    }
    const which = load<u32>(common + 8);
    const results = ENTRIES + (which << 4);
    const count = load<u32>(results + 36);
    const whole = 1 + varintBytes(size) + size;
    const takes: u32 = whole + (count > 0 ? 0 : which == 0 ? head0 : head1);
    if (takes > room && !first) break;
    let out = which == 0 ? out0 : out1;
    if (out + size + MORE_BYTES > (which == 0 ? WINDOW_PIECE : OUTPUT) + PIECE_BYTES) break;
    first = false;
    room -= min(room, takes);

    const start = out;
    store<u8>(out, SECOND);
    out = writeVarint(out + 1, size);
    store<u8>(out, FIRST);
    store<u8>(out + 1, <u8>time);
    store<u64>(out + 2, secondText);
    out = writeVarint(out + 2 + secondBytes, nanos);
    store<u8>(out, SECOND);
    out = writeVarint(out + 1, line);
    const message = out;
    out = copy(input + from, line, out);
    const earlier = ENTRIES + 44 + ((flags & STDERR) << 4);
    // The last nanoseconds and the line's length are often as they were with the same words behind them.
    setSection(sectionAt(which, count), start, message - 4, out, load<u32>(earlier));
    store<u32>(earlier, out);
    out = copy(metadata, metadataBytes, out);
    if (offsetHeadBytes > 0) {
      store<u8>(out, THIRD);
      out = copy(offsetHead, offsetHeadBytes, writeVarint(out + 1, pair));
      store<u8>(out, <u8>digits);
      putDigits(out + 1, digits);
      out += 1 + digits;
    }
    if (which == 0) out0 = out;
    else out1 = out;
    const moment = seconds + <f64>nanos / 1e9;
    if (count == 0 || moment < load<f64>(results)) store<f64>(results, moment);
    if (count == 0 || moment > load<f64>(results + 8)) store<f64>(results + 8, moment);
    const runs = load<u32>(results + 40);
    const run = RUNS + which * RUNS_BYTES + (runs << 3);
    if (runs == 0 || load<u32>(run - 4) != written) {
      store<u32>(run, written);
      store<u32>(run + 4, written + 1);
      store<u32>(results + 40, runs + 1);
    } else store<u32>(run - 4, written + 1);
    written++;
    store<u32>(results + 36, count + 1);
  }
  setSection(sectionAt(0, load<u32>(ENTRIES + 36)), out0, out0, out0, 0);
  setSection(sectionAt(1, load<u32>(ENTRIES + 52)), out1, out1, out1, 0);
  store<u32>(ENTRIES + 32, out0);
  store<u32>(ENTRIES + 48, out1);
  return row;
}

/** Packs the entries of an output that were written last (snappy.ts), at `out`. @returns the end of what was written. */
export function packEntries(which: u32, out: u32): u32 {
  const count = load<u32>(ENTRIES + 36 + (which << 4));
  return packSections(sectionAt(which, 0), sectionAt(which, 1) - sectionAt(which, 0), count, out);
}

/** Those of the first output stand from the beginning on, those of the second from the end backwards. */
@inline
function sectionAt(which: u32, index: u32): u32 {
  return which == 0 ? SECTIONS + index * SECTION_BYTES : SECTIONS_END - (index + 1) * SECTION_BYTES;
}

/** 32 bytes at a time; what is too much is written over or lies in the slack. */
@inline
function copy(from: u32, length: u32, out: u32): u32 {
  const end = out + length;
  for (; out < end; out += 32, from += 32) {
    v128.store(out, v128.load(from));
    v128.store(out + 16, v128.load(from + 16));
  }
  return end;
}

@inline
function varintBytes(value: u64): u32 {
  return <u32>((70 - clz(value | 1)) / 7);
}

@inline
function writeVarint(out: u32, value: u64): u32 {
  for (; value >= 0x80; value >>= 7) store<u8>(out++, <u8>(value | 0x80));
  store<u8>(out++, <u8>value);
  return out;
}
