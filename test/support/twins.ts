/** Parsers held to their slow twins, on one input: for property tests and for fuzzing. They throw where the two differ. */
import assert from "node:assert/strict";
import { Rows } from "../../agent/batch.ts";
import { ASK, ESCAPED, jsonObjects, OBJECT } from "../../agent/kernel/json.ts";
import type { Format } from "../../agent/process/format.ts";
import { JsonFormat } from "../../agent/process/json.ts";
import { KlogFormat } from "../../agent/process/klog.ts";
import { LogfmtFormat } from "../../agent/process/logfmt.ts";
import { Members } from "../../agent/process/members.ts";
import { SeverityFinder, severityOfValue } from "../../agent/process/severity.ts";
import { Structured } from "../../agent/process/structured.ts";
import { ApacheFormat, NginxFormat } from "../../agent/process/web.ts";
import { access, klog, logfmt, type Member } from "../reference/formats.ts";
import { depthOf, isObject, keep } from "../reference/json.ts";
import { elasticsearchOutput } from "./elasticsearch-output.ts";
import { requestsOf, withKernels } from "./kernels.ts";
import { origin, rowsOf } from "./rows.ts";
import { generationOf } from "./scanning.ts";
import { stackdriverOutput } from "./stackdriver-output.ts";
import { DEFAULTS, structure } from "./structuring.ts";

const members = new Members();

/** A text is an object where JSON.parse says so, and all of it is kept. */
export function checkJson(text: string): void {
  // Something else stands before and behind it, as in a chunk.
  const bytes = Buffer.from(`x${text}}"`);
  const found = members.scan(bytes, 1, bytes.length - 2);
  const well = bytes.toString("utf8", 1, bytes.length - 2);
  assert.equal(found, isObject(well));
  if (!found) return;
  assert.equal(members.depth, depthOf(well));
  const rows = new Rows(16, 1);
  members.append(rows, members.from, members.to);
  const copied = rows.bytes.toString("utf8", 0, rows.used);
  assert.deepEqual(keep(copied), keep(well));
  assert.doesNotMatch(copied, /[\r\n]|(?<!\\)(?:\\\\)*\\ud[89ab]..(?!\\ud[c-f])/i);
  assert.equal(members.isClean(members.from, members.to), copied === well.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ""));
  assert.equal(new Set(Array.from({ length: members.count }, (_, i) => members.name(i))).size, members.count);
}

/** What the kernel says of messages is what the twin says, or that the twin should be asked. @returns what it said. */
export function checkObjects(texts: readonly string[]): number[] {
  const rows = rowsOf(texts);
  const objects = jsonObjects();
  assert.ok(objects !== undefined, "there are kernels");
  const said: number[] = [];
  for (let row = 0, read = 0; row < rows.rows; row++) {
    if (row === read) read = objects.read(rows, row);
    const what: number = objects.what(row);
    said.push(what);
    if (what === ASK) continue;
    const isObject = members.scan(rows.bytes, rows.from[row]!, rows.to[row]!);
    assert.equal(what === OBJECT, isObject, texts[row]);
    if (!isObject) continue;
    assert.ok(members.isClean(members.from, members.to));
    assert.deepEqual(
      [objects.objectFrom(row), objects.objectTo(row), objects.depth(row), objects.count(row)],
      [members.from, members.to, members.depth, members.count],
    );
    const numbers = new Map<number, string>();
    for (let member = 0; member < members.count; member++) {
      const at: number = objects.first(row) + member;
      const wanted = [members.start[member]! + 1, members.nameEnd[member], members.valueFrom[member]];
      assert.deepEqual([...objects.table.subarray(at * 4, at * 4 + 4)], [...wanted, members.valueTo[member]]);
      const value = rows.bytes.toString("latin1", members.valueFrom[member], members.valueTo[member]);
      const number: number = objects.names[at]!;
      assert.equal((number & ESCAPED) !== 0, value.startsWith('"') && value.includes("\\"));
      const name = numbers.get(number & ~ESCAPED);
      assert.equal(name, undefined, "names of an object differ, and so do their numbers");
      numbers.set(number & ~ESCAPED, members.name(member));
    }
  }
  return said;
}

