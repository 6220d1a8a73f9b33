/** What compressors are tried on: every size around their limits, and everything from pure noise to one byte repeated. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { LogData } from "../bench/data.ts";

/** The same noise on every run. */
export function noise(length: number, seed = "noise"): Buffer {
  const blocks: Buffer[] = [];
  for (let i = 0; i * 64 < length; i++) blocks.push(createHash("sha512").update(`${seed}${i}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

export function logText(length: number): Buffer {
  const data = new LogData(7);
  let text = "";
  while (text.length < length) text += data.lines();
  return Buffer.from(text).subarray(0, length);
}

/** Fixed cases by name. */
export const payloads: Readonly<Record<string, Buffer>> = {
  empty: Buffer.alloc(0),
  "one byte": Buffer.from("a"),
  "two bytes": Buffer.from("ab"),
  "three bytes": Buffer.from("aaa"),
  "four equal bytes": Buffer.from("aaaa"),
  "five equal bytes": Buffer.from("aaaaa"),
  "all byte values": Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
  "zeros, 300 bytes": Buffer.alloc(300),
  "zeros, 3 MB": Buffer.alloc(3_000_000),
  "one byte, three million times": Buffer.alloc(3_000_000, "x"),
  "noise, 64 KiB - 1": noise(65_535),
  "noise, 64 KiB": noise(65_536),
  "noise, 64 KiB + 1": noise(65_537),
  "noise, 3 MB": noise(3_000_000),
  "log text, 5 MB": logText(5_000_000),
  "noise that repeats at 32 KiB": Buffer.concat([noise(32_768), noise(32_768), noise(32_768)]),
  "noise that repeats beyond 32 KiB": Buffer.concat([noise(32_769), noise(32_769), noise(32_769)]),
  "noise that repeats at 64 KiB": Buffer.concat([noise(65_536), noise(65_536)]),
  "a match over the end of a block": Buffer.concat([noise(65_000), Buffer.alloc(2000, "ab"), noise(65_000)]),
  "a byte of each, then mostly one": Buffer.concat([
    Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
    Buffer.alloc(100_000, 0x41),
    noise(100),
  ]),
  // Symbols as rare as Fibonacci numbers need the longest Huffman codes.
  "frequencies of Fibonacci": fibonacci(),
};

function fibonacci(): Buffer {
  const parts: Buffer[] = [];
  let [a, b] = [1, 1];
  for (let symbol = 0; symbol < 24; symbol++) {
    parts.push(Buffer.alloc(a, symbol));
    [a, b] = [b, a + b];
  }
  // Spread, so that they are symbols and not matches.
  const all = Buffer.concat(parts);
  const order = noise(all.length * 4, "order");
  for (let i = all.length - 1; i > 0; i--) {
    const j = order.readUInt32LE(i * 4) % (i + 1);
    [all[i], all[j]] = [all[j] as number, all[i] as number];
  }
  return all;
}

type Piece =
  | { kind: "bytes"; bytes: Uint8Array }
  | { kind: "run"; byte: number; length: number }
  | { kind: "repeat"; back: number; length: number }
  | { kind: "noise"; length: number; seed: number };

/** Noise, runs and repeats of what came before at any distance, of any length: see `payloadOf`. */
export const anyPieces: fc.Arbitrary<Piece[]> = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => ({ kind: "bytes" as const, bytes })),
    fc
      .record({ byte: fc.nat(255), length: fc.nat(1000) })
      .map(({ byte, length }) => ({ kind: "run" as const, byte, length })),
    fc
      .record({ back: fc.nat(70_000), length: fc.nat(600) })
      .map(({ back, length }) => ({ kind: "repeat" as const, back, length })),
    fc.record({ length: fc.nat(120_000), seed: fc.nat() }).map(({ length, seed }) => ({
      kind: "noise" as const,
      length,
      seed,
    })),
  ),
  { maxLength: 12 },
);

export function payloadOf(pieces: readonly Piece[]): Buffer {
  let bytes = Buffer.alloc(0);
  for (const piece of pieces) {
    if (piece.kind === "bytes") bytes = Buffer.concat([bytes, piece.bytes]);
    else if (piece.kind === "run") bytes = Buffer.concat([bytes, Buffer.alloc(piece.length, piece.byte)]);
    else if (piece.kind === "noise") bytes = Buffer.concat([bytes, noise(piece.length, String(piece.seed))]);
    else {
      const from = Math.max(0, bytes.length - piece.back);
      bytes = Buffer.concat([bytes, bytes.subarray(from, from + piece.length)]);
    }
  }
  return bytes;
}
