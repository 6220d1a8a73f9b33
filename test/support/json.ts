/** Texts that are JSON objects, nearly so, or not at all. */
import fc from "fast-check";

const token = fc.oneof(
  fc.constantFrom(..."{}[]:,"),
  fc.constantFrom('"a"', '"b"', '"\\u0061"', '"\\ud83d"', '"\\ud83d\\ude00"', '"é"', '""', '"\\n"', '"\\x"', '"', "\\"),
  fc.constantFrom("0", "-1", "1.5e3", "01", "-", "1.", "true", "false", "null", "tru", "nulls", " ", "\n", "\t", "\v"),
);
const soup = fc.array(token, { maxLength: 12 }).map((tokens) => `{${tokens.join("")}}`);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom("1", "-0.0", "12345678901234567890", "1E-7", "true", "null", '"x"', '"\\ud800"', '"\\u00e9\\/"'),
    fc.array(tie("value"), { maxLength: 4 }).map((items) => `[${items.join(" , ")}]`),
    tie("object"),
  ),
  object: fc
    .array(fc.tuple(fc.constantFrom('"a"', '"b"', '"\\u0061"', '"\\udc00"', '"\\udc01"', '""'), tie("value")), {
      maxLength: 30,
    })
    .map((members) => `{${members.map(([name, item]) => `${name}:\n${item}`).join(",\r\n")}}`),
}));
const object = value.filter((text) => typeof text === "string" && text.startsWith("{")) as fc.Arbitrary<string>;
const damaged = fc
  .tuple(object, fc.nat(), fc.nat(2), token)
  .map(
    ([text, at, cut, other]) =>
      text.slice(0, at % (text.length + 1)) + other + text.slice((at % (text.length + 1)) + cut),
  );

export const anyJson: fc.Arbitrary<string> = fc.oneof(soup, object, damaged, fc.json());
