/**
 * Loki's JSON push. Times are decimal texts of nanoseconds, and structured metadata are texts, else the server refuses
 * the whole push.
 *
 *   {"streams":[{"stream":{"app":"web"},"values":[["1790000000123456789","hello",{"pod":"web-0","offset":"4711"}]]}]}
 */
import type { Batch } from "../agent/batch.ts";
import { openBody } from "./body.ts";
import { type Compression, decompress } from "./gzip.ts";
import { ByteWriter } from "./json.ts";
import {
  type DecodedEntry,
  type DecodedStream,
  type Encoding,
  type EntryWriter,
  type LabelPairs,
  labelsText,
  type RowPair,
  type StreamBody,
} from "./loki-encoding.ts";

const ENTRY = Buffer.from('["');
const BETWEEN = Buffer.from('","');
const METADATA = Buffer.from('",{');
const END = Buffer.from("}],");
const QUOTE = 0x22;
const COMMA = 0x2c;

type Value = readonly [time: string, line: string, metadata: Readonly<Record<string, string>>];

class JsonWriter implements EntryWriter {
  readonly json = new ByteWriter();

  get length(): number {
    return this.json.length;
  }
  set length(length: number) {
    this.json.length = length;
  }
  view(from: number, to: number): Buffer {
    return this.json.view().subarray(from, to);
  }
}

export class JsonEncoding implements Encoding<JsonWriter> {
  readonly headers: Readonly<Record<string, string>>;
  readonly #compression: Compression;
  readonly #names = new WeakMap<RowPair, Buffer>();

  constructor(compression: Compression) {
    this.#compression = compression;
    this.headers = {
      "content-type": "application/json",
      ...(compression === "none" ? {} : { "content-encoding": compression }),
    };
  }

  writer(): JsonWriter {
    return new JsonWriter();
  }

  stream(labels: LabelPairs): Buffer {
    return Buffer.from(`{"stream":${JSON.stringify(Object.fromEntries(labels))},"values":[`);
  }

  /** Each with a comma before it but the first. */
  metadata(pairs: LabelPairs): Buffer {
    return Buffer.from(pairs.map(([name, value]) => `"${name}":${JSON.stringify(value)}`).join());
  }

  entry(
    { json }: JsonWriter,
    batch: Batch,
    row: number,
    metadata: Buffer,
    pairs: readonly RowPair[],
    texts: readonly (Buffer | undefined)[],
  ): void {
    json.buffer(ENTRY);
    writeTime(json, batch.seconds[row]!, batch.nanos[row]!);
    json.buffer(BETWEEN);
    json.escaped(batch.bytes, batch.from[row]!, batch.to[row]!);
    json.buffer(METADATA);
    json.buffer(metadata);
    for (let i = 0; i < pairs.length; i++) {
      if (i > 0 || metadata.length > 0) json.byte(COMMA);
      json.buffer(this.#name(pairs[i]!));
      const text = texts[i];
      if (text === undefined) json.number(batch.offset[row]!);
      else json.escaped(text, 0, text.length);
      json.byte(QUOTE);
    }
    json.buffer(END);
  }

  pack(streams: readonly StreamBody[]): { body: Buffer; bytes: number } {
    const body = openBody(this.#compression);
    const write = (text: string): void => body.write(Buffer.from(text));
    write('{"streams":[');
    streams.forEach(({ head, entries }, i) => {
      if (i > 0) write(",");
      body.write(head);
      const last = entries.length - 1;
      entries.forEach(({ bytes }, at) => {
        body.write(at === last ? bytes.subarray(0, bytes.length - 1) : bytes);
      });
      write("]}");
    });
    write("]}");
    const { bytes } = body;
    return { body: body.close(), bytes };
  }

  decode(compressed: Buffer): DecodedStream[] {
    const text = decompress(compressed, this.#compression).toString();
    const { streams } = JSON.parse(text) as {
      streams: readonly { stream: Record<string, string>; values: readonly Value[] }[];
    };
    return streams.map(({ stream, values }) => {
      const labels = Object.entries(stream);
      return { head: this.stream(labels), labels: labelsText(labels), entries: values.map(decodeEntry) };
    });
  }

  #name(pair: RowPair): Buffer {
    let name = this.#names.get(pair);
    if (name === undefined) {
      name = Buffer.from(`"${pair.name}":"`);
      this.#names.set(pair, name);
    }
    return name;
  }
}

function decodeEntry(value: Value): DecodedEntry {
  const [time, line, metadata] = value;
  const nanos = BigInt(time);
  const seconds = nanos / 1_000_000_000n;
  return {
    raw: Buffer.from(`${JSON.stringify(value)},`),
    seconds: Number(seconds),
    nanos: Number(nanos - seconds * 1_000_000_000n),
    lineBytes: Buffer.byteLength(line),
    line: () => line,
    metadata: () => Object.entries(metadata),
  };
}

function writeTime(json: ByteWriter, seconds: number, nanos: number): void {
  if (seconds < 0) json.ascii(String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos)));
  else {
    json.number(seconds);
    json.padded(nanos, 9);
  }
}
