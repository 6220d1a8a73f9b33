/**
 * Loki's protobuf push (package logproto, grafana/loki pkg/push/push.proto), snappy in block format around it:
 *
 *   PushRequest { repeated Stream streams = 1 }
 *   Stream      { string labels = 1 (`{app="web", namespace="prod"}`); repeated Entry entries = 2 }
 *   Entry       { Timestamp timestamp = 1 { int64 seconds = 1; int32 nanos = 2 }; string line = 2;
 *                 repeated Pair structuredMetadata = 3 { string name = 1; string value = 2 } }
 *
 * Lengths stand before what they count, so an entry's are computed first; then its bytes are written once. More than 300
 * lines, since what is written is read back here.
 */
import type { Batch } from "../agent/batch.ts";
import type { EntryLimits } from "../agent/kernel/entries.ts";
import { giveKernel, takeKernel } from "../agent/kernel/kernel.ts";
import {
  type DecodedEntry,
  type DecodedStream,
  type Encoding,
  type EntryWriter,
  type LabelPairs,
  labelsText,
  type RowPair,
  type StreamBody,
  type Together,
} from "./loki-encoding.ts";
import { compressSnappy, decompressSnappy, type Portion, unpackedBytes } from "./snappy.ts";

const FIRST = 0x0a;
const SECOND = 0x12;
const THIRD = 0x1a;
const SECONDS = 0x08;
const NANOS = 0x10;
const ZERO = 0x30;
/** Up to here a loop is quicker than the call of Buffer.copy. */
const SHORT_BYTES = 48;

const STREAMS = [0, 1] as const;
/**
 * So many entries are packed as they come: they need not be kept whole until the push ends, nor be copied twice. Fewer
 * find more that is equal among those that come later.
 */
const PACK_FROM_BYTES = 16 * 1024;

interface Pair {
  /** Tag, length and text of the name, and the value's tag. */
  readonly head: Buffer;
  readonly nameBytes: number;
}

/** The bytes of entries, one behind the other. */
class ProtobufWriter implements EntryWriter {
  bytes = Buffer.allocUnsafeSlow(64 * 1024);
  length = 0;

