/**
 * How long one line of 1 MiB can stop the agent: for each processor, preset and format, and for patterns of users, the
 * longest of many lines that are made to be hard, in milliseconds of CPU, with what the line is made of.
 *
 *   node test/bench/worst.bench.ts [NAME]
 */
import { Rows } from "../../agent/batch.ts";
import { ProcessorChain } from "../../agent/process/chain.ts";
import { PRESETS } from "../../agent/process/presets.ts";
import { HARD_PATTERN, hardText } from "../support/patterns.ts";
import { planOf, run } from "./chain.ts";

const MIB = 1 << 20;
const ALL = "[creditCard, email, ipv4, jwt, bearerToken, awsKey]";

/** Patterns that are hard for one engine or another, or for what is done with what they find. */
const PATTERNS = [
  ...["error|warn", "password=\\S+", ".", "\\S+", "\\d", "[0-9](?:.*y)?", "(a+)+y", "a*a*a*a*y", "(?:a|aa)+y", "\\pL+"],
  ...[
    "\\ba{1,30}\\b",
    "(?:[a-z]{1,50}){1,19}y",
    "(a|z)*x.{10}z",
    "^(\\S+) (\\S+) .*=(\\S+)$",
    HARD_PATTERN.slice(1, -1),
  ],
];

/** What lines begin with, so that parsers of formats get further than their first look. */
const HEADS = {
  plain: [""],
  json: ["", '{"a":"', '{"a":['],
  klog: ["", 'I0921 14:13:20.000000       1 main.go:1] "a" k="', "I0921 14:13:20.000000       1 main.go:1] "],
  web: [
    "",
    '10.0.0.1 - - [21/Sep/2026:14:13:20 +0000] "GET ',
    '10.0.0.1 - - [21/Sep/2026:14:13:20 +0000] "GET / HTTP/1.1" 200 5 "-" "',
    "2026/11/23 23:52:47 [error] 11#11: *1 x, client: ",
    "[Tue Nov 24 10:42:29.902022 2026] [core:error] [pid 35:tid 43] ",
    "[Tue Nov 24 10:42:29.902022 2026] [",
  ],
};

/** Processors as YAML, by name, and what lines begin with. */
const CASES: readonly (readonly [name: string, heads: keyof typeof HEADS, processors: string])[] = [
  ["severity", "json", "{ severity: {} }"],
  ["sample", "plain", "{ sample: { rate: 0.5 } }"],
  ["throttle", "plain", "{ throttle: { bytesPerSecond: 1 } }"],
  [
    "fields",
    "plain",
    "{ parse: { format: logfmt } }, { fields: { remove: ['a*b*c*'], rename: { k: l }, add: { x: '{field.k}' } } }",
  ],
  ["redact built in", "plain", `{ redact: { builtin: ${ALL} } }`],
  ["json", "json", "{ json: {} }"],
  ["json times", "json", "{ json: { timeKey: a, severityKey: a, messageKey: a } }"],
  ["json into", "json", "{ json: { into: app } }"],
  ["json, severity", "json", "{ json: {} }, { severity: {} }"],
  ["json, redact built in", "json", `{ json: {} }, { redact: { builtin: ${ALL} } }`],
  ["json, redact /\\d/", "json", "{ json: {} }, { redact: { patterns: ['/\\d/'] } }"],
  ["logfmt", "plain", "{ parse: { format: logfmt } }"],
  ["klog", "klog", "{ parse: { format: klog } }"],
  ["apache", "web", "{ parse: { format: apache } }"],
  ["nginx", "web", "{ parse: { format: nginx } }"],
  ...Object.keys(PRESETS).map(
    (preset) => [`multiline ${preset}`, "plain", `{ multiline: { preset: ${preset} } }`] as const,
  ),
  ...PATTERNS.flatMap((pattern) => {
    const text = `'/${pattern}/'`;
    const named = `'/(?<all>${pattern})/'`;
    return [
      [`drop /${pattern}/`, "plain", `{ drop: { match: { message: ${text} } } }`],
      [`redact /${pattern}/`, "plain", `{ redact: { patterns: [${text}] } }`],
      [`regex /${pattern}/`, "plain", `{ parse: { format: regex, pattern: ${named} } }`],
      [`start /${pattern}/`, "plain", `{ multiline: { start: ${text} } }`],
    ] as const;
  }),
];

