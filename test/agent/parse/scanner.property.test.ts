import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Scanner } from "../../../agent/parse/scanner.ts";
import { makeRow, type ReferenceFile, type ReferenceOptions, scanFiles } from "../../reference/scanner.ts";
import { flushRows, generationOf, type ScannedRow, scanBytes } from "../../support/scanning.ts";

const bytes = (text: string) => Buffer.from(text, "latin1");

const time = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("2026-03-01T10:00:00.123456789Z", "2026-03-01T10:00:59.5+05:30") },
  { weight: 1, arbitrary: fc.stringMatching(/^2026-0[0-9]-[0-3][0-9]T[0-2][0-9]:00:[0-6][0-9](\.[0-9]{0,11})?Z?$/) },
);
const stream = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom("stdout", "stderr") },
  { weight: 1, arbitrary: fc.constantFrom("", "stdin", "stdoutx", "stderq") },
);
/** Pieces that joins, cuts and repairs may get wrong. */
const piece = fc.constantFrom(
  ...["a", " ", "é", "€", "😀", "\r", "\0", '"', "\\", "{", "}", ":", ",", "\xa0"].map((text) => Buffer.from(text)),
  ...["\xc3", "\xa9", "\xe2\x82", "\xf0\x9f", "\xff", "\xed\xa0\x80", "\xc0\xaf"].map(bytes),
);
const content = fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.concat(pieces));
const tag = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("F ", "P ", "F:x ", "P:y:z ") },
  { weight: 1, arbitrary: fc.constantFrom("F", "P", "", " ", "FX ", "f ", "Q ", "P:", "word ") },
);
const criLine = fc
  .tuple(time, stream, tag, content)
  .map(([at, name, tags, text]) => Buffer.concat([bytes(`${at} ${name} ${tags}`), text]));

const escaped = fc.constantFrom(
  ...[
    "a",
    "b ",
    "é",
    "\\\\",
    '\\"',
    "\\n",
    "\\r",
    "\\u003c",
    "\\u00e9",
    "\\u2028",
    "\\ud83d",
    "\\ude00",
    "\\ud83d\\ude00",
  ],
  ...["\\u000A", "\\/", "\\x", "\\u12", "\0", "\xff", "\xc3", "\xa9", '"'],
);
const log = fc
  .tuple(
    fc.array(fc.oneof({ weight: 10, arbitrary: fc.constantFrom("a", "\\t") }, escaped), { maxLength: 10 }),
    fc.boolean(),
  )
  .map(([parts, ended]) => `"log":"${parts.join("")}${ended ? "\\n" : ""}"`);
const member = fc.oneof(
  log,
  stream.map((name) => `"stream":"${name}"`),
  time.map((at) => `"time":"${at}"`),
  fc.constantFrom(
    '"attrs":{"a":"}\\""}',
    '"x":[1,[2]]',
    '"x":1',
    '"x":tr{ue',
    '"log":5',
    '"stream":null',
    '"x" : "y" ',
    "",
    '"x":',
  ),
);
const dockerLine = fc
  .oneof(
    { weight: 3, arbitrary: fc.tuple(log, stream, time).map(([l, s, t]) => `{${l},"stream":"${s}","time":"${t}"}`) },
    { weight: 1, arbitrary: fc.array(member, { maxLength: 6 }).map((members) => `{${members.join(",")}}`) },
  )
  .map(bytes);

const damagedLine = fc
  .tuple(fc.oneof(criLine, dockerLine), fc.nat(80), fc.nat(4), piece)
  .map(([line, at, cut, other]) => Buffer.concat([line.subarray(0, at), other, line.subarray(at + cut)]));
const garbage = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
  fc.constantFrom("", "\0", "\r", "\0\0\r", "panic: x", "{", "{}", "2026").map(bytes),
);
const line = fc
  .tuple(
    fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.nat(5)),
    fc.oneof({ weight: 6, arbitrary: criLine }, { weight: 4, arbitrary: dockerLine }, damagedLine, garbage),
  )
  .map(([nuls, text]) => Buffer.concat([Buffer.alloc(nuls), text, bytes("\n")]));

const file = fc
  .tuple(
    fc.array(line, { maxLength: 15 }),
    fc.oneof({ weight: 3, arbitrary: fc.constant(Buffer.alloc(0)) }, criLine, garbage),
  )
  .map(([lines, rest]) => Buffer.concat([...lines, rest]));
const files = fc
  .array(file, { minLength: 1, maxLength: 3 })
  .map((all): ReferenceFile[] => all.map((content, i) => ({ key: `generation ${i}`, bytes: content })));

const options: fc.Arbitrary<ReferenceOptions> = fc.record({
  format: fc.constantFrom("auto", "auto", "cri", "docker"),
  maxRecordBytes: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(1000)),
});

/** Ends of chunks: behind some of the newlines, and at the end of the file. */
function chunkEnds(file: Buffer, choose: () => boolean): number[] {
  const ends: number[] = [];
  for (let at = file.indexOf("\n"); at >= 0; at = file.indexOf("\n", at + 1)) if (choose()) ends.push(at + 1);
  return ends.at(-1) === file.length ? ends : [...ends, file.length];
}

test("rows are what the slow twin says, for any lines, files and chunks, and every byte is in one row or pending", () => {
  fc.assert(
    fc.property(files, options, fc.infiniteStream(fc.boolean()), (all, settings, choices) => {
      const scanner = new Scanner(settings);
      const rows: ScannedRow[] = [];
      let fed = 0;
      const sum = () => rows.reduce((total, row) => total + row.size, 0);
      for (const { key, bytes } of all) {
        const generation = generationOf(key);
        let offset = 0;
        for (const end of chunkEnds(bytes, () => choices.next().value as boolean)) {
          const chunk = bytes.subarray(offset, end);
          rows.push(...scanBytes(scanner, chunk, { generation, offset, final: end === bytes.length }));
          fed += chunk.length;
          offset = end;
          assert.equal(sum() + scanner.pendingBytes, fed);
          assert.ok(scanner.heldBytes <= 2 * settings.maxRecordBytes);
        }
      }
      const expected = scanFiles(all, settings);
      assert.deepEqual(rows, expected.rows);
      const { mark } = expected;
      assert.deepEqual(scanner.pendingFrom, mark && { generation: generationOf(mark.generation), offset: mark.offset });
      rows.push(...flushRows(scanner, generationOf("the last")));
      assert.deepEqual(
        rows.slice(expected.rows.length),
        expected.pending.map((message) => makeRow(message, false, settings)),
      );
      assert.deepEqual([sum(), scanner.pendingBytes, scanner.heldBytes], [fed, 0, 0]);
      const { criErrors, dockerErrors, unknownErrors, truncated } = scanner.counts;
      assert.equal(criErrors + dockerErrors + unknownErrors, rows.filter((row) => row.unparsed).length);
      assert.equal(truncated, rows.filter((row) => row.originalBytes !== undefined).length);
    }),
    { numRuns: 3000 },
  );
});
