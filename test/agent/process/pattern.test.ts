import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { isPattern, isPlain, type Pattern, PatternError, parsePattern } from "../../../agent/process/pattern.ts";

/** Whether the text matches, amid other bytes. */
function fits(pattern: Pattern, text: string): boolean | undefined {
  const bytes = Buffer.from(`a${text}b`);
  return pattern.test(bytes, 1, bytes.length - 1);
}

function groupsOf(pattern: Pattern, text: string): Record<string, string | undefined> | undefined {
  const bytes = Buffer.from(`a${text}b`);
  const places = pattern.capture(bytes, 1, bytes.length - 1);
  if (places === undefined) return undefined;
  const value = (i: number): string | undefined =>
    places[2 * i]! < 0 ? undefined : bytes.toString("utf8", places[2 * i], places[2 * i + 1]);
  return Object.fromEntries(pattern.groups.map((name, i) => [name, value(i)]));
}

function foundIn(pattern: Pattern, text: string): string[] {
  const bytes = Buffer.from(`a${text}b`);
  const spans = pattern.spans(bytes, 1, bytes.length - 1);
  assert.ok(spans !== undefined);
  return Array.from({ length: spans.length / 2 }, (_, i) => bytes.toString("utf8", spans[2 * i], spans[2 * i + 1]));
}

test("a pattern is written between slashes, with the flags i and m", () => {
  assert.ok(isPattern("/a/") && isPattern("/a/im") && isPattern("/a\\/b/"));
  assert.ok(!isPattern("a") && !isPattern("/") && !isPattern("/var/log*") && !isPattern("web-*"));
  for (const [text, message, expected] of [
    ["/ERROR|warn/i", "an Error", true],
    ["/^b$/m", "x\nb", true],
    ["/^b$/", "x\nb", false],
    ["/^b$/", "b", true],
    ["/x\\/y/", "x/y", true],
    ["/\\u00e9$/", "é", true],
    ["/\\u{1F600}+/", "😀😀", true],
    ["/^.{2}$/", "é😀", true],
    ["/\\bé/", "é", false],
    ["/K/i", "\u212a", true],
    ["/straße/i", "STRAẞE", true],
  ] as const)
    assert.equal(fits(parsePattern(text), message), expected, `${text} on ${message}`);
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
    [
      `/${[..."abcdef"].map((letter) => `${letter}{900}`).join("")}/`,
      /^the pattern is too large: it has \d+ steps .*at most 5000/,
    ],
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
  assert.deepEqual(groupsOf(pattern, "GET /x é"), { method: "GET", path: "/x", rest: "é" });
  assert.deepEqual(groupsOf(pattern, "GET /x"), { method: "GET", path: "/x", rest: undefined });
  assert.equal(groupsOf(pattern, "nothing"), undefined);
  assert.deepEqual(groupsOf(parsePattern("/(a)(?<b>é|b)(c)(?<d>d)?/"), "xaéc"), { b: "é", d: undefined });
});

test("matches follow one another and none is empty", () => {
  assert.deepEqual(foundIn(parsePattern("/a*/"), "baab"), ["aa"]);
  assert.deepEqual(foundIn(parsePattern("/é|b/"), "aéb"), ["é", "b"]);
  assert.deepEqual(foundIn(parsePattern("/^a/"), "aa"), ["a"]);
  // Each digit is the first of a search for a y to the end, which a backtracking engine makes each time.
  assert.deepEqual(foundIn(parsePattern("/[0-9](?:.*y)?/"), "01 23"), ["0", "1", "2", "3"]);
  assert.deepEqual(foundIn(parsePattern("/[0-9](?:.*y)?/"), "01 y 2"), ["01 y", "2"]);
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
