/**
 * Entries by the kernel: rows whose entry needs no more than a copy of what the origin gives, a severity, and the message
 * as a text or as the JSON that it is. Bytes are those that `EntryWriter` writes, which makes all other rows.
 *
 * Before compression 3.9 CPU-s/GB of log, where the twin takes 10.5 (one run on a busy machine: `npm run bench:micro`).
 */
import { type Batch, SEVERITIES, STDERR } from "../agent/batch.ts";
import type { Template } from "../agent/config/template.ts";
import { Fields } from "../agent/fields.ts";
import { ESCAPED, type JsonObjects, jsonObjects, mayBeObject, OBJECT, OTHER } from "../agent/kernel/json.ts";
import { giveKernel, takeKernel } from "../agent/kernel/kernel.ts";
import { joinPieces, type RowLayout } from "../agent/kernel/row.ts";
import { QUOTE } from "../agent/parse/ascii.ts";
import type { Origin } from "../agent/pods/origin.ts";
import type { ByteWriter } from "./json.ts";
import { MAX_DEPTH, VALUE_BYTES } from "./json-object.ts";
import { levelSeverity, rowSeverity, SPECIAL_KEYS, severityOf, streamSeverity } from "./stackdriver-fields.ts";
import type { OriginParts } from "./stackdriver-origin.ts";

/** A value takes two bytes at least, with the comma, so an object of so many can't be too large as a Struct. */
const isSmall = (bytes: number, most: number): boolean => bytes * (1 + VALUE_BYTES / 2) <= most;

/** What a name is: nothing special; one that has severities; the message; any other special one. */
const PLAIN = 1;
const LEVEL = 2;
const SEVERITY = 3;
const MESSAGE = 4;
const SPECIAL = 5;
const KINDS = new Map([
  ...SPECIAL_KEYS.map((key) => [key, SPECIAL] as const),
  ["level", LEVEL],
  ["severity", SEVERITY],
  ["message", MESSAGE],
]);

/** Marks of a piece of a message: assembly/payload.ts. */
const WHOLE = 0;
const RUNS = 1;
const STRING = 2;

/** By number: the API's severities, those of SEVERITIES at their places, and none is the default. */
const NAMES = SEVERITIES.map((_, level) => rowSeverity({ severity: Uint8Array.of(level) }, 0) || "DEFAULT");
const NUMBERS = new Map(NAMES.map((name, number) => [name, number]));
/** A row's severity is one of these numbers, or none of them. */
const NONE = 255;

export class PlainRows {
  readonly #origins: OriginParts;
  readonly #structured: boolean;
  readonly #maxPayload: number;
  /** Whether the log's name is the same for all rows of a stream. */
  readonly #isUsual: boolean;
  readonly #layouts = new WeakMap<
    Origin,
    { key: string; isShared: boolean; logName: Buffer | undefined; layout: RowLayout }
  >();
  readonly #severities = new SmallMemo((text) => NUMBERS.get(severityOf(JSON.parse(text)) ?? "") ?? NONE);
  readonly #levels = new SmallMemo((text) => NUMBERS.get(levelSeverity(JSON.parse(text))) ?? NONE);
  /** What names are, by number, for a generation of these. */
  #kinds = new Uint8Array(0);
  #generation = 0;
  #objects: JsonObjects | undefined;
  /** The batch at hand, with severities and pieces of messages in place of its own. */
  #batch!: Batch;
  #view!: Batch;
  #severity = new Uint8Array(0);
  #pieces = new Fields(0);
  /** What was read last are rows [readFrom, readTo): one that the kernel could not make makes those behind it come again. */
  #readFrom = 0;
  #readTo = 0;
  /** Whether `encode` stopped since the next row would end beyond the limit. */
  isOver = false;

  /** @param maxPayload bytes that a message may have, as text or as a Struct. */
  constructor(origins: OriginParts, logName: Template, structured: boolean, maxPayload: number) {
    this.#origins = origins;
    this.#structured = structured;
    this.#maxPayload = maxPayload;
    this.#isUsual = logName.perStream;
  }

