import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Builtin, FINDERS } from "../../../agent/process/secrets.ts";

function found(builtin: Builtin, text: string): string[] {
  const bytes = Buffer.from(text);
  const spans: number[] = [];
  FINDERS[builtin](bytes, 0, bytes.length, spans);
  const texts: string[] = [];
  for (let i = 0; i < spans.length; i += 2) texts.push(bytes.toString("utf8", spans[i], spans[i + 1]));
  return texts;
}

const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const UNSIGNED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0NTY3ODkwIn0.";
const SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/** What is found, what must not be touched, and what is missed, each on purpose. */
const CASES: Readonly<Record<Builtin, readonly (readonly [text: string, ...found: string[]])[]>> = {
  creditCard: [
    ["card 4111 1111 1111 1111.", "4111 1111 1111 1111"],
    ["4111-1111-1111-1111", "4111-1111-1111-1111"],
    ["pan=4111111111111111;", "4111111111111111"],
    ["2026 4111-1111-1111-1111", "4111-1111-1111-1111"],
    ["5555555555554444,378282246310005", "5555555555554444", "378282246310005"],
    ["6011111111111117 3530111333300000 30569309025904", "6011111111111117", "3530111333300000", "30569309025904"],
    ["(2223003122003222)", "2223003122003222"],
    // Not valid by Luhn; of no scheme; times in ns and us; ids; parts of decimals and words.
    ["4111111111111112"],
    ["1790000000123456789 1790000000123456"],
    ["9999999999999995"],
    ["x4111111111111111 4111111111111111x"],
    ["0.4111111111111111"],
    ["41111111111111114111111111111111"],
    // Missed: other separators, and groups of two kinds of them.
    ["4111.1111.1111.1111"],
    ["4111 1111-1111 1111"],
    ["4 111 1111 1111 1111"],
  ],
  email: [
    ["user=foo.bar+x@example.co.uk, ok", "foo.bar+x@example.co.uk"],
    ["<a@b.de> 'q@x.org' mailto:z@y.io?subject=1", "a@b.de", "q@x.org", "z@y.io"],
    ["a@b@c.de", "b@c.de"],
    ["end of sentence: me@example.org.", "me@example.org"],
    ["foo@localhost @x.com a@.de x@y.z x@1.2"],
    ["git@github.com:org/repo", "git@github.com"],
    // Missed: local parts in quotes, domains beyond ASCII.
    ['"a b"@example.org'],
    ["a@bücher.example.org"],
  ],
  ipv4: [
    ["10.0.0.1:80 from 192.168.1.254, [127.0.0.1]", "10.0.0.1", "192.168.1.254", "127.0.0.1"],
    ["0.0.0.0/0", "0.0.0.0"],
    ["v1.2.3.4 1.2.3.4.5 256.1.1.1 1.2.3 1.2.3.4-rc1 999.10.0.0.1 1.2.3.4_5"],
  ],
  jwt: [
    [`t=${JWT};`, JWT],
    [`"${UNSIGNED}"`, UNSIGNED],
    [`${JWT} ${JWT}`, JWT, JWT],
    ["eyJhb.x eyJ eyJhbGciOiJIUzI1NiJ9.short.x"],
  ],
  bearerToken: [
    ["Authorization: Bearer abcdef123456==", "abcdef123456=="],
    ["bearer: abcdefgh", "abcdefgh"],
    ["BEARER ABCDEFGHIJK", "ABCDEFGHIJK"],
    ["the bearer of news, bearer x, Bearerabcdefghijk"],
  ],
  awsKey: [
    ["AKIAIOSFODNN7EXAMPLE ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
    [`aws_secret_access_key=${SECRET_KEY}`, SECRET_KEY],
    [`AWS_SECRET=${SECRET_KEY} aws_secret=${SECRET_KEY}`, SECRET_KEY, SECRET_KEY],
    [`"SecretAccessKey": "${SECRET_KEY}"`, SECRET_KEY],
    ["AKIAIOSFODNN7EXAMPLEX xAKIAIOSFODNN7EXAMPLE AKIA"],
    // Missed: a secret key without a word that says so; and no commit's hash is taken for one.
    [SECRET_KEY],
    ["secret 0123456789"],
  ],
};

for (const [builtin, cases] of Object.entries(CASES))
  test(`${builtin}: what is found, left alone and missed`, () => {
    for (const [text, ...expected] of cases)
      assert.deepEqual([...new Set(found(builtin as Builtin, text))].sort(), [...new Set(expected)].sort(), text);
  });

test("spans lie within the text, whatever it is", () => {
  const unit = fc.constantFrom(..."4111 1-.@aeyJBbearER:=AKISecret_/é", "eyJ", "secret", "AKIA", "Bearer ", "1.1.1.1");
  fc.assert(
    fc.property(
      fc.string({ unit, maxLength: 60 }),
      fc.constantFrom(...(Object.keys(FINDERS) as Builtin[])),
      (text, builtin) => {
        const bytes = Buffer.from(`4${text}4`);
        const spans: number[] = [];
        FINDERS[builtin](bytes.subarray(1, -1), 0, bytes.length - 2, spans);
        for (let i = 0; i < spans.length; i += 2)
          assert.ok(
            (spans[i] as number) >= 0 &&
              (spans[i] as number) < (spans[i + 1] as number) &&
              (spans[i + 1] as number) <= bytes.length - 2,
          );
      },
    ),
    { numRuns: 5000 },
  );
});
