import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { Scanner } from "../../../agent/parse/scanner.ts";
import { type SampleContainer, sampleCases, unpackSample } from "../../support/samples.ts";
import { flushRows, generationOf, type ScannedRow, scanBytes } from "../../support/scanning.ts";

const CHUNK_BYTES = 64 * 1024;

/** Reads a container's files to their ends in chunks of whole lines, as the agent does. */
function decode(container: SampleContainer): ScannedRow[] {
  const scanner = new Scanner({ format: "auto", maxRecordBytes: 4 * 1024 * 1024 });
  const rows: ScannedRow[] = [];
  let fed = 0;
  let generation = generationOf("none");
  for (const path of container.logs) {
    const raw = readFileSync(path);
    const bytes = path.endsWith(".gz") ? gunzipSync(raw) : raw;
    generation = generationOf(path);
    for (let from = 0; from < bytes.length; ) {
      let newline = bytes.lastIndexOf("\n", Math.min(from + CHUNK_BYTES, bytes.length) - 1);
      if (newline < from) newline = bytes.indexOf("\n", from);
      assert.ok(newline >= from, "every line ends");
      rows.push(...scanBytes(scanner, bytes.subarray(from, newline + 1), { generation, offset: from }));
      from = newline + 1;
    }
    fed += bytes.length;
    assert.equal(sumOfSizes(rows) + scanner.pendingBytes, fed);
  }
  rows.push(...flushRows(scanner, generation));
  assert.equal(sumOfSizes(rows), fed);
  assert.equal(scanner.pendingFrom, undefined);
  assert.equal(scanner.heldBytes, 0);
  assert.deepEqual(scanner.counts, { criErrors: 0, dockerErrors: 0, unknownErrors: 0, truncated: 0 });
  return rows;
}

function sumOfSizes(rows: readonly ScannedRow[]): number {
  return rows.reduce((sum, row) => sum + row.size, 0);
}

for (const name of sampleCases) {
  test(`every message of sample ${name} is what the container printed`, (t) => {
    const root = mkdtempSync(join(tmpdir(), "tailrace-samples-"));
    t.after(() => rmSync(root, { recursive: true }));
    for (const container of unpackSample(name, root)) {
      assert.equal(realpathSync(container.link), realpathSync(container.logs.at(-1)!));
      const rows = decode(container);
      for (const stream of ["stdout", "stderr"] as const) {
        const expected = container.messages[stream];
        const messages = rows.filter((row) => row.stream === stream).map((row) => row.message);
        if (container.lossy) {
          if (messages.length === 0) continue;
          assert.ok(messages.length < expected.length);
          const first = expected.at(-messages.length)!;
          assert.ok(first.endsWith(messages[0]!));
          messages[0] = first;
          assert.deepEqual(messages, expected.slice(-messages.length));
        } else {
          assert.deepEqual(messages, expected);
        }
      }
    }
  });
}
