/**
 * Structured: the processors `json` and `parse`. A format finds members in a message; here they become fields of the
 * row, and the message, time and severity are taken from those that the configuration names.
 *
 * Promises: a message that is none of the format is left as it is, and counted. Nothing of one that is gets lost: with no
 * text under `messageKey` the message stays whole, a time or severity that can't be read stays a field. What a record
 * says of itself can't be forged: it has its origin and offset whatever the message says, its time but where the
 * operator names `timeKey`, and members of a record's own names go under `fields`.
 */
import { DROPPED, type Rows, SUMMARY, TRUNCATED, UNPARSED } from "../batch.ts";
import type { Fields } from "../fields.ts";
import { ESCAPED } from "../kernel/json.ts";
import { CLOSE_BRACE, COLON, COMMA, OPEN_BRACE, QUOTE } from "../parse/ascii.ts";
import { unescapeJson } from "../parse/unescape.ts";
import { appendBytes, type Format } from "./format.ts";
import { Moment } from "./moment.ts";
import { collides, isNamed, Names, nameInJson } from "./names.ts";
import type { Match, Processor } from "./processor.ts";

export interface StructuredOptions {
  /** The field that all members go into; "root": they become fields of the record itself. */
  readonly into: string;
  /** Names of members, as text; "": none. */
  readonly timeKey: string;
  readonly messageKey: string;
  readonly severityKey: string;
  readonly keepMessage: boolean;
}

/** What severity a value is, by the common scale; 0: none. The value is JSON text. */
export type SeverityOf = (bytes: Buffer, from: number, to: number) => number;

const EMPTY = Buffer.alloc(0);
/**
 * Where equal names are still to be found, a message of more members stays text: no backend takes so many (Elasticsearch:
 * 1000 in an index), and to compare 260,000 took 120 ms.
 */
const MAX_MEMBERS = 10_000;

/** Columns of the fields' table. */
const WIDTH = 4;

/** What names are: looked at; one that the configuration names; one that collides with a record's own. */
const SEEN = 1;
const NAMED = 2;
const COLLIDING = 4;

export class Structured implements Processor {
  readonly name: string;
  /** Since construction: messages that were none of the format, and times that could not be read. */
  readonly counts = { unmatched: 0, unreadableTimes: 0 };
  readonly #format: Format;
  readonly #match: Match | undefined;
  readonly #severityOf: SeverityOf;
  readonly #root: boolean;
  /** As they stand in JSON, where they need no escape that JSON does not demand. */
  readonly #timeKey: Buffer;
  readonly #messageKey: Buffer;
  readonly #messageAlias: Buffer;
  /** The one of the two that the message at hand has. */
  #messageName: Buffer = EMPTY;
  /** Whether it has its message, severity and time. A further member of such a name stays a field. */
  readonly #taken = new Uint8Array(3);
  readonly #severityKey: Buffer;
  readonly #names: Names;
  readonly #moment = new Moment();
  /** What names are, by number, for a generation of these. */
  #kinds = new Uint8Array(0);
  #generation = 0;
  /** What the names of the row at hand are, or may be. */
  #rowKinds = new Uint8Array(64);

  constructor(
    name: string,
    format: Format,
    options: StructuredOptions,
    severityOf: SeverityOf,
    match: Match | undefined,
  ) {
    this.name = name;
    this.#format = format;
    this.#match = match;
    this.#severityOf = severityOf;
    this.#root = options.into === "root";
    this.#timeKey = nameInJson(options.timeKey);
    this.#messageKey = nameInJson(options.keepMessage ? "" : options.messageKey);
    const alias = options.messageKey === "message" && !options.keepMessage ? format.messageAlias : undefined;
    this.#messageAlias = nameInJson(alias ?? "");
    this.#severityKey = nameInJson(options.severityKey || (format.severityName ?? ""));
    this.#names = new Names([this.#root ? "fields" : nameInJson(options.into).toString()]);
  }

