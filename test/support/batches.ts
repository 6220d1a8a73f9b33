/** Batches of rows of any kind, for property tests. */
import fc from "fast-check";
import { Rows, STDERR, TRUNCATED, UNPARSED } from "../../agent/batch.ts";
import type { Origin } from "../../agent/pods/origin.ts";
import { origin } from "./rows.ts";

export interface Row {
  message: string;
  offset: number;
  seconds: number;
  nanos: number;
  digits: number;
  flags: number;
  elsewhere: boolean;
}

export const anyRow: fc.Arbitrary<Row> = fc.record({
  message: fc.oneof(
    { weight: 10, arbitrary: fc.string({ unit: "binary", maxLength: 200 }).map((text) => text.toWellFormed()) },
    { weight: 10, arbitrary: fc.string({ unit: fc.constantFrom("a", '"', "\\", "\n", "\u0000", "\u001f", "é") }) },
    { weight: 1, arbitrary: fc.nat(300_000).map((length) => "x".repeat(length)) },
    { weight: 1, arbitrary: fc.nat(60_000).map((length) => "\u0001".repeat(length)) },
  ),
  offset: fc.oneof(fc.nat(), fc.maxSafeNat()),
  seconds: fc.oneof(fc.integer({ min: 1_700_000_000, max: 1_800_000_000 }), fc.integer({ min: -1e11, max: 3e11 })),
  nanos: fc.nat(999_999_999),
  digits: fc.nat(9),
  flags: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(0, STDERR) },
    { weight: 1, arbitrary: fc.constantFrom(TRUNCATED, UNPARSED, STDERR | TRUNCATED) },
  ),
  elsewhere: fc.boolean(),
});

export function batchOf(rows: readonly Row[], of: Origin = origin): Rows {
  const batch = new Rows(16, 1);
  batch.reset(of, { key: "0123456789abcdef" });
  for (const { message, elsewhere, ...columns } of rows) {
    const bytes = Buffer.from(message);
    // Some messages stand far behind the others, as joined ones do.
    if (elsewhere) batch.used += 1000;
    batch.reserve(bytes.length);
    bytes.copy(batch.bytes, batch.used);
    const row = batch.add();
    batch.from[row] = batch.used;
    batch.used += bytes.length;
    batch.to[row] = batch.used;
    batch.offset[row] = columns.offset;
    batch.seconds[row] = columns.seconds;
    batch.nanos[row] = columns.nanos;
    batch.digits[row] = columns.digits;
    batch.flags[row] = columns.flags;
    if (columns.flags & TRUNCATED) batch.extraOf(row).originalBytes = 7;
    if (columns.flags & UNPARSED) batch.extraOf(row).error = "none";
  }
  return batch;
}
