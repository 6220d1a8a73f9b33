/**
 * Fuzzing: parsers against their slow twins over lines of real logs, cut, joined and damaged at random, for as long as is
 * asked for: `npm run fuzz -- MINUTES [SEED]`. Prints the time of each and what was found; a find ends it with status 1,
 * and is a line to keep as a case of a test.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { switchKernels } from "../../agent/kernel/kernel.ts";
import { checkFormats, checkJson, checkObjects, checkRequests, checkStructured } from "../support/twins.ts";

switchKernels(true);
const tests = join(import.meta.dirname, "..");
const minutes = Number(process.argv[2] ?? "1");
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);

/** mulberry32: small, and the same everywhere. */
function generator(start: number): () => number {
  let state = start >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = generator(seed);
const below = (limit: number): number => Math.floor(random() * limit);

function linesOf(folder: string): string[] {
  return readdirSync(join(tests, folder))
    .filter((name) => /\.(txt|stdout|stderr)$/.test(name))
    .flatMap((name) => readFileSync(join(tests, folder, name), "utf8").split("\n"))
    .filter((line) => line.length < 2000);
}

const corpus = [...linesOf("samples/apps/printed"), ...linesOf("samples/plain/printed"), ...linesOf("traces")];
const PIECES = [
  ...[
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "=",
    " ",
    "\t",
    "\n",
    "\r",
    "\0",
    "-",
    "0",
    "1",
    ".",
    "e",
    "é",
    "😀",
    "\ud800",
  ],
  ...[
    "\\u00e9",
    "\\ud83d",
    "\\ude00",
    "\\x",
    "\\n",
    '"a":',
    '"a":1,',
    "null",
    "tru",
    "1e5",
    "01",
    "=<\n",
    "\n >",
    ", client: ",
  ],
  ...[
    '"__proto__":',
    '"kubernetes.a":',
    '"message":"x",',
    '"":',
    '"\\u0061":1,',
    "[[[[",
    "]]]]",
    "a=",
    'a="',
    "*1 ",
    "[error] ",
  ],
];

function anyLine(): string {
  return corpus[below(corpus.length)] ?? "";
}

/** A line, with up to eight changes. */
function anyText(): string {
  let text = anyLine();
  for (let changes = below(9); changes > 0; changes--) {
    const at = below(text.length + 1);
    const cut = random() < 0.5 ? 0 : below(8);
    const more = [
      PIECES[below(PIECES.length)] ?? "",
      String.fromCharCode(below(random() < 0.8 ? 128 : 0x10000)),
      anyLine().slice(below(40)).slice(0, below(60)),
      text.slice(below(text.length + 1)).slice(0, below(40)),
      "",
    ][below(5)];
    text = text.slice(0, at) + more + text.slice(at + cut);
  }
  return text;
}

const TARGETS = {
  json: checkJson,
  objects: (text: string) => checkObjects([text, anyText().toWellFormed(), text, `${text} `]),
  requests: (text: string) => checkRequests([anyText().toWellFormed(), text, text, anyText().toWellFormed()]),
  formats: checkFormats,
  structured: checkStructured,
};

let finds = 0;
for (const [name, check] of Object.entries(TARGETS)) {
  const limit = (minutes * 60e6) / Object.keys(TARGETS).length;
  const before = process.cpuUsage();
  const spent = (): number => {
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  let inputs = 0;
  while (spent() < limit) {
    for (let i = 0; i < 100; i++, inputs++) {
      const text = anyText().toWellFormed();
      try {
        check(text);
      } catch (error) {
        finds++;
        console.log(
          `${name}, seed ${seed}: ${JSON.stringify(text)}\n${error instanceof Error ? error.message : error}`,
        );
        if (finds > 5) process.exit(1);
      }
    }
  }
  console.log(`${name}: ${inputs} inputs in ${(spent() / 1e6).toFixed(0)} CPU-seconds`);
}
console.log(`${finds} finds, seed ${seed}`);
process.exitCode = finds > 0 ? 1 : 0;