  process(rows: Rows): void {
    const all = this.#match === undefined ? true : this.#match.ofOrigin(rows.origin);
    if (all === false) return;
    this.#format.begin();
    this.#names.forget();
    const before = rows.fields;
    const fields = rows.members();
    for (let row = 0; row < rows.rows; row++) {
      if ((rows.flags[row]! & (DROPPED | SUMMARY)) !== 0) continue;
      if (all === undefined && !this.#match!.ofRow(rows, row)) continue;
      // What was cut, or never was a line of a log, is no whole message of any format.
      if ((rows.flags[row]! & (TRUNCATED | UNPARSED)) !== 0 || !this.#structure(rows, row, fields))
        this.counts.unmatched++;
    }
    if (fields.used === 0) rows.fields = before;
  }

  #structure(rows: Rows, row: number, fields: Fields): boolean {
    const mark = fields.used;
    if (!this.#format.parse(rows, rows.from[row]!, rows.to[row]!, fields, row)) {
      fields.used = mark;
      return false;
    }
    if (this.#format.unique !== true && fields.used - mark > MAX_MEMBERS) {
      fields.used = mark;
      return false;
    }
    const found = fields.used;
    const kinds = this.#kindsOf(rows, fields, mark);
    if ((kinds & NAMED) !== 0) this.#take(rows, row, fields, mark);
    if (this.#root) {
      if ((kinds & COLLIDING) !== 0) this.#sortOut(rows, fields, mark);
    } else this.#wrap(rows, fields, mark, fields.used === found);
    if (fields.used === mark) return true;
    if (this.#format.unique !== true || fields.count[row]! > 0) fields.assign(rows.bytes, row, mark);
    else {
      fields.first[row] = mark;
      fields.count[row] = fields.used - mark;
    }
    return true;
  }

  /** What there is among the names of the members since `mark`. Names that have numbers are looked at once. */
  #kindsOf(rows: Rows, fields: Fields, mark: number): number {
    const { names: numbers, firstName = 0 } = this.#format;
    const count = fields.used - mark;
    if (count > this.#rowKinds.length) this.#rowKinds = new Uint8Array(count * 2);
    if (numbers === undefined) {
      this.#rowKinds.fill(NAMED | COLLIDING, 0, count);
      return NAMED | COLLIDING;
    }
    if (numbers.generation !== this.#generation) {
      this.#generation = numbers.generation;
      if (this.#kinds.length < numbers.maxNames) this.#kinds = new Uint8Array(numbers.maxNames);
      else this.#kinds.fill(0);
    }
    const kinds = this.#kinds;
    const { names } = numbers;
    let all = 0;
    for (let i = 0; i < count; i++) {
      const name = names[firstName + i]! & ~ESCAPED;
      if (kinds[name] === 0) kinds[name] = this.#kindOf(rows, fields, mark + i);
      this.#rowKinds[i] = kinds[name]!;
      all |= kinds[name]!;
    }
    return all;
  }

  #kindOf(rows: Rows, fields: Fields, member: number): number {
    const keys = [this.#messageKey, this.#messageAlias, this.#severityKey, this.#timeKey];
    const named = keys.some((key) => isNamed(rows, fields, member, key)) ? NAMED : 0;
    const collide = collides(rows.bytes, fields.nameFrom(member), fields.nameTo(member)) ? COLLIDING : 0;
    return SEEN | named | collide;
  }

  /** Takes out the members that become the record's message, time and severity. */
  #take(rows: Rows, row: number, fields: Fields, mark: number): void {
    let kept = mark;
    this.#messageName = this.#messageKey;
    if (this.#messageAlias.length > 0) {
      let member = mark;
      while (member < fields.used && !isNamed(rows, fields, member, this.#messageKey)) member++;
      if (member === fields.used) this.#messageName = this.#messageAlias;
    }
    this.#taken.fill(0);
    const kinds = this.#rowKinds;
    for (let member = mark; member < fields.used; member++) {
      const kind = kinds[member - mark]!;
      if ((kind & NAMED) !== 0 && this.#isTaken(rows, row, fields, member, member - mark)) continue;
      kinds[kept - mark] = kind;
      moveMember(fields, member, kept++);
    }
    fields.used = kept;
  }

  /** @param index of the member among those of the row. */
  #isTaken(rows: Rows, row: number, fields: Fields, member: number, index: number): boolean {
    const valueFrom = fields.valueFrom(member);
    const valueTo = fields.valueTo(member);
    if (this.#taken[0] === 0 && isNamed(rows, fields, member, this.#messageName)) {
      if (rows.bytes[valueFrom] !== QUOTE) return false;
      this.#taken[0] = 1;
      const { names: numbers, firstName = 0 } = this.#format;
      if (numbers !== undefined && (numbers.names[firstName + index]! & ESCAPED) === 0) {
        rows.from[row] = valueFrom + 1;
        rows.to[row] = valueTo - 1;
        return true;
      }
      rows.reserve(valueTo - valueFrom);
      const length = unescapeJson(rows.bytes, valueFrom + 1, valueTo - 1, rows.used);
      rows.from[row] = rows.used;
      rows.used += length;
      rows.to[row] = rows.used;
      return true;
    }
    if (this.#taken[1] === 0 && isNamed(rows, fields, member, this.#severityKey)) {
      const severity = this.#severityOf(rows.bytes, valueFrom, valueTo);
      if (severity === 0) return false;
      this.#taken[1] = 1;
      rows.severities()[row] = severity;
      return true;
    }
    if (this.#taken[2] !== 0 || !isNamed(rows, fields, member, this.#timeKey)) return false;
    if (!this.#moment.read(rows.bytes, valueFrom, valueTo)) {
      this.counts.unreadableTimes++;
      return false;
    }
    this.#taken[2] = 1;
    rows.seconds[row] = this.#moment.seconds;
    rows.nanos[row] = this.#moment.nanos;
    rows.digits[row] = this.#moment.digits;
    return true;
  }

  /** Members that can't stand at the top of a record become members of its field `fields`. */
  #sortOut(rows: Rows, fields: Fields, mark: number): void {
    let kept = mark;
    let valueFrom = -1;
    for (let member = mark; member < fields.used; member++) {
      const mayCollide = (this.#rowKinds[member - mark]! & COLLIDING) !== 0;
      if (!mayCollide || !collides(rows.bytes, fields.nameFrom(member), fields.nameTo(member))) {
        moveMember(fields, member, kept++);
        continue;
      }
      this.#names.place(rows);
      if (valueFrom < 0) valueFrom = rows.used;
      appendMember(rows, fields, member, rows.used === valueFrom ? OPEN_BRACE : COMMA);
    }
    fields.used = kept;
    if (valueFrom < 0) return;
    appendByte(rows, CLOSE_BRACE);
    fields.add(this.#names.from(0), this.#names.to(0), valueFrom, rows.used);
  }

  /** All members become one, an object. */
  #wrap(rows: Rows, fields: Fields, mark: number, whole: boolean): void {
    this.#names.place(rows);
    const { objectFrom = 1, objectTo = 0 } = this.#format;
    let valueFrom = objectFrom;
    let valueTo = objectTo;
    if (!whole || objectFrom > objectTo) {
      valueFrom = rows.used;
      for (let member = mark; member < fields.used; member++) {
        appendMember(rows, fields, member, member === mark ? OPEN_BRACE : COMMA);
      }
      if (fields.used === mark) appendByte(rows, OPEN_BRACE);
      appendByte(rows, CLOSE_BRACE);
      valueTo = rows.used;
    }
    fields.used = mark;
    fields.add(this.#names.from(0), this.#names.to(0), valueFrom, valueTo);
  }
}

function moveMember(fields: Fields, from: number, to: number): void {
  if (from === to) return;
  const { table } = fields;
  for (let i = 0; i < WIDTH; i++) table[to * WIDTH + i] = table[from * WIDTH + i]!;
}

/** Appends a byte and the member as JSON. */
function appendMember(rows: Rows, fields: Fields, member: number, before: number): void {
  const { table } = fields;
  appendByte(rows, before);
  appendByte(rows, QUOTE);
  appendBytes(rows, table[member * WIDTH]!, table[member * WIDTH + 1]!);
  appendByte(rows, QUOTE);
  appendByte(rows, COLON);
  appendBytes(rows, table[member * WIDTH + 2]!, table[member * WIDTH + 3]!);
}

function appendByte(rows: Rows, byte: number): void {
  rows.reserve(1);
  rows.bytes[rows.used++] = byte;
}
