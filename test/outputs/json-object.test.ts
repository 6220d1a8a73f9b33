/** The scanner of JSON objects against JSON.parse, and what it finds in them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromJson, toBinary } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { cleaned } from "../../outputs/json-clean.ts";
import { JsonObject, OBJECT, TEXT, UNCLEAN } from "../../outputs/json-object.ts";

const scanner = new JsonObject(["a", "time", "__proto__"]);

function scan(text: string): number {
  // Bytes around, which would make it something else, must not be looked at.
  const bytes = Buffer.from(`"${text}}"`);
  return scanner.scan(bytes, 1, bytes.length - 2);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

const json = fc.jsonValue({ maxDepth: 6, stringUnit: "binary" });
const object = fc.dictionary(fc.string({ unit: "binary" }), json);

test("what JSON.parse takes as an object is one, however it is written", () => {
  fc.assert(
    fc.property(object, fc.constantFrom("", " ", "\n", "\t"), (value, indent) => {
      const text = `${indent}${JSON.stringify(value, null, indent)}${indent}`;
      assert.notEqual(scan(text), TEXT, text);
      assert.deepEqual(parse(text.slice(scanner.start - 1)), parse(text));
      assert.equal(Buffer.byteLength(text.trim()), scanner.end - scanner.start);
      assert.equal(scanner.members, Object.keys(value).length);
    }),
  );
});

test("what JSON.parse refuses is text, whatever is wrong with it", () => {
  const pieces = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    "\\u00e9",
    "\\ud800",
    "-",
    "0",
    "1",
    ".",
    "e",
    "+",
    "true",
    "nul",
  ];
  const some = fc.array(fc.oneof(fc.constantFrom(...pieces, '"a":', '"b"', " ", "\n", "\0"), fc.string()), {
    maxLength: 12,
  });
  const broken = fc.tuple(object, fc.nat(), fc.constantFrom(...pieces)).map(([value, at, piece]) => {
    const text = JSON.stringify(value);
    const place = at % text.length;
    return text.slice(0, place) + piece + text.slice(place + (at % 2));
  });
  fc.assert(
    fc.property(
      fc.oneof(
        some.map((list) => `{${list.join("")}}`),
        broken,
      ),
      (text) => {
        const value = parse(text.toWellFormed());
        assert.equal(scan(text.toWellFormed()) !== TEXT, isObject(value), text);
      },
    ),
    { numRuns: 3000 },
  );
});

for (const [text, expected] of [
  ["{}", OBJECT],
  [" \r\n\t{ } \n", OBJECT],
  ['{"n":-0,"m":1.5e-7,"k":123456789012345,"l":1E99}', OBJECT],
  ['{"a":{"a":1},"b":[{"a":1},{"a":2}]}', OBJECT],
  ['{"a":1,"b":2,"a":3}', UNCLEAN],
  ['{"b":{"x":1,"x":2}}', UNCLEAN],
  ['{"\\u0061":1}', UNCLEAN],
  ['{"n":1234567890123456}', UNCLEAN],
  ['{"n":1e400}', UNCLEAN],
  ['{"s":"\\ud800"}', UNCLEAN],
  ['{"s":"\\udc00\\ud800"}', UNCLEAN],
  ['{"s":"\\ud83d\\ude00"}', OBJECT],
  ["", TEXT],
  ["null", TEXT],
  ["[{}]", TEXT],
  ['"{}"', TEXT],
  ["{", TEXT],
  ["{}{}", TEXT],
  ["{} x", TEXT],
  ["{,}", TEXT],
  ['{"a":1,}', TEXT],
  ['{"a" 1}', TEXT],
  ['{"a":}', TEXT],
  ['{"a":[1,]}', TEXT],
  ['{"a":[}', TEXT],
  ['{"a":01}', TEXT],
  ['{"a":.5}', TEXT],
  ['{"a":1.}', TEXT],
  ['{"a":1e}', TEXT],
  ['{"a":-}', TEXT],
  ['{"a":NaN}', TEXT],
  ['{"a":tru}', TEXT],
  ['{"a":"\t"}', TEXT],
  ['{"a":"\\x"}', TEXT],
  ['{"a":"\\u12g4"}', TEXT],
  ["{'a':1}", TEXT],
] as const)
  test(`${JSON.stringify(text)} is ${["text", "an object", "unclean"][expected]}`, () => {
    assert.equal(scan(text), expected);
  });

test("what is nested beyond thirty levels is text, and ten thousand are no trouble", () => {
  for (const [open, close] of [
    ['{"a":', "}"],
    ["[", "]"],
  ] as const) {
    const nested = (levels: number): string => `{"x":${open.repeat(levels - 1)}1${close.repeat(levels - 1)}}`;
    assert.equal(depthOf(JSON.parse(nested(30))), 30);
    assert.equal(scan(nested(30)), OBJECT);
    assert.equal(scan(nested(31)), TEXT);
    assert.equal(scan(nested(10_000)), TEXT);
    assert.equal(scan(`{"x":${open.repeat(10_000)}`), TEXT);
  }
});

test("its size is never less than what it takes as a Struct", () => {
  const deep = fc.oneof(
    object,
    fc.dictionary(fc.string({ maxLength: 2 }), fc.array(fc.constantFrom(1, null, true, "", [], {}))),
  );
  fc.assert(
    fc.property(deep, (value) => {
      const text = JSON.stringify(value);
      if (scan(text) !== OBJECT || depthOf(value) > 20) return;
      const bytes = toBinary(StructSchema, create(StructSchema, fromJson(StructSchema, JSON.parse(text)))).length;
      assert.ok(scanner.size >= bytes, `${scanner.size} < ${bytes}: ${text}`);
    }),
  );
});

test("members looked for are found at the top only, with their neighbours", () => {
  const text = ' { "x" : {"time":1}, "time" : [1, {"a":2}] ,"y":"time", "a":"1" } ';
  assert.equal(scan(text), OBJECT);
  const bytes = `"${text}`;
  assert.deepEqual(
    scanner.found.map(({ key, start, valueStart, valueEnd, before, after }) => [
      key,
      bytes.slice(start, valueStart),
      bytes.slice(valueStart, valueEnd),
      bytes.slice(0, before).at(-1),
      bytes.slice(Math.max(after, 0), after < 0 ? 0 : after + 3),
    ]),
    [
      ["time", '"time" : ', '[1, {"a":2}]', "}", '"y"'],
      ["a", '"a":', '"1"', '"', ""],
    ],
  );
  assert.deepEqual([scanner.members, bytes.slice(scanner.first, scanner.first + 3)], [4, '"x"']);
  assert.equal(bytes.slice(scanner.last - 3, scanner.last), '"1"');
  assert.equal(scan('{"a":"1"}'), OBJECT);
  assert.deepEqual(
    scanner.found.map(({ before, after }) => [before, after]),
    [[-1, -1]],
  );
  assert.equal(scan("{}"), OBJECT);
  assert.deepEqual([scanner.found, scanner.members, scanner.first, scanner.last], [[], 0, -1, -1]);
});

test("many keys are compared too", () => {
  const keys = Array.from({ length: 2000 }, (_, i) => `"key ${i}":${i}`);
  assert.equal(scan(`{${keys.join(",")}}`), OBJECT);
  assert.equal(scan(`{${keys.join(",")},"key 7":0}`), UNCLEAN);
});

test("cleaning keeps digits, the last of equal keys, and whole characters", () => {
  const cases: [string, string][] = [
    ['{"n":12345678901234567890}', '{"n":"12345678901234567890"}'],
    ['{"n":-9007199254740993}', '{"n":"-9007199254740993"}'],
    ['{"n":9007199254740991}', '{"n":9007199254740991}'],
    ['{"n":[1e400,-1E999]}', '{"n":["1e400","-1E999"]}'],
    [
      '{"n":1.10,"m":0.1000000000000000055511151231257827,"l":1e5,"k":-0}',
      '{"n":1.10,"m":0.1000000000000000055511151231257827,"l":1e5,"k":-0}',
    ],
    ['{"a":1,"b":2,"a":{"c":3}}', '{"a":{"c":3},"b":2}'],
    ['{"a":1,"\\u0061":2}', '{"a":2}'],
    ['{"__proto__":1,"__proto__":[2]}', '{"__proto__":[2]}'],
    ['{"s":"\\ud800 \\\\ud800 \\ud83d\\ude00 \\udc00"}', '{"s":"\ufffd \\\\ud800 😀 \ufffd"}'],
    ['{"\\ud800":1,"\\udfff":2}', '{"\ufffd":2}'],
  ];
  for (const [text, expected] of cases) assert.equal(cleaned(text).toString(), expected);
});

test("what was cleaned is clean", () => {
  const number = fc.oneof(
    fc.bigInt().map(String),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
    fc.constant("1e999"),
  );
  const key = fc.constantFrom('"a"', '"\\u0061"', '"b\\n"', '"\\ud800"', '"\\ud800\\udc00"', '"time"');
  const member = fc.tuple(key, fc.oneof(number, key)).map((pair) => pair.join(":"));
  fc.assert(
    fc.property(fc.array(member), (members) => {
      const text = `{${members.join(",")}}`;
      assert.notEqual(scan(text), TEXT);
      const bytes = cleaned(text);
      assert.equal(scanner.scan(bytes, 0, bytes.length, true), OBJECT, bytes.toString());
    }),
  );
});
