/** Rows with fields and severities by the kernel, against the twin. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Rows, SEVERITIES, STDERR } from "../../../agent/batch.ts";
import { switchKernels } from "../../../agent/kernel/kernel.ts";
import { elasticsearchOutput } from "../../support/elasticsearch-output.ts";
import { requestsOf, withKernels } from "../../support/kernels.ts";
import { rowsOf } from "../../support/rows.ts";

switchKernels(true);

interface Member {
  readonly name: string;
  readonly value: string;
  /** What stands between it and the one before: as an app writes members, nearly so, or as processors do. */
  readonly before: string;
  readonly colon: string;
}

interface Row {
  readonly message: string;
  readonly severity: number;
  readonly isStderr: boolean;
  readonly members: readonly Member[];
}

const anyText = fc.string({ unit: "binary", maxLength: 40 }).map((text) => JSON.stringify(text.toWellFormed()));
const anyMember: fc.Arbitrary<Member> = fc.record({
  name: fc.oneof(
    fc.constantFrom("a", "severity", "level", "", '\\"', "é"),
    anyText.map((text) => text.slice(1, -1)),
  ),
  value: fc.oneof(
    anyText,
    fc.json(),
    fc.constantFrom("1", '"x"', "{}", '","'),
    fc.nat(5000).map((n) => "9".repeat(n + 1)),
  ),
  before: fc.oneof(
    { weight: 5, arbitrary: fc.constant(',"') },
    { weight: 1, arbitrary: fc.constantFrom("", '"', ', "', ",,", 'x,"') },
  ),
  colon: fc.oneof(
    { weight: 5, arbitrary: fc.constant('":') },
    { weight: 1, arbitrary: fc.constantFrom("", '" :', '"::', "':") },
  ),
});
const anyRow: fc.Arbitrary<Row> = fc.record({
  message: fc.string({ unit: "binary", maxLength: 60 }).map((text) => text.toWellFormed()),
  severity: fc.nat(SEVERITIES.length - 1),
  isStderr: fc.boolean(),
  members: fc.oneof(
    { weight: 20, arbitrary: fc.array(anyMember, { maxLength: 12 }) },
    { weight: 1, arbitrary: fc.tuple(anyMember, fc.nat(9000)).map(([member, count]) => Array(count).fill(member)) },
  ),
});

/** @param severities whether any row has one. @param backwards rows get their members from the last one on. */
function batchOf(rows: readonly Row[], severities: boolean, backwards: boolean): Rows {
  const batch = rowsOf(rows.map(({ message }) => message));
  const fields = batch.members();
  const order = rows.map((_, row) => row);
  for (const row of backwards ? order.reverse() : order) {
    const { members, severity, isStderr } = rows[row] as Row;
    if (isStderr) batch.flags[row] = STDERR;
    if (severities) batch.severities()[row] = severity;
    fields.first[row] = fields.used;
    fields.count[row] = members.length;
    for (const { name, value, before, colon } of members) {
      const [b, n, c, v] = [before, name, colon, value].map((text) => Buffer.from(text)) as [
        Buffer,
        Buffer,
        Buffer,
        Buffer,
      ];
      const all = Buffer.concat([b, n, c, v]);
      batch.reserve(all.length);
      const at = batch.used + b.length;
      all.copy(batch.bytes, batch.used);
      batch.used += all.length;
      const valueAt = at + n.length + c.length;
      fields.add(at, at + n.length, valueAt, valueAt + v.length);
    }
  }
  return batch;
}

for (const schema of ["ecs", "fluentbit"] as const)
  test(`rows with fields and severity by the kernel are byte for byte those of the twin, and so is where a request ends: ${schema}`, () => {
    const output = elasticsearchOutput(["http://127.0.0.1:1"], { schema, compression: "none" });
    fc.assert(
      fc.property(
        fc.array(anyRow, { maxLength: 20 }),
        fc.boolean(),
        fc.boolean(),
        fc.oneof(fc.constant(4_000_000), fc.nat(20_000)),
        (rows, severities, backwards, maxBytes) => {
          const batch = batchOf(rows, severities, backwards);
          const requests = (): string[] => requestsOf(output, batch, maxBytes, 20);
          assert.deepEqual(requests(), withKernels(false, requests));
        },
      ),
    );
  });
