/** Entries of Loki's push by the kernel against their twin: the same bodies, and the same rows in them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { uncompress } from "snappyjs";
import { DROPPED } from "../../../agent/batch.ts";
import { kernelsEnabled, switchKernels } from "../../../agent/kernel/kernel.ts";
import type { PushRequest } from "../../../outputs/loki-push.ts";
import { decompressSnappy } from "../../../outputs/snappy.ts";
import { anyRow, batchOf, type Row } from "../../support/batches.ts";
import { withKernels } from "../../support/kernels.ts";
import { type LokiVariations, lokiOutput } from "../../support/loki-output.ts";
import { noise } from "../../support/payloads.ts";
import { origin } from "../../support/rows.ts";

switchKernels(true);
assert.ok(kernelsEnabled());

const CONFIGURATIONS: Readonly<Record<string, LokiVariations>> = {
  "as it is by default": {},
  "stdout and stderr in one stream": { labels: { app: "{app}" } },
  "no structured metadata": { structuredMetadata: {} },
  "only the offset": { structuredMetadata: { offset: "{offset}" } },
  "metadata that differ by output stream": { labels: { app: "{app}" }, structuredMetadata: { stream: "{stream}" } },
  "two pairs of each row": { structuredMetadata: { offset: "{offset}", again: "{offset}" } },
  "a pair of each row that is not the offset": { structuredMetadata: { severity: "{severity}", offset: "{offset}" } },
  "labels of each row": { labels: { app: "{app}", day: "{yyyy-MM-dd}" } },
  "metadata too large for the kernel": { structuredMetadata: Object.fromEntries(long(20)) },
};

function long(count: number): [string, string][] {
  return Array.from({ length: count }, (_, i) => [`name_${i}`, "x".repeat(2000)]);
}

const anyRows = fc.array(
  fc
    .record({ row: anyRow, dropped: fc.boolean() })
    .map(
      ({ row, dropped }): Row => ({ ...row, flags: dropped && row.offset % 3 === 0 ? row.flags | DROPPED : row.flags }),
    ),
  { maxLength: 30 },
);

/** Everything of the pushes that rows of several containers make. */
function pushes(more: LokiVariations, batches: readonly Row[][], maxBytes: number, maxRows: number): unknown[] {
  const output = lokiOutput("http://127.0.0.1:1", more);
  const made: unknown[] = [];
  let request = output.open();
  const shut = (): void => {
    for (const { closed, runs } of request.closeApart?.() ?? []) {
      const { body, rows, bytes, tenant, shares, sequences } = closed as PushRequest;
      const streams = shares.map(({ stream, ...share }) => ({ ...share, key: stream.key }));
      made.push([decompressSnappy(body).toString("latin1"), rows, bytes, tenant, streams, sequences, [...runs]]);
    }
    request = output.open();
  };
  batches.forEach((rows, i) => {
    const batch = batchOf(rows, { ...origin, container: `app-${i % 2}` });
    for (let at = 0; at < batch.rows; ) {
      at = request.append(batch, at, maxBytes, maxRows);
      made.push(at);
      if (at < batch.rows) shut();
    }
  });
  shut();
  return made;
}

for (const [name, more] of Object.entries(CONFIGURATIONS))
  test(`pushes by the kernel are those of the twin, and so is where one ends: ${name}`, () => {
    fc.assert(
      fc.property(
        fc.array(anyRows, { maxLength: 3 }),
        fc.oneof(fc.constant(4_000_000), fc.nat(20_000)),
        fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 1, max: 20 })),
        (batches, maxBytes, maxRows) => {
          const make = (): unknown[] => pushes(more, batches, maxBytes, maxRows);
          assert.deepEqual(make(), withKernels(false, make));
        },
      ),
    );
  });

test("a push of many chunks is the same by the kernel and by the twin, also where rows that are none for the kernel part them", () => {
  const rows = Array.from({ length: 9000 }, (_, i): Row => {
    const flags = i % 7 === 0 ? 1 : 0;
    const seconds = i % 2500 === 2499 ? -1 : 1.79e9 + i;
    return { message: `line ${i}`, offset: i * 50, seconds, nanos: i, digits: 9, flags, elsewhere: false };
  });
  const make = (): unknown[] => pushes({}, [rows, rows, rows], 1 << 20, 20_000);
  assert.deepEqual(make(), withKernels(false, make));
});

const PACKED: Readonly<Record<string, LokiVariations>> = {
  "as it is by default": {},
  "metadata that differ by output stream, in one order": CONFIGURATIONS["metadata that differ by output stream"] ?? {},
  "much metadata": { structuredMetadata: { ...Object.fromEntries(long(4)), offset: "{offset}" } },
  "no metadata": CONFIGURATIONS["no structured metadata"] ?? {},
};

/** What lines are made of: repeated sooner or later, or never. */
const anyPiece = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom("GET /api/v1/items/", '"level":"info",', "timeout", "at com.example.Shop.call("),
  },
  { weight: 8, arbitrary: fc.string({ unit: fc.constantFrom(..."abcdefgh"), maxLength: 12 }) },
  { weight: 2, arbitrary: fc.nat(300).map((length) => noise(length).toString("base64")) },
  { weight: 1, arbitrary: fc.nat(70_000).map((length) => noise(length, "more").toString("latin1").toWellFormed()) },
);

/** Enough of them that they are packed as they come. */
const manyRows = fc
  .tuple(
    fc.array(fc.array(anyPiece, { maxLength: 8 }), { minLength: 1, maxLength: 30 }),
    fc.array(anyRow, { minLength: 1, maxLength: 20 }),
    fc.integer({ min: 100, max: 1500 }),
    fc.constantFrom(0, 1, 7, 1e15),
  )
  .map(([lines, kinds, count, apart]) =>
    Array.from({ length: count }, (_, i): Row => {
      const { flags, seconds, nanos } = kinds[(i * 7) % kinds.length] as Row;
      const message = (lines[(i * 5) % lines.length] as string[]).join(String(i % 100));
      const offset = Math.min(i * 150 * apart, Number.MAX_SAFE_INTEGER);
      return { message, offset, seconds: Math.abs(seconds), nanos, digits: 9, flags, elsewhere: false };
    }),
  );

for (const [name, more] of Object.entries(PACKED))
  test(`entries that are packed as they come are those of the twin to another decoder: ${name}`, () => {
    const entriesOf = (rows: readonly Row[]): Buffer => {
      const batch = batchOf(rows);
      const bodies: Buffer[] = [];
      const output = lokiOutput("http://127.0.0.1:1", more);
      for (let at = 0; at < batch.rows; ) {
        const request = output.open();
        at = request.append(batch, at, 4_000_000, Number.POSITIVE_INFINITY);
        bodies.push(uncompress(request.close().body));
      }
      return Buffer.concat(bodies);
    };
    fc.assert(
      fc.property(manyRows, (rows) => assert.ok(entriesOf(rows).equals(withKernels(false, () => entriesOf(rows))))),
      { numRuns: 25, endOnFailure: true },
    );
  });