  reserve(length: number): void {
    const need = this.length + length;
    if (need <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(need, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  append(bytes: Buffer): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  view(from: number, to: number): Buffer {
    return this.bytes.subarray(from, to);
  }
}

export class ProtobufEncoding implements Encoding<ProtobufWriter> {
  readonly headers = { "content-type": "application/x-protobuf", "content-encoding": "snappy" };
  /** Of the last row; they change only when a label is demoted. */
  #rowPairs: readonly RowPair[] = [];
  #pairs: readonly Pair[] = [];
  /** Of the only pair, which is the offset; empty where there is none; undefined where it is another or one of several. */
  #offsetHead: Buffer | undefined = Buffer.alloc(0);

  writer(): ProtobufWriter {
    return new ProtobufWriter();
  }

  stream(labels: LabelPairs): Buffer {
    return fieldOf(FIRST, Buffer.from(labelsText(labels)));
  }

  metadata(pairs: LabelPairs): Buffer {
    return Buffer.concat(
      pairs.map(([name, value]) =>
        fieldOf(THIRD, Buffer.concat([fieldOf(FIRST, Buffer.from(name)), fieldOf(SECOND, Buffer.from(value))])),
      ),
    );
  }

  entry(
    writer: ProtobufWriter,
    batch: Batch,
    row: number,
    metadata: Buffer,
    pairs: readonly RowPair[],
    texts: readonly (Buffer | undefined)[],
  ): void {
    if (pairs !== this.#rowPairs) this.#prepare(pairs);
    const heads = this.#pairs;
    const from = batch.from[row]!;
    const line = batch.to[row]! - from;
    const seconds = batch.seconds[row]!;
    const nanos = batch.nanos[row]!;
    const offset = batch.offset[row]!;
    const time = 2 + (seconds < 0 ? 10 : varintSize(seconds)) + varintSize(nanos);
    let size = 2 + time + 1 + varintSize(line) + line + metadata.length;
    for (let i = 0; i < pairs.length; i++) {
      const pair = pairSize(heads[i]!, texts[i]?.length ?? digitsOf(offset));
      size += 1 + varintSize(pair) + pair;
    }
    writer.reserve(size + 16);
    const out = writer.bytes;
    let at = writer.length;
    out[at++] = SECOND;
    at = varint(out, at, size);
    out[at++] = FIRST;
    out[at++] = time;
    out[at++] = SECONDS;
    at = seconds < 0 ? negative(out, at, seconds) : varint(out, at, seconds);
    out[at++] = NANOS;
    at = varint(out, at, nanos);
    out[at++] = SECOND;
    at = varint(out, at, line);
    at = copy(out, at, batch.bytes, from, line);
    at = copy(out, at, metadata, 0, metadata.length);
    for (let i = 0; i < pairs.length; i++) {
      const pair = heads[i]!;
      const text = texts[i];
      const value = text?.length ?? digitsOf(offset);
      out[at++] = THIRD;
      at = varint(out, at, pairSize(pair, value));
      at = copy(out, at, pair.head, 0, pair.head.length);
      at = varint(out, at, value);
      if (text === undefined) digits(out, at, offset, value);
      else text.copy(out, at);
      at += value;
    }
    writer.length = at;
  }

  /** Several times as fast as row by row (`npm run bench:micro`). */
  entries(
    writer: ProtobufWriter,
    batch: Batch,
    row: number,
    metadata: readonly [Buffer | undefined, Buffer | undefined],
    apart: boolean,
    pairs: readonly RowPair[],
    limits: EntryLimits,
  ): { row: number; made: readonly Together[] } {
    if (pairs !== this.#rowPairs) this.#prepare(pairs);
    const offsetHead = this.#offsetHead;
    const kernel = offsetHead === undefined ? undefined : takeKernel();
    if (kernel === undefined || offsetHead === undefined) return { row, made: [] };
    const entries = kernel.encodeEntries(batch, row, batch.rows, { metadata, apart, offsetHead }, limits);
    const made: Together[] = [];
    for (const stream of STREAMS) {
      const rows = entries.count(stream);
      if (rows === 0) continue;
      const from = writer.length;
      const bytes = entries.bytes(stream);
      const packed = bytes.length >= PACK_FROM_BYTES;
      writer.append(packed ? kernel.packEntries(stream) : bytes);
      made.push({
        stream,
        from,
        to: writer.length,
        bytes: bytes.length,
        packed,
        rows,
        runs: entries.runs(stream),
        oldest: entries.oldest(stream),
        newest: entries.newest(stream),
      });
    }
    giveKernel(kernel);
    // Streams stand in a push in the order of their first rows.
    const [first, second] = made;
    if (first !== undefined && second !== undefined && first.runs[0]! > second.runs[0]!) made.reverse();
    return { row: row + entries.rows, made };
  }

  pack(streams: readonly StreamBody[]): { body: Buffer; bytes: number } {
    const portions: Portion[] = [];
    let bytes = 0;
    for (const { head, entries } of streams) {
      const length = entries.reduce((sum, portion) => sum + unpackedBytes(portion), head.length);
      const tag = start(FIRST, length);
      portions.push({ bytes: tag }, { bytes: head }, ...entries);
      bytes += tag.length + length;
    }
    return { body: compressSnappy(portions), bytes };
  }

  decode(compressed: Buffer): DecodedStream[] {
    const body = decompressSnappy(compressed);
    return fields(body, 0, body.length).map((stream) => {
      const [labels, ...entries] = fields(body, stream.from, stream.to);
      if (labels === undefined) throw new Error("a stream without labels");
      return {
        head: body.subarray(labels.start, labels.to),
        labels: body.toString("utf8", labels.from, labels.to),
        entries: entries.map((entry) => decodeEntry(body, entry)),
      };
    });
  }

  #prepare(pairs: readonly RowPair[]): void {
    this.#rowPairs = pairs;
    this.#pairs = pairs.map(({ name }) => {
      const field = fieldOf(FIRST, Buffer.from(name));
      return { head: Buffer.concat([field, Buffer.of(SECOND)]), nameBytes: field.length };
    });
    const [first, ...more] = pairs;
    if (first === undefined) this.#offsetHead = Buffer.alloc(0);
    else this.#offsetHead = more.length === 0 && first.template === undefined ? this.#pairs[0]?.head : undefined;
  }
}

interface Field {
  /** Of its tag. */
  readonly start: number;
  /** Of its content; where it has none, its value instead. */
  readonly from: number;
  readonly to: number;
}

/** The fields of a message that we wrote. Varints come with their value as `from`. */
function fields(bytes: Buffer, from: number, to: number): Field[] {
  const found: Field[] = [];
  for (let at = from; at < to; ) {
    const start = at;
    const tag = bytes[at++]!;
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) break;
    }
    if ((tag & 7) === 2) {
      found.push({ start, from: at, to: at + value });
      at += value;
    } else found.push({ start, from: value, to: at });
  }
  return found;
}

