import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { JsonFormat } from "../../../agent/process/json.ts";
import { Members } from "../../../agent/process/members.ts";
import { Repairs } from "../../../agent/process/repairs.ts";
import type { StructuredOptions } from "../../../agent/process/structured.ts";
import { anyJson } from "../../support/json.ts";
import { structure } from "../../support/structuring.ts";
import { checkJson } from "../../support/twins.ts";

const RECORD = 1_790_000_000;

const CASES: readonly [
  name: string,
  options: Partial<StructuredOptions>,
  text: string,
  message: string,
  fields: string,
][] = [
  [
    "members become fields, and messageKey the message",
    {},
    '{"a":1,"message":"hi \\"x\\"\\n\\u00e9"}',
    'hi "x"\né',
    '{"a":1}',
  ],
  ["without a text under messageKey the message stays whole", {}, '{"a":1}', '{"a":1}', '{"a":1}'],
  [
    "keepMessage keeps it whole, too",
    { keepMessage: true, into: "app" },
    '{"message":"x"}',
    '{"message":"x"}',
    '{"app":{"message":"x"}}',
  ],
  [
    "numbers keep their digits",
    {},
    '{"a":9007199254740993,"b":1E+400,"c":-0.10}',
    '{"a":9007199254740993,"b":1E+400,"c":-0.10}',
    '{"a":9007199254740993,"b":1E+400,"c":-0.10}',
  ],
  [
    "of equal names the last counts, at every level",
    { messageKey: "m" },
    '{"a":1,"\\u0061":2,"m":"x","b":{"c":1,"d":2,"c":[{"e":1,"e":3}]}}',
    "x",
    '{"\\u0061":2,"b":{"d":2,"c":[{"e":3}]}}',
  ],
  [
    "__proto__ and constructor are names like others",
    { messageKey: "m" },
    '{"__proto__":{"x":1},"constructor":2,"m":"x"}',
    "x",
    '{"__proto__":{"x":1},"constructor":2}',
  ],
  [
    "what a record has of its own goes under fields",
    {},
    '{"@timestamp":"2000","stream":"x","kubernetes":{"pod":1},"log":{"offset":0},"a":1,"message":"m"}',
    "m",
    '{"a":1,"fields":{"@timestamp":"2000","stream":"x","kubernetes":{"pod":1},"log":{"offset":0}}}',
  ],
  [
    "also as a path, with escapes, and under fields itself",
    {},
    '{"kubernetes.pod.name":"x","\\u006cog":1,"fields":{"b":1},"message":"m"}',
    "m",
    '{"fields":{"kubernetes.pod.name":"x","\\u006cog":1,"fields":{"b":1}}}',
  ],
  [
    "names that Elasticsearch refuses go there, too",
    {},
    '{"":1,"a..b":2,".c":3,"d.":4," ":5,"_id":6,"e.f":7,"message":"m"}',
    "m",
    '{"e.f":7,"fields":{"":1,"a..b":2,".c":3,"d.":4," ":5,"_id":6}}',
  ],
  [
    "a message that is no text goes there",
    {},
    '{"message":{"a":1}}',
    '{"message":{"a":1}}',
    '{"fields":{"message":{"a":1}}}',
  ],
  [
    "into a field nothing collides",
    { into: "app", messageKey: "msg" },
    '{"message":1,"msg":"x","stream":2}',
    "x",
    '{"app":{"message":1,"stream":2}}',
  ],
  [
    "lone surrogates become U+FFFD",
    { messageKey: "m" },
    '{"a":"\\ud83d","\\ude00":"\\ud83d\\ude00","m":"\\ud83dx"}',
    "\ufffdx",
    '{"a":"\\ufffd","\\ufffd":"\\ud83d\\ude00"}',
  ],
  [
    "joined lines are one line in the fields",
    { messageKey: "m" },
    '{\n "a": [1,\r\n2],\n"m":"x"}',
    "x",
    '{"a":[1,  2]}',
  ],
  ["an empty object has no fields", {}, "{}", "{}", "{}"],
];

for (const [name, options, text, message, fields] of CASES) {
  test(`json: ${name}`, () => {
    const { rows, counts } = structure(new JsonFormat(), [text], options);
    assert.deepEqual(rows[0], { message, severity: "", fields, seconds: RECORD, nanos: 123_456_789 });
    assert.deepEqual(counts, { unmatched: 0, unreadableTimes: 0 });
  });
}

const OTHERS = [
  "",
  "text",
  "[]",
  "1",
  "null",
  '"x"',
  "{",
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  '{"a":01}',
  '{"a":1.}',
  "{a:1}",
];
const BROKEN = [
  '{"a":"\\x"}',
  '{"a":"\\u12"}',
  '{"a":"\t"}',
  '{"a":1}}',
  '{"a":1} x',
  '{"a":1}{"b":2}',
  '{"a":tru}',
  '{"a":+1}',
];
for (const text of [...OTHERS, ...BROKEN]) {
  test(`json: ${JSON.stringify(text)} passes untouched and is counted`, () => {
    const { rows, counts } = structure(new JsonFormat(), [text]);
    assert.deepEqual([rows[0]?.message, rows[0]?.fields, counts.unmatched], [text, "{}", 1]);
  });
}

