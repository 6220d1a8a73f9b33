/** JSON objects by the kernel, against the twin. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ASK, jsonObjects, OBJECT, OTHER } from "../../../agent/kernel/json.ts";
import { switchKernels } from "../../../agent/kernel/kernel.ts";
import { LogData } from "../../bench/data.ts";
import { anyJson } from "../../support/json.ts";
import { rowsOf } from "../../support/rows.ts";
import { checkObjects, checkStructured } from "../../support/twins.ts";

switchKernels(true);

const spaced = fc.tuple(fc.constantFrom("", " ", "\t ", "\n"), anyJson).map(([blank, text]) => blank + text + blank);

test("what the kernel says of messages is what the twin says, for any texts of a batch", () => {
  fc.assert(
    fc.property(fc.array(spaced, { maxLength: 8 }), (texts) => {
      checkObjects(texts);
    }),
    { numRuns: 3000 },
  );
});

test("fields, message, time and severity are the same by the kernel and by the twin, for any text", () => {
  fc.assert(fc.property(spaced, checkStructured), { numRuns: 500 });
});

const SAID: readonly [text: string, what: number][] = [
  ['{"level":"info","a":[1,{"b":null}],"msg":"x \\"y\\" \\u00e9 \\ud83d\\ude00"}', OBJECT],
  [' { "a" : -0.5e+7 , "" : {} } ', OBJECT],
  ["{}", OBJECT],
  ['{"a":1}}', OTHER],
  ['{"a":"\t"}', OTHER],
  ['{"a":1,"b":{"c":1,"d":2,"c":3}}', ASK],
  ['{"\\u0061":1}', ASK],
  ['{"a":"\\ud83d"}', ASK],
  ['{"a":\n1}', ASK],
  [`{"${"n".repeat(65)}":1}`, ASK],
  [`{"${"n".repeat(64)}":1,"${"n".repeat(63)}m":2,"${"n".repeat(17)}":3,"${"n".repeat(16)}":4}`, OBJECT],
  [`{"a":${"[".repeat(127)}${"]".repeat(127)}}`, OBJECT],
  [`{"a":${"[".repeat(128)}${"]".repeat(128)}}`, ASK],
  [`{"a":"${"x".repeat(300_000)}"}`, ASK],
  [`{"a":"${"x".repeat(200_000)}"}`, OBJECT],
];

test("the twin is asked only for what is rare, whatever stands around it", () => {
  assert.deepEqual(
    checkObjects(SAID.map(([text]) => text)),
    SAID.map(([, what]) => what),
  );
  for (const [text, what] of SAID) assert.deepEqual(checkObjects([text]), [what], text);
});

test("it does not matter how far behind others a message stands", () => {
  const object = '{"a":{"b":1},"c":"x"}';
  const far = [..."abcdefgh"].map((letter) => letter.repeat(70_000));
  assert.deepEqual(checkObjects([...far, object, "text", object, ...far, object]), [
    ...far.map(() => OTHER),
    OBJECT,
    OTHER,
    OBJECT,
    ...far.map(() => OTHER),
    OBJECT,
  ]);
});

test("the same name is told again in whatever place it comes, and names that it only resembles are others", () => {
  const objects = jsonObjects();
  assert.ok(objects !== undefined);
  const names = [
    "a",
    "aa",
    "aaaaaaaaaaaaaaaa",
    "aaaaaaaaaaaaaaaaa",
    "a\0",
    "",
    "b",
    `${"a".repeat(40)}b${"a".repeat(20)}`,
  ];
  const numbersOf = (text: string): number[] => {
    objects.read(rowsOf(["x", text]), 0);
    return Array.from({ length: objects.count(1) }, (_, i) => objects.names[objects.first(1) + i]!);
  };
  const text = (list: readonly string[]): string => `{${list.map((name) => `${JSON.stringify(name)}:0`).join()}}`;
  const plain = names.filter((name) => !JSON.stringify(name).includes("\\"));
  const numbers = numbersOf(text(plain));
  assert.equal(new Set(numbers).size, plain.length);
  assert.deepEqual(numbersOf(text([...plain].reverse())), numbers.reverse());
});

test("names without end are forgotten in time, and objects of any of them are still read", () => {
  const objects = jsonObjects();
  assert.ok(objects !== undefined);
  const before = objects.generation;
  let asked = 0;
  for (let batch = 0; batch < 20; batch++) {
    const texts = Array.from({ length: 300 }, (_, i) => `{"n${batch}-${i}":${i},"same":1}`);
    asked += checkObjects(texts).filter((what) => what === ASK).length;
  }
  assert.ok(objects.generation > before);
  assert.equal(asked, 0);
});

test("names that are many at once are left to the twin, and so are members beyond the room", () => {
  const many = `{${Array.from({ length: 3000 }, (_, i) => `"${i}":0`).join()}}`;
  const texts = Array.from({ length: 9000 }, () => '{"a":1,"b":2,"c":3}');
  assert.equal(checkObjects([many])[0], ASK);
  const said = checkObjects([...texts, many]);
  assert.ok(said.slice(0, 9000).every((what) => what === OBJECT));
});

test("lines of apps are read without asking the twin", () => {
  const data = new LogData(7);
  const messages = Array.from({ length: 500 }, () => data.lines().split("\n")[0]!.slice(40)).filter((text) =>
    text.startsWith("{"),
  );
  assert.ok(messages.length > 100);
  assert.ok(checkObjects(messages).every((what) => what === OBJECT));
});