/** What they go on with. */
const PIECES = [
  ...[
    "a",
    "1 ",
    "1",
    "4 ",
    "4111 1111 ",
    "a@",
    "a@b.cc ",
    "eyJ",
    "1.",
    "1.1.1.1 ",
    "bearer ",
    "secret",
    "AKIA",
    "\\",
    "é",
    "x ",
  ],
  ...[
    "k=v ",
    "a=",
    '"',
    '"a":1,',
    '"a":',
    "{",
    "[",
    "[[",
    "]",
    "[a] ",
    '":"',
    "\\u0041",
    "1e5,",
    "error ",
    ", client: ",
    ", host: x",
  ],
  ...["=<", " at a.b(C.java:1)", "a:1:in `f'", "goroutine 1 ", "\t"],
];

const TIME = "2026-09-21T14:13:20.123456789Z stdout F ";

function linesOf(heads: readonly string[]): [what: string, line: Buffer][] {
  const lines = heads.flatMap((head) =>
    PIECES.map((piece): [string, string] => [
      `${head.slice(0, 30)} ${JSON.stringify(piece)}`,
      head + piece.repeat(Math.ceil(MIB / piece.length)),
    ]),
  );
  lines.push(["no period", hardText(MIB)]);
  if (heads.length > 1) {
    const members = Array.from({ length: 9990 }, (_, i) => `"k${i}":"${"v".repeat(90)}"`);
    lines.push(["JSON of many members", `{${members.join(",")}}`]);
    for (const piece of ["a", "1 ", '\\"', "\\u0041", "a@", "AKIA"])
      lines.push([`JSON of a text of ${piece}`, `{"a":"${piece.repeat((MIB - 20) / piece.length)}"}`]);
    for (const piece of ['"a":1,', '"":1,', '"a":{},'])
      lines.push([`JSON of members ${piece}`, `{${piece.repeat((MIB - 20) / piece.length)}"a":1}`]);
    for (const piece of ["1,", '"a",', "[],"])
      lines.push([`JSON of a list of ${piece}`, `{"a":[${piece.repeat((MIB - 20) / piece.length)}0]}`]);
  }
  return lines.map(([what, text]) => [what, lineOf(text)]);
}

/** Cut to 1 MiB of whole characters, behind a short line, which opens a group of multiline. */
function lineOf(text: string): Buffer {
  const bytes = Buffer.from(text);
  let end = Math.min(bytes.length, MIB);
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return Buffer.concat([Buffer.from(`${TIME}a\n${TIME}`), bytes.subarray(0, end), Buffer.from("\n")]);
}

const lines = Object.fromEntries(Object.entries(HEADS).map(([kind, heads]) => [kind, linesOf(heads)]));
const rows = new Rows();
let worst = 0;
console.log("processor".padEnd(44), "ms".padStart(6), "  made of");
for (const [name, heads, processors] of CASES.filter(([name]) => name.includes(process.argv[2] ?? ""))) {
  let [most, of] = [0, ""];
  for (const [what, line] of lines[heads]!) {
    let least = Number.POSITIVE_INFINITY;
    // What is slow once may be the machine; what is slow three times is not.
    for (let i = 0; i < 3 && least > most; i++) {
      // A new one, which has seen nothing yet.
      const chain = new ProcessorChain(planOf(`[${processors}]`));
      const scanned = run([line], rows, undefined);
      least = Math.min(least, ((run([line], rows, chain) - scanned) * line.length) / 1e6);
    }
    if (least > most) [most, of] = [least, what];
  }
  worst = Math.max(worst, most);
  console.log(name.padEnd(44), most.toFixed(1).padStart(6), " ", of);
}
console.log("the longest of all".padEnd(44), worst.toFixed(1).padStart(6));
