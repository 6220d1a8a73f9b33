/** The bodies of pushes as Loki reads them: its own decoders, as strict as they were seen to be. */
import { isUtf8 } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { uncompress } from "snappyjs";

export interface Entry {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly line: string;
  readonly metadata: readonly (readonly [string, string])[];
}

export interface Push {
  /** Labels as text, not yet parsed. */
  readonly labels: string;
  readonly entries: readonly Entry[];
}

/** What the server answers instead of taking the push. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** @returns the streams, and the size of the push before compression. */
export function decodePush(
  body: Buffer,
  type: string | undefined,
  encoding: string | undefined,
): { streams: Push[]; bytes: number } {
  if (type === undefined) throw new Refused(400, "mime: no media type");
  const isJson = type.split(";")[0]?.trim() === "application/json";
  if (encoding !== undefined && encoding !== "gzip" && (encoding !== "snappy" || isJson))
    throw new Refused(400, `Content-Encoding "${encoding}" not supported`);
  const plain = encoding === "gzip" ? attempt(() => gunzipSync(body), "gzip: invalid header") : body;
  if (isJson) return { streams: decodeJson(plain), bytes: plain.length };
  const message = attempt(() => Buffer.from(uncompress(plain)), "snappy: corrupt input");
  return {
    streams: attempt(() => fields(message).map(decodeStream), "proto: illegal wireType"),
    bytes: message.length,
  };
}

/** Pairs of a label set in braces. */
export function parseLabelText(text: string): [string, string][] {
  const fail = (why: string): never => {
    throw new Refused(400, `couldn't parse labels: 1:3: parse error: ${why}`);
  };
  if (!text.startsWith("{") || !text.endsWith("}")) fail("unexpected character");
  const pairs: [string, string][] = [];
  const pattern = /([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*("(?:[^"\\\n]|\\(?:[bfnrt"\\]|u[0-9a-fA-F]{4}))*")\s*(?:,\s*|$)/y;
  const inner = text.slice(1, -1);
  while (pattern.lastIndex < inner.length) {
    const match = pattern.exec(inner);
    if (match === null) return fail(`unexpected character in ${text}`);
    const value = JSON.parse(match[2] ?? "") as string;
    if (!value.isWellFormed()) fail("invalid escape");
    if (pairs.some(([name]) => name === match[1]))
      throw new Refused(400, `stream '${text}' has duplicate label name: '${match[1]}'`);
    pairs.push([match[1] ?? "", value]);
  }
  return pairs.filter(([, value]) => value !== "");
}

/** A name that comes to nothing refuses the whole push; others would be changed, which a fake need not do for us. */
export function checkNames(metadata: Entry["metadata"]): void {
  for (const [name] of metadata) {
    if (!/[a-zA-Z0-9]/.test(name))
      throw new Refused(500, `normalization for label name "${name}" resulted in invalid name "_"`);
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) throw new Refused(400, `the fake does not rewrite the name ${name}`);
  }
}

function attempt<T>(decode: () => T, message: string): T {
  try {
    return decode();
  } catch (error) {
    throw error instanceof Refused ? error : new Refused(400, message);
  }
}

interface Field {
  readonly number: number;
  readonly value: bigint;
  readonly bytes: Buffer;
}

function fields(message: Buffer): Field[] {
  const found: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined || shift > 63n) throw new RangeError("unexpected EOF");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    const value = varint();
    if ((tag & 7) === 0) found.push({ number: tag >> 3, value, bytes: Buffer.alloc(0) });
    else if ((tag & 7) === 2) {
      if (at + Number(value) > message.length) throw new RangeError("unexpected EOF");
      found.push({ number: tag >> 3, value: 0n, bytes: message.subarray(at, at + Number(value)) });
      at += Number(value);
    } else throw new RangeError("illegal wireType");
  }
  return found;
}

const allowed = (field: Field, ...numbers: number[]): void => {
  if (!numbers.includes(field.number)) throw new RangeError(`unknown field ${field.number}`);
};

function decodeStream(field: Field): Push {
  allowed(field, 1);
  let labels = "";
  const entries: Entry[] = [];
  for (const inner of fields(field.bytes)) {
    allowed(inner, 1, 2);
    if (inner.number === 2) entries.push(decodeEntry(inner.bytes));
    else if (isUtf8(inner.bytes)) labels = inner.bytes.toString();
    else throw new Refused(400, "couldn't parse labels: invalid UTF-8");
  }
  return { labels, entries };
}

function decodeEntry(bytes: Buffer): Entry {
  let time = 0n;
  let line = "";
  const metadata: [string, string][] = [];
  for (const field of fields(bytes)) {
    allowed(field, 1, 2, 3);
    if (field.number === 1)
      for (const part of fields(field.bytes)) {
        allowed(part, 1, 2);
        time += part.number === 1 ? BigInt.asIntN(64, part.value) * 1_000_000_000n : part.value;
      }
    else if (field.number === 2) line = field.bytes.toString();
    else {
      const pair = fields(field.bytes);
      for (const part of pair) allowed(part, 1, 2);
      const text = (number: number): string => pair.find((part) => part.number === number)?.bytes.toString() ?? "";
      metadata.push([text(1), text(2)]);
    }
  }
  return { time, line, metadata };
}

function decodeJson(body: Buffer): Push[] {
  const parsed = attempt(() => JSON.parse(body.toString()) as { streams?: unknown }, "ReadObjectCB: expect { or n");
  const bad = (what: string): never => {
    throw new Refused(400, `loghttp.PushRequest.Streams: ${what}`);
  };
  if (parsed.streams !== undefined && !Array.isArray(parsed.streams)) bad("expect [");
  return ((parsed.streams ?? []) as { stream?: unknown; values?: unknown }[]).map(({ stream, values }) => {
    if (typeof stream !== "object" || stream === null || !Array.isArray(values)) return bad("readObjectStart");
    const labels = Object.entries(stream).map(([name, value]) => `${name}=${JSON.stringify(String(value))}`);
    const entries = values.map((value: unknown): Entry => {
      if (!Array.isArray(value) || value.length < 2 || value.length > 3) return bad("more than 3 elements");
      const [time, line, metadata = {}] = value as unknown[];
      if (typeof time !== "string" || !/^-?\d+$/.test(time)) return bad('expects " or n, but found a number');
      if (typeof line !== "string" || !line.isWellFormed()) return bad("invalid line");
      if (typeof metadata !== "object" || metadata === null) return bad("expect {");
      const pairs = Object.entries(metadata);
      if (pairs.some(([, text]) => typeof text !== "string" || !text.isWellFormed())) bad('expects " or n');
      return { time: BigInt(time), line, metadata: pairs };
    });
    return { labels: `{${labels.join(", ")}}`, entries };
  });
}
