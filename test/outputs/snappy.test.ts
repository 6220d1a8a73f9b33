import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { uncompress } from "snappyjs";
import { compressSnappy, decompressSnappy } from "../../outputs/snappy.ts";
import { withKernels } from "../support/kernels.ts";
import { anyPieces, noise, payloadOf, payloads } from "../support/payloads.ts";

for (const kernels of [true, false]) {
  const by = kernels ? "the kernel" : "the twin";

  for (const [name, payload] of Object.entries(payloads))
    test(`snappy by ${by}: what is compressed decodes to itself: ${name}`, () => roundTrip(payload, kernels));

  test(`snappy by ${by}: any payload decodes to itself`, () => {
    fc.assert(fc.property(anyPieces, (pieces) => roundTrip(payloadOf(pieces), kernels)));
  });

  test(`snappy by ${by}: what is packed already takes its place among what is not`, () => {
    const anyPortion = fc.record({ pieces: anyPieces, packed: fc.boolean() });
    fc.assert(
      fc.property(fc.array(anyPortion, { maxLength: 5 }), (portions) => {
        const payload = Buffer.concat(portions.map(({ pieces }) => payloadOf(pieces)));
        const compressed = withKernels(kernels, () =>
          compressSnappy(
            portions.map(({ pieces, packed }) => {
              const bytes = payloadOf(pieces);
              return packed ? { bytes: elementsOf(bytes), unpacked: bytes.length } : { bytes };
            }),
          ),
        );
        assert.ok(uncompress(compressed).equals(payload));
      }),
    );
  });

  test(`snappy by ${by}: what does not compress grows by less than a hundredth`, () => {
    const payload = noise(1_000_000);
    const compressed = withKernels(kernels, () => compressSnappy([{ bytes: payload }]));
    assert.ok(compressed.length < payload.length * 1.01);
  });
}

/** Without the length that stands before them. */
function elementsOf(payload: Buffer): Buffer {
  const compressed = compressSnappy([{ bytes: payload }]);
  return compressed.subarray(compressed.findIndex((byte) => byte < 0x80) + 1);
}

function roundTrip(payload: Buffer, kernels: boolean): void {
  const compressed = withKernels(kernels, () => compressSnappy([{ bytes: payload }]));
  assert.ok(uncompress(compressed).equals(payload), "another decoder");
  assert.ok(decompressSnappy(compressed).equals(payload), "our own decoder");
}

test("snappy: decoding damaged bytes throws a RangeError or gives what the length says, and never hangs", () => {
  fc.assert(
    fc.property(anyPieces, fc.nat(), fc.nat(255), (pieces, at, byte) => {
      const payload = payloadOf(pieces);
      const compressed = compressSnappy([{ bytes: payload }]);
      // Behind the length, which would only ask for another buffer.
      const body = Math.min(compressed.length, 5);
      if (body < 5) return;
      compressed[body + (at % (compressed.length - body + 1))] = byte;
      try {
        assert.equal(decompressSnappy(compressed).length, payload.length);
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error));
      }
    }),
  );
});

test("snappy: elements that other encoders write are decoded", () => {
  const cases: [string, number[], string][] = [
    ["a literal with its length in one byte", [3, 60 << 2, 2, 0x61, 0x62, 0x63], "abc"],
    ["a literal with its length in two bytes", [3, 61 << 2, 2, 0, 0x61, 0x62, 0x63], "abc"],
    ["a literal with its length in four bytes", [3, 63 << 2, 2, 0, 0, 0, 0x61, 0x62, 0x63], "abc"],
    ["a copy with four bytes of offset", [6, 2 << 2, 0x61, 0x62, 0x63, (2 << 2) | 3, 3, 0, 0, 0], "abcabc"],
    ["a copy that overlaps itself", [9, 0, 0x61, (7 << 2) | 2, 1, 0], "aaaaaaaaa"],
  ];
  for (const [name, bytes, text] of cases) assert.equal(decompressSnappy(Buffer.from(bytes)).toString(), text, name);
});
