/** Parsers held to their slow twins, on one input: for property tests and for fuzzing. They throw where the two differ. */
import assert from "node:assert/strict";
import { Rows } from "../../agent/batch.ts";
import type { Format } from "../../agent/process/format.ts";
import { JsonFormat } from "../../agent/process/json.ts";
import { KlogFormat } from "../../agent/process/klog.ts";
import { LogfmtFormat } from "../../agent/process/logfmt.ts";
import { Members } from "../../agent/process/members.ts";
import { ApacheFormat, NginxFormat } from "../../agent/process/web.ts";
import { access, klog, logfmt, type Member } from "../reference/formats.ts";
import { depthOf, isObject, keep } from "../reference/json.ts";
import { origin } from "./rows.ts";
import { generationOf } from "./scanning.ts";
import { structure } from "./structuring.ts";

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
    const found = format.parse(rows, 1, to, fields);
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

/** Whatever a message is: nothing throws, fields are JSON of unique names, and none that a record has of its own. */
export function checkStructured(text: string): void {
  for (const Kind of ALL)
    for (const options of OPTIONS) {
      const { rows } = structure(new Kind(), [text, "between", text], options);
      const [first, , again] = rows;
      assert.equal(first?.fields, again?.fields);
      assert.equal(first?.message, again?.message);
      const fields = keep(first?.fields ?? "") as Map<string, unknown>;
      for (const name of fields.keys())
        assert.doesNotMatch(name, /^(@timestamp|message|stream|log|kubernetes|container|orchestrator|error)(\.|$)/);
    }
}
