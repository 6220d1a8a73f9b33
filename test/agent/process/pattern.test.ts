import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { isPattern, isPlain, PatternError, parsePattern } from "../../../agent/process/pattern.ts";

test("a pattern is written between slashes, with the flags i and m", () => {
  assert.ok(isPattern("/a/") && isPattern("/a/im") && isPattern("/a\\/b/"));
  assert.ok(!isPattern("a") && !isPattern("/") && !isPattern("/var/log*") && !isPattern("web-*"));
  assert.ok(parsePattern("/ERROR|warn/i").test("an Error"));
  assert.ok(parsePattern("/^b$/m").test("a\nb"));
  assert.ok(!parsePattern("/^b$/").test("a\nb"));
  assert.ok(parsePattern("/a\\/b/").test("a/b"));
  assert.ok(parsePattern("/\\u00e9$/").test("é"));
});

test("what can't be bounded, or is none, is refused with the reason", () => {
  for (const [text, message] of [
    ["/a(?=b)/", /^lookaheads are not available/],
    ["/a(?!b)/", /^lookaheads are not available/],
    ["/(?<=a)b/", /^lookbehinds are not available/],
    ["/(?<!a)b/", /^lookbehinds are not available/],
    ["/(a)\\1/", /^backreferences are not available/],
    ["/(?<n>a)\\k<n>/", /^backreferences are not available/],
    ["/(?>a)/", /^atomic groups are not available/],
    ["/(/", /^not a pattern: missing closing \)/],
    ["/a{2000}/", /^not a pattern: invalid repeat count/],
    ["/a/g", /^the flag g is not available; allowed are i and m/],
    ["//", /^the pattern is empty|between slashes/],
    ["abc", /^it must be a pattern between slashes/],
  ] as const)
    assert.throws(
      () => parsePattern(text),
      (error) => error instanceof PatternError && message.test(error.message),
      text,
    );
});

test("what only looks like something that is not available is a pattern", () => {
  for (const text of ["/[(?=]/", "/\\(?=/", "/\\\\1/", "/(?<name>a)/", "/(?i)a/"]) assert.ok(parsePattern(text), text);
});

test("captures are those of named groups, and a group that took no part is undefined", () => {
  const pattern = parsePattern("/^(?<method>[A-Z]+) (?<path>\\S+)(?: (?<rest>.*))?$/");
  assert.deepEqual(pattern.groups, ["method", "path", "rest"]);
  assert.deepEqual({ ...pattern.capture("GET /x é") }, { method: "GET", path: "/x", rest: "é" });
  assert.deepEqual({ ...pattern.capture("GET /x") }, { method: "GET", path: "/x", rest: undefined });
  assert.equal(pattern.capture("nothing"), undefined);
});

test("spans follow one another and none is empty", () => {
  assert.deepEqual([...parsePattern("/a*/").spans("baab", 0)], [[1, 3]]);
  assert.deepEqual(
    [...parsePattern("/é|b/").spans("aéb", 0)],
    [
      [1, 2],
      [2, 3],
    ],
  );
});

test("plain patterns mean the same to both engines", () => {
  const part = fc.constantFrom(
    "a",
    "b",
    "\\d",
    "\\w",
    "\\W",
    "[ab]",
    "[^a-c]",
    "(a|b)",
    "(?:ab|c)",
    "\\.",
    "-",
    "\\b",
    "^",
    "$",
    "|",
  );
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 6 }),
      fc.constantFrom("", "i", "m"),
      fc.string({ unit: fc.constantFrom("a", "b", "A", "c", "1", "-", ".", "\n", "é", "K", "_") }),
      (parts, flags, text) => {
        const source = parts.join("");
        fc.pre(isPlain(source, flags));
        const re2 = RE2JS.compile(source, flags === "i" ? RE2JS.CASE_INSENSITIVE : flags === "m" ? RE2JS.MULTILINE : 0);
        assert.equal(new RegExp(source, flags).test(text), re2.test(text));
      },
    ),
    { numRuns: 3000 },
  );
});

test("what could backtrack is not plain", () => {
  for (const source of [
    "a*",
    "a+b",
    "a?",
    "a{2}",
    "(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)",
    "a.b",
    "\\s",
    "é",
    "(?=a)",
    "\\1",
  ])
    assert.ok(!isPlain(source, ""), source);
  for (const source of ["error|warn", "status=5\\d\\d", "^\\[(a|b)\\] ", "\\bfoo\\b"])
    assert.ok(isPlain(source, ""), source);
});
