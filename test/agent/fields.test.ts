import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { fieldText } from "../../agent/fields.ts";
import { fieldsOf, giveFields } from "../support/fields.ts";
import { rowsOf } from "../support/rows.ts";

const name = fc.string({ unit: fc.constantFrom("a", "b", "é", '"', "\n"), maxLength: 2 });

test("of equal names the last counts, as in JSON.parse, however often members are added", () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.tuple(name, fc.nat(9)), { maxLength: 25 }), { maxLength: 4 }), (adds) => {
      const rows = rowsOf(["x", "y"]);
      const expected = new Map<string, number>();
      for (const members of adds) {
        giveFields(rows, 1, { other: true });
        const fields = rows.members();
        const mark = fields.used;
        for (const [name, value] of members) {
          // Escaped, where JSON need not.
          const text = Buffer.from(
            [...name].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""),
          );
          const plain = Buffer.from(JSON.stringify(name).slice(1, -1));
          const chosen = value % 2 === 0 ? text : plain;
          rows.reserve(chosen.length + 1);
          const at = rows.used;
          rows.used += chosen.copy(rows.bytes, at);
          rows.used += Buffer.from(String(value)).copy(rows.bytes, rows.used);
          fields.add(at, rows.used - 1, rows.used - 1, rows.used);
          expected.delete(name);
          expected.set(name, value);
        }
        fields.assign(rows.bytes, 0, mark);
      }
      assert.deepEqual(
        new Map(fieldsOf(rows, 0)),
        new Map([...expected].map(([name, value]) => [name, String(value)])),
      );
      assert.equal(fieldsOf(rows, 0).length, expected.size);
    }),
  );
});

test("rows keep their fields when others are added, moved or grown beyond the capacity", () => {
  const rows = rowsOf(["a", "b", "c"]);
  giveFields(rows, 0, { a: 1 });
  giveFields(rows, 2, { c: "3" });
  giveFields(rows, 0, { b: [2] });
  for (let i = 0; i < 5000; i++) rows.flags[rows.add()] = 0;
  assert.deepEqual(fieldsOf(rows, 0), [
    ["a", "1"],
    ["b", "[2]"],
  ]);
  assert.deepEqual(fieldsOf(rows, 1), []);
  assert.deepEqual(fieldsOf(rows, 4999), []);
  rows.move(2, 1);
  assert.deepEqual(fieldsOf(rows, 1), [["c", '"3"']]);
  rows.reset(rows.origin, rows.generation);
  assert.equal(rows.fields, undefined);
  rows.add();
  rows.members();
  assert.deepEqual(fieldsOf(rows, 0), []);
});

test("a field's text is a string's own, any other value's JSON, and that of a path into objects", () => {
  const rows = rowsOf(["x"]);
  assert.equal(fieldText(rows, 0, "user"), "");
  giveFields(rows, 0, { user: 'a"é', n: 12, o: { p: { q: "deep" }, "r.s": 1 }, "a.b": "dotted", nil: null });
  for (const [name, expected] of [
    ["user", 'a"é'],
    ["n", "12"],
    ["o", '{"p":{"q":"deep"},"r.s":1}'],
    ["o.p.q", "deep"],
    ["o.p", '{"q":"deep"}'],
    ["o.constructor", ""],
    ["o.p.q.x", ""],
    ["a.b", "dotted"],
    ["nil", "null"],
    ["nothing", ""],
    ["n.x", ""],
  ] as const)
    assert.equal(fieldText(rows, 0, name), expected, name);
});
