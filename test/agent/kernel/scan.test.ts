/** The scan of plain lines by the kernel against its twin. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { switchKernels } from "../../../agent/kernel/kernel.ts";
import { scanKernel } from "../../../agent/kernel/scan.ts";
import { Scanner } from "../../../agent/parse/scanner.ts";
import { withKernels } from "../../support/kernels.ts";
import { flushRows, generationOf, type ScannedRow, scanBytes } from "../../support/scanning.ts";

switchKernels(true);

type Options = ConstructorParameters<typeof Scanner>[0];

const AUTO: Options = { format: "auto", maxRecordBytes: 1000 };

/** What a scanner makes of these chunks, with everything that it keeps. */
function scanned(chunks: readonly Buffer[], options: Options): unknown[] {
  const scanner = new Scanner(options);
  const rows: ScannedRow[] = [];
  let offset = 0;
  for (const [i, chunk] of chunks.entries()) {
    rows.push(...scanBytes(scanner, chunk, { offset, final: i === chunks.length - 1 }));
    offset += chunk.length;
  }
  const { lastSeconds, lastNanos, lastDigits, counts, pendingBytes } = scanner;
  return [
    ...rows,
    lastSeconds,
    lastNanos,
    lastDigits,
    { ...counts },
    pendingBytes,
    ...flushRows(scanner, generationOf("h")),
  ];
}

function compare(chunks: readonly Buffer[], options: Options): unknown[] {
  const [kernel, twin] = [true, false].map((on) => withKernels(on, () => scanned(chunks, options)));
  assert.deepEqual(kernel, twin);
  return twin ?? [];
}

const time = fc
  .tuple(
    fc.date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T00:00:00Z"), noInvalidDate: true }),
    fc.oneof({ weight: 4, arbitrary: fc.constant(".123456789") }, fc.stringMatching(/^(\.[0-9]{0,11})?$/)),
    fc.oneof({ weight: 4, arbitrary: fc.constant("Z") }, fc.stringMatching(/^[+-][0-3][0-9]:[0-7][0-9]$/)),
  )
  .map(([date, fraction, zone]) => date.toISOString().slice(0, 19) + fraction + zone);
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        "a",
        " ",
        "é",
        "😀",
        "\r",
        "\t",
        '"',
        "\\",
        "\\n",
        "</b>",
        "\u0001",
        "0123456789abcdef".repeat(3),
      ),
      fc.string({ unit: "binary", maxLength: 40 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join("").replaceAll("\n", ""));
const stream = fc.constantFrom("stdout", "stderr");
const end = fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.boolean());
const criLine = fc
  .tuple(time, stream, end, text)
  .map(([at, name, whole, message]) => `${at} ${name} ${whole ? "F" : "P"} ${message}`);
/** As Go writes it: with \u003c for <. */
const dockerLine = fc
  .tuple(time, stream, end, text)
  .map(([at, name, whole, message]) =>
    JSON.stringify({ log: message + (whole ? "\n" : ""), stream: name, time: at }).replaceAll("<", "\\u003c"),
  );
const line = fc.oneof(criLine, dockerLine).map((line) => Buffer.from(`${line}\n`));
/** One byte of it is another one, or missing. */
const damaged = fc.tuple(line, fc.nat(), fc.nat(255), fc.boolean()).map(([bytes, place, byte, cut]) => {
  const at = place % (bytes.length - 1);
  const rest = bytes.subarray(at + 1);
  return Buffer.concat([bytes.subarray(0, at), cut ? Buffer.alloc(0) : Buffer.of(byte), rest]);
});
/** Lines repeat, as the kernel is asked less often while odd ones come. */
const run = fc
  .tuple(fc.oneof({ weight: 5, arbitrary: line }, damaged), fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })))
  .map(([bytes, times]) => Buffer.concat(Array(times).fill(bytes)));
const options: fc.Arbitrary<Options> = fc.record({
  format: fc.constantFrom("auto", "auto", "cri", "docker"),
  maxRecordBytes: fc.oneof({ weight: 3, arbitrary: fc.constant(1000) }, fc.integer({ min: 1, max: 40 })),
});

test("whatever lines come in whatever chunks, the kernel and its twin make the same rows of them", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(run, { maxLength: 8 }), { minLength: 1, maxLength: 3 }),
      options,
      (chunks, settings) => {
        compare(
          chunks.map((runs) => Buffer.concat(runs)),
          settings,
        );
      },
    ),
    { numRuns: 1500 },
  );
});

test("any bytes, cut into chunks at their line ends, give the same rows with kernels and without", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), options, (bytes, settings) => {
      compare([Buffer.concat([bytes, Buffer.from("\n")])], settings);
    }),
  );
});

const at = "2026-03-01T10:00:00.123456789Z";
const cri = (message: string): Buffer => Buffer.from(`${at} stdout F ${message}\n`);
const docker = (message: string): Buffer => Buffer.from(`{"log":"${message}\\n","stream":"stderr","time":"${at}"}\n`);

const chunks: readonly (readonly [string, Buffer])[] = [
  ["more rows than fit into the kernel's columns", Buffer.concat(Array(10_000).fill(cri("x")))],
  ["more bytes than fit into the kernel", Buffer.concat(Array(3_000).fill(cri("é".repeat(150))))],
  [
    "escaped messages of more bytes than fit",
    Buffer.concat(Array(3_000).fill(docker(`${'\\"'.repeat(70)}${"y".repeat(100)}`))),
  ],
  ["a line that the kernel never has as a whole", Buffer.concat([cri("a"), cri("x".repeat(600_000)), cri("b")])],
  [
    "odd lines between plain ones beyond the kernel's room",
    Buffer.concat(
      Array(2_000)
        .fill([cri("x".repeat(300)), Buffer.from("odd\n")])
        .flat(),
    ),
  ],
  [
    "every other line odd, and then none",
    Buffer.concat([
      ...Array(500)
        .fill([cri("x"), Buffer.from("odd\n")])
        .flat(),
      ...Array(500).fill(cri("y")),
    ]),
  ],
  [
    "messages that end exactly at the limit, and one byte behind it",
    Buffer.concat([cri("x".repeat(1000)), cri("x".repeat(1001)), cri(`${"x".repeat(1000)}\r`)]),
  ],
];

for (const [name, chunk] of chunks)
  test(`the kernel and its twin make the same rows of ${name}`, () => {
    compare([chunk], AUTO);
  });

test("plain lines are all scanned by the kernel, in both formats, whatever escapes docker made", (context) => {
  const kernel = scanKernel();
  assert.ok(kernel);
  const lines = [
    cri("x"),
    cri(""),
    cri("é\r"),
    docker("x"),
    docker(""),
    docker('\\u003ca\\u003e \\"\\t\\\\'),
    cri("z"),
  ];
  const bytes = Buffer.concat(lines);
  let made = 0;
  const scan = kernel.scan;
  kernel.scan = function (...args) {
    const end = scan.apply(this, args);
    made += this.scanned;
    return end;
  };
  context.after(() => Reflect.deleteProperty(kernel, "scan"));
  const rows = scanBytes(new Scanner(AUTO), bytes);
  assert.equal(made, lines.length);
  assert.deepEqual(
    rows.map(({ message }) => message),
    ["x", "", "é", "x", "", '<a> "\t\\', "z"],
  );
});
