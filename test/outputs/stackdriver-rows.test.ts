/** Entries by the kernel, against the twin. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DROPPED, JOINED, type Rows, SEVERITIES, STDERR } from "../../agent/batch.ts";
import { switchKernels } from "../../agent/kernel/kernel.ts";
import { giveFields } from "../support/fields.ts";
import { anyJson } from "../support/json.ts";
import { requestsOf, withKernels } from "../support/kernels.ts";
import { rowsOf } from "../support/rows.ts";
import { podOrigin, stackdriverOutput } from "../support/stackdriver-output.ts";

switchKernels(true);

const name = fc.constantFrom(
  ...["severity", "level", "message", "time", "msg", "a", "Aa", "BB", "logging.googleapis.com/trace", ""],
);
const value = fc.oneof(
  fc.constantFrom(
    "INFO",
    "warn",
    "Default",
    "300",
    "x",
    "2026-09-21T14:13:20Z",
    30,
    200,
    9,
    2 ** 53,
    null,
    true,
    {},
    [1],
  ),
  fc.string({ unit: "binary", maxLength: 30 }).map((text) => text.toWellFormed()),
);
const app = fc
  .array(fc.tuple(name, value, fc.constantFrom("", " ")), { maxLength: 5 })
  .map(
    (members) => `{${members.map(([key, item, blank]) => `"${key}":${blank}${JSON.stringify(item)}${blank}`).join()}}`,
  );
const HARD = [
  `{"a":${"[".repeat(29)}1${"]".repeat(29)}}`,
  `{"a":${"[".repeat(30)}1${"]".repeat(30)}}`,
  '{"a":1234567890123456,"b":1e400}',
  `{"severity":"${"x".repeat(17_000)}"}`,
  `{"severity":"ERROR","a":[${"1,".repeat(9_000)}1]}`,
  `{"severity":"ERROR","a":[${"1,".repeat(12_000)}1]}`,
  '{"severity":"INFO"}',
  '{"severity":"INFO","message":"only \\"this\\""}',
  '{"message":"only this"}',
  '{"message":1}',
];
const message = fc.oneof(
  { weight: 5, arbitrary: app },
  { weight: 3, arbitrary: anyJson },
  { weight: 3, arbitrary: fc.string({ unit: "binary", maxLength: 100 }).map((text) => text.toWellFormed()) },
  { weight: 2, arbitrary: fc.constantFrom(...HARD) },
  { weight: 1, arbitrary: fc.nat(400_000).map((length) => "x".repeat(length)) },
  { weight: 1, arbitrary: fc.nat(190_000).map((length) => "\u0001".repeat(length)) },
);
const anyRow = fc.record({
  message,
  severity: fc.oneof(fc.constant(0), fc.nat(SEVERITIES.length - 1)),
  flags: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(0, STDERR) },
    { weight: 1, arbitrary: fc.constantFrom(DROPPED, JOINED) },
  ),
  offset: fc.oneof(fc.nat(), fc.maxSafeNat()),
  seconds: fc.oneof(
    { weight: 9, arbitrary: fc.nat(2e9) },
    { weight: 1, arbitrary: fc.integer({ min: -1e9, max: 3e11 }) },
  ),
  hasFields: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

function batchOf(
  rows: readonly (typeof anyRow extends fc.Arbitrary<infer Row> ? Row : never)[],
  severities: boolean,
): Rows {
  const batch = rowsOf(
    rows.map(({ message }) => message),
    podOrigin,
  );
  rows.forEach(({ severity, flags, offset, seconds, hasFields }, row) => {
    if (severities) batch.severities()[row] = severity;
    batch.flags[row] = flags;
    batch.offset[row] = offset;
    batch.seconds[row] = seconds;
    if (hasFields) giveFields(batch, row, { a: 1 });
  });
  return batch;
}

for (const logName of ["{stream}", "logs", "{severity}"])
  for (const structured of [true, false])
    test(`entries by the kernel are byte for byte those of the twin: log ${logName}, structured ${structured}`, () => {
      const output = stackdriverOutput("http://127.0.0.1:1", { compression: "none", logName, structured });
      fc.assert(
        fc.property(
          fc.array(anyRow, { maxLength: 15 }),
          fc.boolean(),
          fc.constantFrom("", "1"),
          fc.oneof(fc.constant(4_000_000), fc.nat(20_000)),
          fc.integer({ min: 1, max: 20 }),
          (rows, severities, key, maxBytes, maxRows) => {
            const batch = batchOf(rows, severities);
            const requests = (): string[] => requestsOf(output, batch, maxBytes, maxRows, key);
            assert.deepEqual(requests(), withKernels(false, requests));
          },
        ),
      );
    });

test("an object behind a row that is too long for the kernel is one, however far rows were read before", () => {
  const output = stackdriverOutput("http://127.0.0.1:1", {
    compression: "none",
    logName: "{stream}",
    structured: true,
  });
  const rows = rowsOf(
    ["{}", "\u0001".repeat(129_899), "x".repeat(91_620), "short", "{}", "\u0001".repeat(40_619)],
    podOrigin,
  );
  const requests = (): string[] => requestsOf(output, rows, 4_000_000, 1000, "");
  assert.ok(requests().join("\n") === withKernels(false, () => requests().join("\n")));
});

test("what the cluster is called may be known only later: marks are put in by either way alike", () => {
  const output = stackdriverOutput("http://127.0.0.1:1", { compression: "none", location: "" });
  const batch = rowsOf(["text", '{"a":1}', '{"severity":"INFO","b":2}'], podOrigin);
  const requests = (): string[] => requestsOf(output, batch, 1e6, 10);
  assert.deepEqual(requests(), withKernels(false, requests));
});