function decodeEntry(body: Buffer, { start, from, to }: Field): DecodedEntry {
  const [time, line, ...pairs] = fields(body, from, to);
  if (time === undefined || line === undefined) throw new Error("an entry without time or line");
  const [seconds, nanos] = fields(body, time.from, time.to);
  const text = (field: Field | undefined): string =>
    field === undefined ? "" : body.toString("utf8", field.from, field.to);
  return {
    raw: body.subarray(start, to),
    seconds: seconds === undefined ? 0 : signed(body, seconds),
    nanos: nanos?.from ?? 0,
    lineBytes: line.to - line.from,
    line: () => text(line),
    metadata: () =>
      pairs.map((pair) => {
        const [name, value] = fields(body, pair.from, pair.to);
        return [text(name), text(value)];
      }),
  };
}

/** A varint that may be negative, which takes more bits than a number has. */
function signed(bytes: Buffer, { start, from, to }: Field): number {
  if (to - start < 11) return from;
  let value = 0n;
  for (let at = to - 1; at > start; at--) value = (value << 7n) | BigInt(bytes[at]! & 0x7f);
  return Number(BigInt.asIntN(64, value));
}

function pairSize({ nameBytes }: Pair, value: number): number {
  return nameBytes + 1 + varintSize(value) + value;
}

function fieldOf(tag: number, content: Buffer): Buffer {
  return Buffer.concat([start(tag, content.length), content]);
}

function start(tag: number, length: number): Buffer {
  // Of the pool: memory of its own for each stream of each push would be more work than to fill it.
  const bytes = Buffer.allocUnsafe(10);
  bytes[0] = tag;
  return bytes.subarray(0, varint(bytes, 1, length));
}

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  let size = 5;
  for (let rest = value / 2 ** 35; rest >= 1; rest /= 128) size++;
  return size;
}

function varint(out: Buffer, at: number, value: number): number {
  let rest = value;
  for (; rest >= 2 ** 31; rest = Math.floor(rest / 128)) out[at++] = (rest % 128) | 0x80;
  for (; rest >= 0x80; rest >>>= 7) out[at++] = (rest & 0x7f) | 0x80;
  out[at++] = rest;
  return at;
}

/** A time before 1970: ten bytes of two's complement. */
function negative(out: Buffer, at: number, value: number): number {
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 0x80n; rest >>= 7n) out[at++] = Number(rest & 0x7fn) | 0x80;
  out[at++] = Number(rest);
  return at;
}

function copy(out: Buffer, at: number, bytes: Buffer, from: number, length: number): number {
  if (length > SHORT_BYTES) bytes.copy(out, at, from, from + length);
  else for (let i = 0; i < length; i++) out[at + i] = bytes[from + i]!;
  return at + length;
}

function digitsOf(value: number): number {
  let count = 1;
  for (let limit = 10; value >= limit; limit *= 10) count++;
  return count;
}

function digits(out: Buffer, at: number, value: number, count: number): void {
  let rest = value;
  for (let i = at + count - 1; i >= at; i--) {
    const next = Math.floor(rest / 10);
    out[i] = ZERO + (rest - next * 10);
    rest = next;
  }
}
