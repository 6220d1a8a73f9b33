/**
 * A container's log as bytes, read in chunks through scanner and multiline, held to the slow twin: for fuzzing. Whatever the
 * chunks are, and whenever the clock lets go of what is held, the records are the same and no byte is lost.
 */
import assert from "node:assert/strict";
import { Rows, STDERR } from "../../agent/batch.ts";
import { Scanner } from "../../agent/parse/scanner.ts";
import { Multiline, type MultilineOptions } from "../../agent/process/multiline.ts";
import { parsePattern } from "../../agent/process/pattern.ts";
import { type Preset, presetTrace } from "../../agent/process/presets.ts";
import { Starts } from "../../agent/process/trace.ts";
import { joinStream, type ReferenceLine, type ReferenceRecord } from "../reference/multiline.ts";
import { origin } from "./rows.ts";
import { generationOf } from "./scanning.ts";

export interface LoggedLine {
  readonly text: string;
  readonly stderr: boolean;
  /** Milliseconds since the line before it. */
  readonly pause: number;
  /** How many lines of the log it is split into; at least 1. */
  readonly parts: number;
}

interface Written extends ReferenceLine {
  /** Where its last part ends. */
  readonly end: number;
  readonly bytes: readonly Buffer[];
}

const FIRST_MS = 1_790_000_000_000;

/** The log, with parts of the two streams' messages in between each other where they are split. */
function write(lines: readonly LoggedLine[]): { log: Buffer; written: Written[] } {
  let time = FIRST_MS;
  let offset = 0;
  const written = lines.map(({ text, stderr, pause, parts }): Written => {
    time += pause;
    const stream = stderr ? "stderr" : "stdout";
    const message = Buffer.from(text);
    const stamp = new Date(time).toISOString();
    const bytes = Array.from({ length: parts }, (_, i) => {
      const [from, to] = [i, i + 1].map((part) => Math.floor((message.length * part) / parts));
      const head = `${stamp} ${stream} ${i + 1 < parts ? "P" : "F"} `;
      return Buffer.concat([Buffer.from(head), message.subarray(from, to), Buffer.from("\n")]);
    });
    const size = bytes.reduce((sum, { length }) => sum + length, 0);
    const at = offset;
    offset += size;
    return {
      ...{ stream, text: text.replace(/\r$/, ""), offset: at, size, time, structured: false, foreign: false },
      ...{ end: offset, bytes },
    };
  });
  return { log: Buffer.concat(written.flatMap(({ bytes }) => bytes)), written };
}

/** @param cut whether a chunk ends behind a line. */
function read(
  { log, written }: { log: Buffer; written: readonly Written[] },
  multiline: Multiline,
  options: MultilineOptions,
  cut: () => boolean,
): Record<"stdout" | "stderr", ReferenceRecord[]> {
  const scanner = new Scanner({ format: "cri", maxRecordBytes: 1 << 20 });
  const rows = new Rows(16, 1);
  const records = { stdout: [] as ReferenceRecord[], stderr: [] as ReferenceRecord[] };
  const take = (): void => {
    for (let row = 0; row < rows.rows; row++)
      records[(rows.flags[row]! & STDERR) === 0 ? "stdout" : "stderr"].push({
        text: rows.bytes.toString("utf8", rows.from[row], rows.to[row]),
        offset: rows.offset[row]!,
        size: rows.size[row]!,
        time: rows.seconds[row]! * 1000 + rows.nanos[row]! / 1e6,
      });
  };
  const timeAt = (offset: number): number => written.find(({ end }) => end > offset)?.time ?? Number.POSITIVE_INFINITY;
  for (let from = 0; from < log.length; ) {
    let to = log.indexOf("\n", from) + 1;
    while (to < log.length && !cut()) to = log.indexOf("\n", to) + 1;
    // As soon as the last line of the chunk is written.
    const now = timeAt(to - 1);
    rows.reset(origin, generationOf("g"));
    rows.reserve(to - from);
    rows.used = log.copy(rows.bytes, 0, from, to);
    scanner.scan(rows, 0, to - from, from, false);
    multiline.process(rows, now);
    take();
    const out = [...records.stdout, ...records.stderr].reduce((sum, { size }) => sum + size, 0);
    assert.equal(out + multiline.pendingBytes + scanner.pendingBytes, to, "no byte is in two records or in none");
    assert.ok(multiline.heldBytes <= 2 * Math.max(options.maxBytes, 1024));
    // Until the next line comes the clock goes on, but for groups that may get a message whose first part is there.
    const next = timeAt(to);
    if (scanner.pendingBytes === 0 && multiline.dueAt <= next) {
      rows.reset(origin, generationOf("g"));
      multiline.release(rows, next);
      take();
    }
    from = to;
  }
  rows.reset(origin, generationOf("g"));
  multiline.release(rows, Number.POSITIVE_INFINITY);
  take();
  assert.deepEqual([multiline.pendingBytes, multiline.heldBytes, multiline.places()], [0, 0, []]);
  return records;
}

/** @param joins a preset, or what lines that begin a group fit: it must mean the same to RE2 and to JavaScript. */
export function checkChunks(
  joins: Preset | RegExp,
  lines: readonly LoggedLine[],
  options: MultilineOptions,
  random: () => number,
): void {
  const file = write(lines);
  const joiner = joins instanceof RegExp ? new Starts(parsePattern(`/${joins.source}/`)) : presetTrace(joins);
  const wanted = (stream: string): ReferenceRecord[] =>
    joinStream(
      joins,
      file.written.filter((line) => line.stream === stream),
      options,
    ).map(({ text, offset, size, time }) => ({ text, offset, size, time }));
  const expected = { stdout: wanted("stdout"), stderr: wanted("stderr") };
  const chunkings: (() => boolean)[] = [() => true, () => false, () => random() < 0.5, () => random() < 0.1];
  for (const cut of chunkings)
    assert.deepEqual(read(file, new Multiline(joiner, options, undefined), options, cut), expected);
}