  /** To be called before the others, for rows from `row` on. @returns false when the kernel makes none of them. */
  begin(batch: Batch, row: number): boolean {
    this.#objects = this.#isUsual ? jsonObjects() : undefined;
    if (this.#objects === undefined) return false;
    this.#batch = batch;
    this.#readFrom = this.#readTo = row;
    if (this.#severity.length < batch.rows) {
      this.#severity = new Uint8Array(batch.rows);
      this.#pieces = new Fields(batch.rows);
    } else this.#pieces.reset(batch.rows);
    this.#pieces.used = 0;
    this.#view = { ...batch, severity: this.#severity, fields: this.#pieces };
    return true;
  }

  /** The end, at most `last`, of the rows from `row` on that the kernel can make. */
  endOfRun(row: number, last: number): number {
    let at = row;
    while (at < last && this.#prepare(at)) at++;
    return at;
  }

  /**
   * Writes rows [row, end) of a run, each with a comma before it.
   * @param shared what the request gives once, see Shared. @param limit no row is written that ends beyond it.
   * @param ends gets where rows end. @returns the first row that was not written.
   */
  encode(
    writer: ByteWriter,
    row: number,
    end: number,
    shared: { readonly origin: Origin; readonly logName: Buffer } | undefined,
    limit: number,
    ends: number[],
  ): number {
    const kernel = takeKernel();
    this.isOver = false;
    if (kernel === undefined) return row;
    const layout = this.#layout(shared);
    let at = row;
    for (;;) {
      const base = writer.length;
      let first = ends.length;
      kernel.length = 0;
      const result = kernel.encode(this.#view, at, end, layout, limit - base, false, ends);
      for (; first < ends.length; first++) ends[first]! += base;
      writer.buffer(kernel.piece());
      at = result.row;
      this.isOver = result.stopped === "limit";
      if (result.stopped !== "room" || kernel.length === 0) break;
    }
    kernel.length = 0;
    giveKernel(kernel);
    return at;
  }

  /** Whether the kernel can make the row; notes its severity and what of the message it is made of. */
  #prepare(row: number): boolean {
    const { bytes, flags, extra, fields, from, to } = this.#batch;
    const objects = this.#objects;
    if (objects === undefined || ((flags[row] as number) & ~STDERR) !== 0 || extra?.has(row) === true) return false;
    const start = from[row] as number;
    const end = to[row] as number;
    if ((fields !== undefined && fields.count[row] !== 0) || end - start > this.#maxPayload) return false;
    this.#pieces.count[row] = 0;
    let said = NONE;
    if (this.#structured && mayBeObject(bytes, start, end)) {
      if (row < this.#readFrom || row >= this.#readTo) {
        this.#readFrom = row;
        this.#readTo = objects.read(this.#batch, row);
      }
      const what = objects.what(row);
      if (what === OBJECT) {
        if (!isSmall(end - start, this.#maxPayload)) return false;
        if (objects.depth(row) > MAX_DEPTH || objects.hasUnsafeNumbers(row)) return false;
        said = this.#prepareObject(objects, row);
        if (said < 0) return false;
      } else if (what !== OTHER) return false;
    }
    this.#severity[row] = said === NONE ? this.#ownSeverity(row) : said;
    return true;
  }

  #ownSeverity(row: number): number {
    const { severity, flags } = this.#batch;
    return severity?.[row] || (NUMBERS.get(streamSeverity(flags[row] as number)) as number);
  }

  /** @returns the severity's number, NONE, or -1 for an object with special fields that others have to see. */
  #prepareObject(objects: JsonObjects, row: number): number {
    if (objects.generation !== this.#generation) {
      this.#generation = objects.generation;
      if (this.#kinds.length < objects.maxNames) this.#kinds = new Uint8Array(objects.maxNames);
      else this.#kinds.fill(0);
    }
    const { table, names } = objects;
    const { bytes, severity } = this.#batch;
    const first = objects.first(row);
    const end = first + objects.count(row);
    let said = NONE;
    let taken = -1;
    let message = -1;
    for (let member = first; member < end; member++) {
      const name = names[member]! & ~ESCAPED;
      if (this.#kinds[name] === 0) {
        const text = bytes.toString("utf8", table[member * 4], table[member * 4 + 1]);
        this.#kinds[name] = KINDS.get(text) ?? PLAIN;
      }
      const kind = this.#kinds[name]!;
      if (kind === PLAIN) continue;
      if (kind === SPECIAL) return -1;
      const from = table[member * 4 + 2]!;
      const to = table[member * 4 + 3]!;
      if (kind === MESSAGE) {
        if (bytes[from] === QUOTE) message = member;
        continue;
      }
      const found = (kind === SEVERITY ? this.#severities : this.#levels).find(bytes, from, to);
      if (found < 0) return -1;
      if (kind === SEVERITY && found !== NONE) {
        said = found;
        taken = member;
      } else if (kind === LEVEL && taken < 0 && !severity?.[row]) said = found;
    }
    const left = end - first - (taken < 0 ? 0 : 1);
    const mark = this.#pieces.used;
    if (message >= 0 && left === 1) this.#piece(table[message * 4 + 2]! + 1, table[message * 4 + 3]! - 1, STRING);
    else if (taken < 0) this.#piece(objects.objectFrom(row), objects.objectTo(row), WHOLE);
    else {
      const starts = table[first * 4]! - 1;
      if (taken > first) this.#piece(starts, table[taken * 4 - 1]!, RUNS);
      if (taken < end - 1) this.#piece(table[taken * 4 + 4]! - 1, table[end * 4 - 1]!, RUNS);
      if (left === 0) this.#piece(starts, starts, RUNS);
    }
    this.#pieces.first[row] = mark;
    this.#pieces.count[row] = this.#pieces.used - mark;
    return said;
  }

  #piece(from: number, to: number, mark: number): void {
    this.#pieces.add(from, from + mark, from, to);
  }

  /** What rows of the batch are made of. */
  #layout(shared: { readonly origin: Origin; readonly logName: Buffer } | undefined): RowLayout {
    const { origin, generation } = this.#batch;
    const logName = shared?.logName;
    const isShared = shared?.origin === origin;
    const { key } = generation;
    const known = this.#layouts.get(origin);
    if (known?.key === key && known.isShared === isShared && known.logName === logName) return known.layout;
    const name = (flags: number): Buffer => {
      const bytes = this.#origins.logName({ ...this.#batch, flags: Uint8Array.of(flags) }, 0);
      return bytes === logName ? Buffer.alloc(0) : Buffer.concat([bytes, Buffer.from(",")]);
    };
    const { resource, labels } = this.#origins.of(origin);
    const layout = joinPieces([
      Buffer.from(',{"timestamp":"'),
      "time",
      Buffer.from('","severity":"'),
      { severities: NAMES.map((text) => Buffer.from(text)) },
      Buffer.from('","insertId":"'),
      "stamp",
      Buffer.from(`-${key}-`),
      "wideOffset",
      Buffer.from('",'),
      { stdout: name(0), stderr: name(STDERR) },
      ...(isShared ? [] : [resource, Buffer.from(labels.length === 0 ? "" : `"labels":{${labels}},`)]),
      {
        text: [Buffer.from('"textPayload":"'), Buffer.from('"}')],
        json: [Buffer.from('"jsonPayload":'), Buffer.from("}")],
      },
    ]);
    this.#layouts.set(origin, { key, isShared, logName, layout });
    return layout;
  }
}

const LONGEST_WORD = 24;
const SLOTS = 256;

/** Remembers what short values mean, which are few: 15 ns where a text of the value and a Map take 120. */
class SmallMemo {
  readonly #mean: (text: string) => number;
  readonly #words: ({ readonly bytes: Buffer; readonly number: number } | undefined)[] = new Array(SLOTS).fill(
    undefined,
  );

  /** @param mean of JSON text. */
  constructor(mean: (text: string) => number) {
    this.#mean = mean;
  }

  /** What the JSON text bytes[from, to) means; -1 for one that is too long to be asked. */
  find(bytes: Buffer, from: number, to: number): number {
    const length = to - from;
    if (length > LONGEST_WORD) return -1;
    const slot = (bytes[from + (length >> 1)]! * 7 + bytes[to - 2]! * 3 + length) % SLOTS;
    const word = this.#words[slot];
    if (word !== undefined && isWord(bytes, from, word.bytes, length)) return word.number;
    const copy = Buffer.from(bytes.subarray(from, to));
    const number = this.#mean(copy.toString());
    this.#words[slot] = { bytes: copy, number };
    return number;
  }
}

function isWord(bytes: Buffer, from: number, word: Buffer, length: number): boolean {
  if (word.length !== length) return false;
  for (let i = 0; i < length; i++) if (bytes[from + i] !== word[i]) return false;
  return true;
}
