import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileMatch } from "../../../agent/process/match.ts";
import { parsePattern } from "../../../agent/process/pattern.ts";
import { Redact } from "../../../agent/process/redact.ts";
import { type Builtin, FINDERS } from "../../../agent/process/secrets.ts";
import { fieldsOf, giveFields, messagesOf } from "../../support/fields.ts";
import { HARD_PATTERN, hardText } from "../../support/patterns.ts";
import { rowsOf } from "../../support/rows.ts";

function redactor(builtin: readonly Builtin[], patterns: readonly string[] = [], replacement = "[REDACTED]"): Redact {
  return new Redact(
    { finders: builtin.map((name) => FINDERS[name]), patterns: patterns.map(parsePattern), replacement },
    undefined,
  );
}

const ALL = Object.keys(FINDERS) as Builtin[];

test("messages are redacted by what is built in and by patterns, and others stay where they are", () => {
  const rows = rowsOf(["mail a@b.de from 10.0.0.1", "nothing", "é token=abc; token=def é", "a@b.de"]);
  const untouched = rows.from[1];
  redactor(ALL, ["/token=\\w+/"]).process(rows);
  assert.deepEqual(messagesOf(rows), [
    "mail [REDACTED] from [REDACTED]",
    "nothing",
    "é [REDACTED]; [REDACTED] é",
    "[REDACTED]",
  ]);
  assert.equal(rows.from[1], untouched);
});

test("what several find overlapping is replaced once", () => {
  const rows = rowsOf(["Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc x"]);
  redactor(ALL).process(rows);
  assert.deepEqual(messagesOf(rows), ["Authorization: Bearer [REDACTED] x"]);
});

test("strings and numbers of fields are redacted at any depth, names and everything else stay", () => {
  const rows = rowsOf(["x"]);
  giveFields(rows, 0, {
    to: "a@b.de",
    "a@b.de": 1,
    card: 4111111111111111,
    minus: -4111111111111111,
    nested: { list: ["x", "c@d.de", { e: 'say "f@g.de"\n' }], ok: true, n: 1.5, nil: null },
    plain: 'kept " \\ é',
  });
  redactor(["email", "creditCard"], [], 'a"b').process(rows);
  assert.deepEqual(fieldsOf(rows, 0), [
    ["to", '"a\\"b"'],
    ["a@b.de", "1"],
    ["card", '"a\\"b"'],
    ["minus", '"-a\\"b"'],
    ["nested", '{"list":["x","a\\"b",{"e":"say \\"a\\"b\\"\\n"}],"ok":true,"n":1.5,"nil":null}'],
    ["plain", '"kept \\" \\\\ é"'],
  ]);
});

test("an escape hides nothing", () => {
  const rows = rowsOf(["x"]);
  const fields = rows.members();
  const text = Buffer.from('k"a\\u0040b.de"');
  rows.reserve(text.length);
  const at = rows.used;
  rows.used += text.copy(rows.bytes, at);
  fields.add(at, at + 1, at + 1, rows.used);
  fields.assign(rows.bytes, 0, 0);
  redactor(["email"]).process(rows);
  assert.deepEqual(fieldsOf(rows, 0), [["k", '"[REDACTED]"']]);
});

test("fields stay JSON whatever is in them, and nothing that is found remains", () => {
  // Without what is a card number or an address by chance.
  const value = fc.jsonValue({ maxDepth: 3 }).filter((value) => !/[0-9]{13}|@/.test(JSON.stringify(value)));
  const leaf = fc.constantFrom("a@b.de", "4111111111111111", '"a@b.de\\', "\na@b.de\t", "é a@b.de");
  fc.assert(
    fc.property(fc.array(fc.oneof(value, leaf, fc.record({ k: leaf, v: value })), { maxLength: 5 }), (list) => {
      const rows = rowsOf(["x"]);
      giveFields(rows, 0, { list });
      redactor(["email", "creditCard"], [], "#").process(rows);
      const [, json = ""] = fieldsOf(rows, 0)[0] ?? [];
      const scrub = (value: unknown): unknown => {
        if (typeof value === "string") return value.replaceAll("a@b.de", "#").replaceAll("4111111111111111", "#");
        if (Array.isArray(value)) return value.map(scrub);
        if (typeof value !== "object" || value === null) return value;
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, scrub(item)]));
      };
      assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify(scrub(list))));
    }),
    { numRuns: 300 },
  );
});

test("only what matches is redacted", () => {
  const rows = rowsOf(["x a@b.de", "y a@b.de"]);
  const options = { finders: [FINDERS.email], patterns: [], replacement: "#" };
  new Redact(options, compileMatch({ message: ["/^x/"] })).process(rows);
  assert.deepEqual(messagesOf(rows), ["x #", "y a@b.de"]);
});

test("a message that a pattern matches too often is closed there, and its rest is gone", () => {
  const rows = rowsOf([`${"1 ".repeat(50_000)}12 the end`, "1 2"]);
  const redact = redactor([], ["/[0-9]/"], "#");
  redact.process(rows);
  assert.deepEqual(messagesOf(rows), [`${"# ".repeat(50_000).trimEnd()}#`, "# #"]);
  assert.equal(redact.counts.closed, 1);
});

test("a message that a pattern can't decide is gone as a whole", () => {
  const rows = rowsOf([hardText(1 << 20), "x y"]);
  const redact = redactor([], [HARD_PATTERN], "#");
  redact.process(rows);
  assert.deepEqual(messagesOf(rows), ["#", "x y"]);
  assert.equal(redact.counts.closed, 1);
});

test("a field is gone that stands behind more values than can be looked at, and those before it are not", () => {
  const rows = rowsOf(["a@b.de", "x"]);
  giveFields(rows, 0, { first: ["a@b.de"], list: Array.from({ length: 20_001 }, () => "id 12345"), last: "ok ok ok" });
  giveFields(rows, 1, { first: "word 1", short: Array.from({ length: 30_000 }, (_, i) => i) });
  const redact = redactor([], ["/[a-z]@|12345/"], "#");
  redact.process(rows);
  assert.deepEqual(messagesOf(rows), ["#b.de", "x"]);
  assert.deepEqual(fieldsOf(rows, 0), [
    ["first", '["#b.de"]'],
    ["list", '"#"'],
    ["last", '"#"'],
  ]);
  assert.equal(fieldsOf(rows, 1)[0]?.[1], '"word 1"');
  assert.equal(fieldsOf(rows, 1)[1]?.[1], '"#"');
  assert.equal(redact.counts.closed, 3);
  // What is built in can't find anything in short numbers, so they need not be looked at.
  const plain = rowsOf(["x"]);
  giveFields(plain, 0, { short: Array.from({ length: 30_000 }, (_, i) => i), mail: "a@b.de" });
  const builtin = redactor(["email", "creditCard"]);
  builtin.process(plain);
  assert.equal(fieldsOf(plain, 0)[0]?.[1]?.length, JSON.stringify(Array.from({ length: 30_000 }, (_, i) => i)).length);
  assert.equal(fieldsOf(plain, 0)[1]?.[1], '"[REDACTED]"');
  assert.equal(builtin.counts.closed, 0);
});
