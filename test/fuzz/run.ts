/**
 * Fuzzing: parsers, multiline and encoders against their slow twins over lines of real logs, cut, joined and damaged at
 * random, and compressors against the decoders of others, for as long as is asked for: `npm run fuzz -- MINUTES [SEED]`.
 * Prints the time of each and what was found; a find ends it with status 1, and is a line to keep as a case of a test.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { switchKernels } from "../../agent/kernel/kernel.ts";
import { PRESETS, type Preset } from "../../agent/process/presets.ts";
import { checkChunks, type LoggedLine } from "../support/chunks.ts";
import { checkCompressors, checkPushes } from "../support/encoders.ts";
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

const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
const JOINS: readonly (Preset | RegExp)[] = [
  ...(Object.keys(PRESETS) as Preset[]),
  /^[0-9]/,
  /^[^ \t]/,
  /ERROR|panic|^$/,
  /^.{3}:/,
  /[a-z]+: $/,
];

/** Some lines of one trace as they were printed, or any; now and then of the other stream, late, or split. */
function anyLog(): { log: LoggedLine[]; joins: Preset | RegExp; options: Parameters<typeof checkChunks>[2] } {
  const log: LoggedLine[] = [];
  for (let runs = below(8); runs >= 0; runs--) {
    const first = below(corpus.length);
    const asPrinted = random() < 0.7;
    const stderr = random() < 0.5;
    for (let i = 0; i < 1 + below(12); i++) {
      const text = (asPrinted && random() < 0.9 ? (corpus[first + i] ?? "") : anyText()).toWellFormed();
      log.push({
        text: text.replaceAll("\n", " "),
        stderr: random() < 0.9 ? stderr : !stderr,
        pause: random() < 0.9 ? below(20) : below(3000),
        parts: random() < 0.95 ? 1 : 2 + below(3),
      });
    }
  }
  const options = {
    timeout: pick([200, 1000]),
    maxLines: pick([1, 2, 3, 5, 1000, 1000, 1000]),
    maxBytes: pick([100, 300, 1 << 20, 1 << 20]),
  };
  return { log, joins: pick(JOINS), options };
}

/** Up to 600 KB of lines, noise, runs and repeats: latin1. */
function anyPayload(): string {
  const pieces: string[] = [];
  let length = 0;
  for (let count = below(40); count > 0; count--) {
    const last = pieces.join("").slice(-70_000);
    const piece = pick([
      (): string => Buffer.from(anyText()).toString("latin1"),
      (): string => Array.from({ length: below(200) }, () => `${anyLine()}\n`).join(""),
      (): string => String.fromCharCode(below(256)).repeat(below(2000)),
      (): string => Array.from({ length: below(4000) }, () => String.fromCharCode(below(256))).join(""),
      (): string => last.slice(below(last.length + 1)).slice(0, below(600)),
      (): string => last,
    ])();
    if (length + piece.length > 600_000) break;
    pieces.push(piece);
    length += piece.length;
  }
  return pieces.join("");
}

/** Each checks one input, and gives it to be shown when that fails. */
const TARGETS: Readonly<Record<string, () => [input: unknown, check: () => void]>> = {
  json: ofText(checkJson),
  objects: () => {
    const [one, other] = [anyText().toWellFormed(), anyText().toWellFormed()];
    const texts = [one, other, one, `${one} `];
    return [texts, () => checkObjects(texts)];
  },
  requests: () => {
    const [one, other, last] = [anyText().toWellFormed(), anyText().toWellFormed(), anyText().toWellFormed()];
    const texts = [one, other, other, last];
    return [texts, () => checkRequests(texts)];
  },
  pushes: () => {
    const texts = Array.from({ length: 5 }, () => anyText().toWellFormed());
    return [texts, () => checkPushes(texts)];
  },
  compressors: () => {
    const payload = anyPayload();
    return [payload.slice(0, 5000), () => checkCompressors(payload)];
  },
  formats: ofText(checkFormats),
  structured: ofText(checkStructured),
  multiline: () => {
    const { log, joins, options } = anyLog();
    return [{ joins: String(joins), options, log }, () => checkChunks(joins, log, options, random)];
  },
};

function ofText(check: (text: string) => void): () => [string, () => void] {
  return () => {
    const text = anyText().toWellFormed();
    return [text, () => check(text)];
  };
}

let finds = 0;
for (const [name, next] of Object.entries(TARGETS)) {
  const limit = (minutes * 60e6) / Object.keys(TARGETS).length;
  const before = process.cpuUsage();
  const spent = (): number => {
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  let inputs = 0;
  while (spent() < limit) {
    for (let i = 0; i < 100; i++, inputs++) {
      const [input, check] = next();
      try {
        check();
      } catch (error) {
        finds++;
        console.log(
          `${name}, seed ${seed}: ${JSON.stringify(input)}\n${error instanceof Error ? error.message : error}`,
        );
        if (finds > 5) process.exit(1);
      }
    }
  }
  console.log(`${name}: ${inputs} inputs in ${(spent() / 1e6).toFixed(0)} CPU-seconds`);
}
console.log(`${finds} finds, seed ${seed}`);
process.exitCode = finds > 0 ? 1 : 0;
