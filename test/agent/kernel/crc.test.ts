/** The kernel's CRC-32 against node:zlib's, over pieces of every kind of length. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { type Kernel, switchKernels, takeKernel } from "../../../agent/kernel/kernel.ts";
import { anyPieces, noise, payloadOf } from "../../support/payloads.ts";

switchKernels(true);
const kernel = takeKernel() as Kernel;
const MAX = kernel.pieceBytes;
const bytes = noise(MAX);

function crcOf(length: number, previous: number): number {
  kernel.begin();
  kernel.write(bytes, 0, length);
  return kernel.crc(previous);
}

/** Every length of [middle - 40, middle + 40] that a piece can have. */
function around(middle: number): number[] {
  return Array.from({ length: 81 }, (_, i) => middle - 40 + i).filter((length) => length >= 0 && length <= MAX);
}

for (const [what, lengths] of [
  ["none and few bytes", around(0)],
  ["where folding begins", around(16_384)],
  ["one run and what is left", [...around(27_648), ...around(27_648 + 4949)]],
  ["several runs and what is left", [...around(5 * 27_648), ...around(5 * 27_648 + 4949)]],
  ["a full piece", around(MAX)],
] as const)
  test(`the CRC by the kernel is that of node:zlib, whatever was before it: ${what}`, () => {
    for (const length of lengths)
      for (const previous of [0, 1, 0x8000_0000, 0xffff_ffff, (length * 0x9e37_79b1) % 2 ** 32])
        assert.equal(crcOf(length, previous), crc32(bytes.subarray(0, length), previous), `${length} bytes`);
  });

test("the CRC by the kernel is that of node:zlib for any length and any bytes before", () => {
  fc.assert(
    fc.property(fc.nat(MAX), fc.nat(0xffff_ffff), (length, previous) => {
      assert.equal(crcOf(length, previous), crc32(bytes.subarray(0, length), previous));
    }),
    { numRuns: 1000 },
  );
});

test("a payload has one CRC, wherever it is cut and whatever was compressed between", () => {
  fc.assert(
    fc.property(anyPieces, fc.array(fc.nat(MAX), { maxLength: 6 }), (pieces, cuts) => {
      const payload = payloadOf(pieces);
      let crc = 0;
      let at = 0;
      kernel.begin();
      for (const cut of [...cuts, ...Array.from({ length: 1 + Math.ceil(payload.length / MAX) }, () => MAX)]) {
        at = kernel.write(payload, at, Math.min(at + cut, payload.length));
        const piece = Buffer.from(kernel.piece());
        crc = kernel.crc(crc);
        assert.ok(kernel.piece().equals(piece), "the piece itself is left alone");
        kernel.deflate(false);
      }
      assert.equal(at, payload.length);
      assert.equal(crc, crc32(payload));
    }),
  );
});