const TWINS: readonly [make: () => Format, twin: (text: string) => Member[] | undefined][] = [
  [() => new LogfmtFormat(), logfmt],
  [() => new KlogFormat(), klog],
  [() => new ApacheFormat(), (text) => (text.startsWith("[") ? undefined : access(text))],
];

/** Members are those that the twin finds, and are JSON. */
export function checkFormats(text: string): void {
  for (const [make, twin] of TWINS) {
    const rows = new Rows(16, 1);
    rows.reset(origin, generationOf("g"));
    const bytes = Buffer.from(`"${text}"=`);
    rows.reserve(bytes.length);
    rows.used = bytes.copy(rows.bytes);
    const to = bytes.length - 2;
    const well = bytes.toString("utf8", 1, to);
    const fields = rows.members();
    const format = make();
    format.begin();
    const found = format.parse(rows, 1, to, fields, 0);
    const wanted = twin(well);
    if (wanted === undefined && format instanceof ApacheFormat && well.startsWith("[")) continue;
    assert.equal(found, wanted !== undefined, `${format.constructor.name}: ${JSON.stringify(well)}`);
    if (!found) continue;
    const given = Array.from({ length: fields.used }, (_, member): Member => {
      const json = rows.bytes.toString("utf8", fields.valueFrom(member), fields.valueTo(member));
      return [fields.nameText(rows.bytes, member), JSON.parse(json) as string | number];
    });
    assert.deepEqual(given, wanted, `${format.constructor.name}: ${JSON.stringify(well)}`);
    assert.equal(bytes.compare(rows.bytes, 0, bytes.length), 0, "what stood in the batch still does");
  }
}

const ALL = [JsonFormat, LogfmtFormat, KlogFormat, NginxFormat, ApacheFormat];
const OPTIONS = [
  {},
  { into: "app", timeKey: "time", messageKey: "msg" },
  { keepMessage: true, severityKey: "a", timeKey: "a" },
];

const bulk = elasticsearchOutput(["http://127.0.0.1:1"], { compression: "none" });
const entries = stackdriverOutput("http://127.0.0.1:1", { compression: "none" });

/** Requests of these messages are byte for byte the same with kernels and without, processed or not. */
export function checkRequests(texts: readonly string[]): void {
  const requests = (): string[] => {
    const rows = rowsOf(texts);
    const plain = requestsOf(entries, rows, 1e6, 1000);
    new Structured("json", new JsonFormat(), DEFAULTS, severityOfValue, undefined).process(rows);
    new SeverityFinder("info", "error", undefined).process(rows);
    return [...plain, ...requestsOf(bulk, rows, 1e6, 1000), ...requestsOf(entries, rows, 1e6, 1000)];
  };
  assert.deepEqual(requests(), withKernels(false, requests));
}

/** Whatever a message is: nothing throws, fields are JSON of unique names, and none that a record has of its own. */
export function checkStructured(text: string): void {
  for (const Kind of ALL)
    for (const options of OPTIONS) {
      const { rows } = structure(new Kind(), [text, "between", text], options);
      const twin = withKernels(false, () => structure(new Kind(), [text, "between", text], options).rows);
      assert.deepEqual(rows, twin);
      const [first, , again] = rows;
      assert.equal(first?.fields, again?.fields);
      assert.equal(first?.message, again?.message);
      const fields = keep(first?.fields ?? "") as Map<string, unknown>;
      for (const name of fields.keys())
        assert.doesNotMatch(name, /^(@timestamp|message|stream|log|kubernetes|container|orchestrator|error)(\.|$)/);
    }
}
