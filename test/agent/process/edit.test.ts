import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTemplate } from "../../../agent/config/template.ts";
import { Edit } from "../../../agent/process/edit.ts";
import { compileMatch } from "../../../agent/process/match.ts";
import { fieldsOf, giveFields } from "../../support/fields.ts";
import { rowsOf } from "../../support/rows.ts";

const edit = (options: { add?: Record<string, string>; remove?: string[]; rename?: Record<string, string> }): Edit =>
  new Edit(
    {
      add: Object.fromEntries(Object.entries(options.add ?? {}).map(([name, text]) => [name, parseTemplate(text)])),
      remove: options.remove ?? [],
      rename: options.rename ?? {},
    },
    compileMatch({ message: ["!/^skip/"] }),
  );

test("fields are removed, renamed and added in that order, and templates see them as they came", () => {
  const rows = rowsOf(["a", "skip", "b"]);
  giveFields(rows, 0, { "x.a": 1, "x.b": 2, user: 'u"1', keep: [1] });
  edit({
    add: { team: "{namespace}-{field.user}", user: "new", 'q"': "v" },
    remove: ["x.*"],
    rename: { user: "who", nothing: "n" },
  }).process(rows);
  assert.deepEqual(fieldsOf(rows, 0), [
    ["who", '"u\\"1"'],
    ["keep", "[1]"],
    ["team", '"shop-u\\"1"'],
    ["user", '"new"'],
    ['q"', '"v"'],
  ]);
  assert.deepEqual(fieldsOf(rows, 1), []);
  assert.deepEqual(fieldsOf(rows, 2), [
    ["team", '"shop-unknown"'],
    ["user", '"new"'],
    ['q"', '"v"'],
  ]);
});

test("a name that is there already is taken over", () => {
  const rows = rowsOf(["a"]);
  giveFields(rows, 0, { a: 1, b: 2, c: 3 });
  edit({ add: { c: "x" }, rename: { a: "b" } }).process(rows);
  assert.deepEqual(
    new Map(fieldsOf(rows, 0)),
    new Map([
      ["b", "2"],
      ["c", '"x"'],
    ]),
  );
});

test("without anything to change rows have no fields", () => {
  const rows = rowsOf(["a"]);
  edit({ remove: ["*"], rename: { a: "b" } }).process(rows);
  assert.equal(rows.fields, undefined);
});