const TIMES: readonly [value: string, seconds: number, nanos: number][] = [
  ['"2026-11-23T23:52:40.867327765Z"', 1_795_477_960, 867_327_765],
  ['"2026-11-23 23:52:40.5+01:00"', 1_795_474_360, 500_000_000],
  ['"23/Nov/2026:23:52:47 +0100"', 1_795_474_367, 0],
  ["1795428672", 1_795_428_672, 0],
  ["1795428672.123456789", 1_795_428_672, 123_456_789],
  ["1795428672123", 1_795_428_672, 123_000_000],
  ["1795428672123456", 1_795_428_672, 123_456_000],
  ['"1795428672123456789"', 1_795_428_672, 123_456_789],
];
for (const [value, seconds, nanos] of TIMES) {
  test(`json: timeKey takes ${value} as the record's time`, () => {
    const { rows } = structure(new JsonFormat(), [`{"time":${value},"a":1}`], { timeKey: "time" });
    assert.deepEqual([rows[0]?.seconds, rows[0]?.nanos, rows[0]?.fields], [seconds, nanos, '{"a":1}']);
  });
}

for (const value of [
  '"yesterday"',
  '"2026-11-23T23:52:40"',
  "1e9",
  "-1",
  "null",
  '"23/Foo/2026:23:52:47 +0100"',
  "12.",
  "1.2.3",
]) {
  test(`json: a time ${value} that can't be read stays a field, and the record has its own`, () => {
    const text = `{"a":1,"time":${value === "12." || value === "1.2.3" ? `"${value}"` : value}}`;
    const { rows, counts } = structure(new JsonFormat(), [text], { timeKey: "time" });
    assert.deepEqual([rows[0]?.seconds, rows[0]?.fields, counts.unreadableTimes], [RECORD, text, 1]);
  });
}

test("json: without timeKey no member changes the record's time", () => {
  const { rows } = structure(new JsonFormat(), ['{"time":"2000-01-01T00:00:00Z","@timestamp":"2000-01-01T00:00:00Z"}']);
  assert.equal(rows[0]?.seconds, RECORD);
});

test("json: severityKey gives the severity, and a value that is none stays a field", () => {
  const { rows } = structure(new JsonFormat(), ['{"level":"WARN"}', '{"level":50}', '{"level":"odd"}'], {
    severityKey: "level",
  });
  assert.deepEqual(
    rows.map(({ severity, fields }) => [severity, fields]),
    [
      ["warn", "{}"],
      ["error", "{}"],
      ["", '{"level":"odd"}'],
    ],
  );
});

test("json: ten thousand levels neither crash nor lose anything", () => {
  const text = `{"a":${"[".repeat(10_000)}${"]".repeat(10_000)}}`;
  const { rows, counts } = structure(new JsonFormat(), [text]);
  assert.deepEqual([rows[0]?.message, counts.unmatched], [text, 1]);
});

test("json: a hundred thousand members of one name are one, and as many of different names stay text", () => {
  const many = `{${Array.from({ length: 100_000 }, (_, i) => `"k${i}":${i}`).join()}}`;
  const same = `{${Array.from({ length: 100_000 }, (_, i) => `"k":${i}`).join()}}`;
  const { rows, counts } = structure(new JsonFormat(), [many, same]);
  assert.deepEqual([rows[0]?.message, rows[0]?.fields, rows[1]?.fields], [many, "{}", '{"k":99999}']);
  assert.equal(counts.unmatched, 1);
});

test("json: a line of 1 MiB that has one name again and again is read without making texts of it", (context) => {
  const made = context.mock.method(Members.prototype, "name");
  const cuts = context.mock.method(Repairs.prototype, "append");
  const same = `{"b":0,${'"a":1,'.repeat(174_000)}"a":2}`;
  const { rows } = structure(new JsonFormat(), [same]);
  assert.equal(rows[0]?.fields, '{"b":0,"a":2}');
  assert.ok(made.mock.callCount() < 50, `${made.mock.callCount()} names were made`);
  assert.ok(cuts.mock.callCount() < 10);
});

test("json: names that come again in turns are still the last of each", () => {
  const names = (round: number): string =>
    Array.from({ length: 40 }, (_, i) => `"n${i}":${round},"n${i}":${round}`).join();
  const { rows } = structure(new JsonFormat(), [`{${[1, 2, 3].map(names).join()}}`]);
  assert.equal(rows[0]?.fields, `{${Array.from({ length: 40 }, (_, i) => `"n${i}":3`).join()}}`);
});

test("json: a text is an object where JSON.parse says so, and all of it is kept, for any text", () => {
  fc.assert(
    fc.property(anyJson, (text) => checkJson(text)),
    { numRuns: 5000 },
  );
});
