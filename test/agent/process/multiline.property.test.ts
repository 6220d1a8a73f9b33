import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { DROPPED, Rows, STDERR, UNPARSED } from "../../../agent/batch.ts";
import { Multiline } from "../../../agent/process/multiline.ts";
import { PRESETS, type Preset, presetTrace } from "../../../agent/process/presets.ts";
import { joinStream, type ReferenceLine, type ReferenceRecord } from "../../reference/multiline.ts";
import { origin } from "../../support/rows.ts";
import { generationOf } from "../../support/scanning.ts";

const folder = join(import.meta.dirname, "..", "..", "traces");
const printed = readdirSync(folder)
  .filter((name) => name.endsWith(".txt"))
  .map((name) => readFileSync(join(folder, name), "utf8").split("\n"));
const someLines = [...new Set(printed.flat())];
const pieces = [
  ...[
    "",
    " ",
    "\t",
    "  \t ",
    " x",
    "\tat a.b(C.java:1)",
    "x",
    "^",
    " ^",
    "}",
    "#1 x",
    "#x",
    "a:1:in `f': m",
    "a:1:in `f'",
  ],
  ...[
    "panic: x",
    "goroutine 1 [running]:",
    "f()",
    "(x)",
    "f (x)",
    "r8 0x0",
    "exit status 2",
    "Caused by: x",
    "é\u2028",
  ],
  ...[
    "/a.js:1",
    "node:fs:1",
    "/a.js:",
    "Next x",
    "Node.js v24",
    "--- End of x",
    "Unhandled Exception:",
    ":1:in ",
    "\r",
  ],
  ...[
    "Traceback (most recent call last):",
    "  + Exception Group Traceback (most recent call last):",
    "E: x",
    '  File "x"',
  ],
  ...[
    "During handling of the above exception, another exception occurred:",
    "2026/11/24 10:00:00 http: panic serving x",
  ],
];
const text = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...pieces) },
  { weight: 2, arbitrary: fc.constantFrom(...someLines) },
  { weight: 1, arbitrary: fc.string({ maxLength: 8 }).map((piece) => piece.toWellFormed().replaceAll("\n", "")) },
);
/** A run of lines as they were printed, or any. */
const run = fc.oneof(
  fc.array(text, { maxLength: 8 }),
  fc
    .tuple(fc.constantFrom(...printed), fc.nat(300), fc.integer({ min: 1, max: 12 }))
    .map(([lines, from, count]) => lines.slice(from % lines.length).slice(0, count)),
);
interface Made {
  readonly text: string;
  readonly stderr: boolean;
  readonly pause: number;
  readonly kind: "line" | "structured" | "unparsed" | "dropped";
}
const kind = fc.oneof(
  { weight: 30, arbitrary: fc.constant("line" as const) },
  { weight: 1, arbitrary: fc.constantFrom("structured" as const, "unparsed" as const, "dropped" as const) },
);
const lines: fc.Arbitrary<Made[]> = fc
  .array(
    fc
      .tuple(run, fc.boolean(), fc.oneof({ weight: 6, arbitrary: fc.nat(300) }, fc.nat(2500)))
      .chain(([texts, stderr, pause]) =>
        fc
          .array(kind, { minLength: texts.length, maxLength: texts.length })
          .map((kinds) =>
            texts.map((piece, i): Made => ({ text: piece, stderr, pause: i === 0 ? pause : 1, kind: kinds[i]! })),
          ),
      ),
    { maxLength: 12 },
  )
  .map((runs) => runs.flat());
/** Lines of two streams in turn, which the runs above only follow each other with. */
const mixed = fc.tuple(lines, lines, fc.infiniteStream(fc.boolean())).map(([one, other, choices]) => {
  const [left, right] = [[...one], [...other]];
  const all: Made[] = [];
  while (left.length + right.length > 0) {
    const from = right.length === 0 || (left.length > 0 && choices.next().value === true) ? left : right;
    all.push(from.shift()!);
  }
  return all;
});

interface Given extends ReferenceRecord {
  readonly stderr: boolean;
  readonly generation: string;
}

function read(rows: Rows): Given[] {
  return Array.from({ length: rows.rows }, (_, row) => ({
    text: rows.bytes.toString("utf8", rows.from[row], rows.to[row]),
    offset: rows.offset[row]!,
    size: rows.size[row]!,
    time: rows.seconds[row]! * 1000 + rows.nanos[row]! / 1e6,
    stderr: (rows.flags[row]! & STDERR) !== 0,
    generation: (rows.extra?.get(row)?.generation ?? rows.generation).key,
  }));
}

