import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RE2JS } from "re2js";
import { Automaton, MAX_SPANS } from "../../../agent/process/automaton.ts";
import { parsePattern } from "../../../agent/process/pattern.ts";
import { Program } from "../../../agent/process/program.ts";
import { HARD_PATTERN, hardText } from "../../support/patterns.ts";

const atom = fc.constantFrom(
  ...[
    "a",
    "b",
    "k",
    "s",
    "é",
    "ſ",
    "σ",
    "😀",
    "[ab]",
    "[^a]",
    ".",
    "(?s:.)",
    "\\d",
    "\\w",
    "\\W",
    "\\s",
    "\\pL",
    "\\n",
    "",
  ],
  ...["\\b", "\\B", "^", "$", "\\A", "\\z", "(?m:^)", "(?m:$)", "(?i:k)", "(?i:é)", "(?i:σ)"],
);
const repetition = fc.constantFrom("", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}?", "{2,}");
const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    {
      weight: 4,
      arbitrary: fc
        .tuple(atom, repetition)
        .map(([one, times]) => (/^$|^[\^$]|^\\[bBAz]|^\(\?m/.test(one) ? one : one + times)),
    },
    fc.array(tie("pattern"), { maxLength: 4 }).map((parts) => parts.join("")),
    fc
      .tuple(fc.array(tie("pattern"), { minLength: 1, maxLength: 3 }), fc.constantFrom("(", "(?:"), repetition)
      .map(([ways, open, times]) => `${open}${ways.join("|")})${times}`),
  ),
}));
const text = fc.string({
  unit: fc.constantFrom(..."abxAkKsSéÉſσςΣ1-_ \n", "\u212a", "😀"),
  maxLength: 14,
});

function compile(source: string, flags = ""): RE2JS {
  return RE2JS.compile(
    source,
    (flags.includes("i") ? RE2JS.CASE_INSENSITIVE : 0) | (flags.includes("m") ? RE2JS.MULTILINE : 0),
  );
}

test("matches, their groups and all that follow are those of RE2, for any pattern and text", () => {
  fc.assert(
    fc.property(
      pattern,
      fc.constantFrom("", "i", "m", "im"),
      fc.array(text, { minLength: 1, maxLength: 6 }),
      (source, flags, texts) => {
        const engine = compile(source, flags);
        const automaton = new Automaton(new Program(engine));
        const places = new Int32Array(2 * (engine.groupCount() + 1));
        for (const text of texts) {
          const of = `/${source}/${flags} on ${JSON.stringify(text)}`;
          // Something else stands before and behind it, as in a batch.
          const bytes = Buffer.from(`x${text}é`);
          const to = bytes.length - 2;
          const placeOf = (index: number): number => (index < 0 ? -1 : 1 + Buffer.byteLength(text.slice(0, index)));
          const matcher = engine.matcher(text);
          const found = matcher.find();
          assert.equal(automaton.test(bytes, 1, to), found, of);
          assert.equal(automaton.capture(bytes, 1, to, places), found, of);
          if (found) {
            const wanted = [...places.keys()].map((i) =>
              placeOf(i % 2 === 0 ? matcher.start(i >> 1) : matcher.end(i >> 1)),
            );
            assert.deepEqual([...places], wanted, of);
          }
          const spans: number[] = [];
          for (let at = 0; at <= text.length && matcher.find(at); ) {
            const [start, end] = [matcher.start(), matcher.end()];
            if (end > start) spans.push(placeOf(start), placeOf(end));
            at = end > start ? end : end + ((text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1);
          }
          assert.deepEqual(automaton.spans(bytes, 1, to), spans, of);
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test("letters that differ by case only are those that RE2 takes for the same", () => {
  for (const letter of "KkSsſåÅµμςσΣΘϴθıİiIßẞǆǅǄᲀвВẛṡΩωꙋᲈ") {
    const engine = compile(`^${letter}$`, "i");
    const automaton = new Automaton(new Program(engine));
    for (let at = 0; at < 0x20000; at++) {
      if (at >= 0xd800 && at < 0xe000) continue;
      const other = String.fromCodePoint(at);
      // RE2JS is slow; what is the same but for case is so in JavaScript, too, or is not in either.
      if (other.toLowerCase().toUpperCase() !== letter.toLowerCase().toUpperCase() && at > 0x300) continue;
      const bytes = Buffer.from(other);
      assert.equal(automaton.test(bytes, 0, bytes.length), engine.test(other), `${letter} ${at.toString(16)}`);
    }
  }
});

test("any bytes are walked through, also such as are no UTF-8", () => {
  fc.assert(
    fc.property(pattern, fc.uint8Array({ maxLength: 30 }), (source, bytes) => {
      const engine = compile(source);
      const automaton = new Automaton(new Program(engine));
      const spans = automaton.spans(Buffer.from(bytes), 0, bytes.length);
      assert.ok(spans?.every((place, i) => place >= (spans[i - 1] ?? 0) && place <= bytes.length));
      automaton.capture(bytes, 0, bytes.length, new Int32Array(2 * (engine.groupCount() + 1)));
    }),
    { numRuns: 1000 },
  );
});

test("the text that every match must have is found in any pattern that has one", () => {
  for (const [source, literal] of [
    ["password=\\S+", "password="],
    ["^\\S+ \\S+ DEBUG .*cart$", " DEBUG "],
    ["(?<a>us)er (\\d+)", "user "],
    ["(?:ab)+c", "ab"],
    ["a|b", ""],
    ["(?i:abc)", ""],
    ["x?yz*", "y"],
    ["(?:ab)?cd", "cd"],
    ["é=\\d", "é="],
  ] as const)
    assert.equal(new Program(compile(source)).literal.toString(), literal, source);
});

test("a pattern whose states never end gives up after bounded work, and goes on with the next text", () => {
  const pattern = parsePattern(HARD_PATTERN);
  const hard = Buffer.from(hardText(1 << 20));
  assert.equal(pattern.spans(hard, 0, hard.length), undefined);
  assert.equal(pattern.capture(hard, 0, hard.length), undefined);
  assert.equal(pattern.test(hard, 0, hard.length), undefined);
  const easy = Buffer.from(`${"-".repeat(4000)}y${"-".repeat(500)}x${"-".repeat(4000)}`);
  assert.deepEqual(pattern.spans(easy, 0, easy.length), [4000, 4502]);
  // What fits a few times what is remembered is decided, however much of it there is.
  const deep = parsePattern("/b.{10}a/");
  const text = Buffer.from(hardText(1 << 20).replaceAll("x", "a"));
  for (let at = 0; at + 1000 <= text.length; at += 1000) assert.equal(deep.test(text, at, at + 1000), false);
});

test("only so many matches are told one by one", () => {
  const automaton = new Automaton(new Program(compile("a")));
  const bytes = Buffer.from("a".repeat(MAX_SPANS + 5));
  const spans = automaton.spans(bytes, 0, bytes.length);
  assert.equal(spans?.length, 2 * (MAX_SPANS + 1));
  assert.deepEqual(spans?.slice(-4), [MAX_SPANS - 1, MAX_SPANS, MAX_SPANS, MAX_SPANS + 5]);
});