const options = fc.record({
  timeout: fc.constantFrom(200, 1000),
  maxLines: fc.oneof({ weight: 1, arbitrary: fc.integer({ min: 1, max: 5 }) }, fc.constant(1000)),
  maxBytes: fc.oneof({ weight: 1, arbitrary: fc.integer({ min: 200, max: 400 }) }, fc.constant(1 << 20)),
});

test("records are what the slow twin says, for any lines, streams, chunks and rotations, and no byte is in two or none", () => {
  const presets = Object.keys(PRESETS) as Preset[];
  fc.assert(
    fc.property(
      fc.constantFrom(...presets),
      mixed,
      options,
      fc.infiniteStream(fc.nat(9)),
      (preset, made, bounds, choices) => {
        let [offset, time] = [0, 1_790_000_000_000];
        const all = made.map((line): ReferenceLine & { made: Made } => {
          offset += 100;
          time += line.pause;
          const size = 40 + Buffer.byteLength(line.text);
          const [structured, foreign] = [
            line.kind === "structured",
            line.kind === "unparsed" || line.kind === "dropped",
          ];
          return {
            made: line,
            stream: line.stderr ? "stderr" : "stdout",
            text: line.text,
            offset,
            size,
            time,
            structured,
            foreign,
          };
        });
        const multiline = new Multiline(presetTrace(preset), bounds, undefined);
        const given: Given[] = [];
        let fed = 0;
        const generations = new Map<number, string>();
        const rows = new Rows(16, 1);
        let generation = 0;
        for (let at = 0; at < all.length; ) {
          const count = 1 + (choices.next().value ?? 0);
          if (count === 10) generation++;
          rows.reset(origin, generationOf(`generation ${generation}`));
          for (const line of all.slice(at, at + count)) {
            const bytes = Buffer.from(line.text);
            rows.reserve(bytes.length);
            const row = rows.add();
            rows.from[row] = rows.used;
            rows.used += bytes.copy(rows.bytes, rows.used);
            rows.to[row] = rows.used;
            rows.offset[row] = line.offset;
            rows.seconds[row] = Math.floor(line.time / 1000);
            rows.nanos[row] = (line.time % 1000) * 1e6;
            rows.digits[row] = 3;
            rows.size[row] = line.size;
            const { kind, stderr } = line.made;
            rows.flags[row] =
              (stderr ? STDERR : 0) | (kind === "unparsed" ? UNPARSED : kind === "dropped" ? DROPPED : 0);
            if (kind === "unparsed") rows.extraOf(row).error = line.text;
            if (kind === "structured") {
              const fields = rows.members();
              const mark = fields.used;
              fields.add(rows.from[row], rows.to[row], rows.from[row], rows.to[row]);
              fields.assign(rows.bytes, row, mark);
            }
            fed += line.size;
            generations.set(line.offset, rows.generation.key);
          }
          multiline.process(rows, at);
          for (const [row, { error }] of rows.extra ?? []) if (error !== undefined) assert.ok(row < rows.rows);
          given.push(...read(rows));
          at += count;
          const out = given.reduce((sum, { size }) => sum + size, 0);
          assert.equal(out + multiline.pendingBytes, fed);
          assert.ok(multiline.heldBytes <= 2 * Math.max(bounds.maxBytes, 1024));
        }
        rows.reset(origin, generationOf("the last"));
        multiline.release(rows, Number.POSITIVE_INFINITY);
        given.push(...read(rows));
        assert.deepEqual([multiline.pendingBytes, multiline.heldBytes, multiline.places()], [0, 0, []]);
        for (const { offset, generation } of given) assert.equal(generation, generations.get(offset));
        const foreign = new Set(all.filter((line) => line.foreign).map((line) => line.offset));
        for (const stream of ["stdout", "stderr"] as const) {
          const found = given
            .filter(({ stderr, offset }) => stderr === (stream === "stderr") && !foreign.has(offset))
            .map(({ text, offset, size, time }) => ({ text, offset, size, time }));
          const wanted = joinStream(
            preset,
            all.filter((line) => line.stream === stream),
            bounds,
          );
          assert.deepEqual(
            found,
            wanted.map(({ text, offset, size, time }) => ({ text, offset, size, time })),
          );
        }
      },
    ),
    { numRuns: 3000 },
  );
});
