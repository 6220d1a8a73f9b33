/**
 * Fields: what processors found in messages, as ranges of JSON text. A member costs four numbers in a table that all rows
 * of the batch share; a row has a run of members. Values are never parsed and printed again: what an app wrote as JSON is
 * copied as it stands, what a processor adds it writes as JSON behind `Rows.used`.
 *
 * A name is the inside of a JSON string (without quotes, escapes kept), a value any JSON text without space around it.
 * Both are valid UTF-8 and lie in `Batch.bytes`. Names of a row are unique: of several equal ones the last counts, as in
 * JSON.parse.
 */
import type { Batch } from "./batch.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Numbers that a member has in the table. */
export const WIDTH = 4;
/** Up to so many members are compared one with another, which needs no table of names. */
const FEW = 16;

export class Fields {
  /** Four numbers a member: the name is bytes[table[4m], table[4m+1]), the value bytes[table[4m+2], table[4m+3]). */
  table = new Uint32Array(64 * WIDTH);
  /** Members in use. */
  used = 0;
  /** By row: its members are [first, first + count). */
  first: Uint32Array;
  count: Uint32Array;

  constructor(capacity: number) {
    this.first = new Uint32Array(capacity);
    this.count = new Uint32Array(capacity);
  }

  /** Forgets all members. */
  reset(rows: number): void {
    this.used = 0;
    this.count.fill(0, 0, rows);
  }

  /** Room for more rows, as the batch's columns have. */
  grow(capacity: number): void {
    const first = new Uint32Array(capacity);
    const count = new Uint32Array(capacity);
    first.set(this.first);
    count.set(this.count);
    this.first = first;
    this.count = count;
  }

  /** Appends a member to the table. It belongs to no row until `assign`; whoever gives up sets `used` back. */
  add(nameFrom: number, nameTo: number, valueFrom: number, valueTo: number): void {
    let at = this.used * WIDTH;
    if (at === this.table.length) {
      const table = new Uint32Array(at * 2);
      table.set(this.table);
      this.table = table;
    }
    this.table[at++] = nameFrom;
    this.table[at++] = nameTo;
    this.table[at++] = valueFrom;
    this.table[at] = valueTo;
    this.used++;
  }

  /** Appends `count` members that stand so in another table, from member `first` on. */
  addAll(table: Uint32Array, first: number, count: number): void {
    const need = (this.used + count) * WIDTH;
    if (need > this.table.length) {
      const larger = new Uint32Array(Math.max(need, this.table.length * 2));
      larger.set(this.table);
      this.table = larger;
    }
    const own = this.table;
    // A loop: for the few members of a row quicker than a view and a call.
    for (let at = this.used * WIDTH, other = first * WIDTH; at < need; ) own[at++] = table[other++] as number;
    this.used += count;
  }

  /**
   * Gives the row the members added since `mark` (a former `used`), behind those that it has. Of equal names the last
   * counts.
   */
  assign(bytes: Buffer, row: number, mark: number): void {
    const before = this.count[row] as number;
    let start = mark;
    if (before > 0) {
      const first = this.first[row] as number;
      if (first + before !== mark) {
        // Runs are contiguous: the former members go again in front of the new ones.
        const added = this.used - mark;
        for (let i = 0; i < before; i++) this.add(0, 0, 0, 0);
        this.table.copyWithin((mark + before) * WIDTH, mark * WIDTH, (mark + added) * WIDTH);
        this.table.copyWithin(mark * WIDTH, first * WIDTH, (first + before) * WIDTH);
      } else start = first;
    }
    this.#unique(bytes, start);
    this.first[row] = start;
    this.count[row] = this.used - start;
  }

  /** The row's member of this name, given as the inside of a JSON string, or -1. */
  find(bytes: Buffer, row: number, name: Uint8Array): number {
    const first = this.first[row] as number;
    const end = first + (this.count[row] as number);
    const length = name.length;
    next: for (let member = first; member < end; member++) {
      const from = this.table[member * WIDTH] as number;
      if ((this.table[member * WIDTH + 1] as number) - from !== length) continue;
      for (let i = 0; i < length; i++) if (bytes[from + i] !== name[i]) continue next;
      return member;
    }
    return -1;
  }

  nameFrom(member: number): number {
    return this.table[member * WIDTH] as number;
  }

  nameTo(member: number): number {
    return this.table[member * WIDTH + 1] as number;
  }

  valueFrom(member: number): number {
    return this.table[member * WIDTH + 2] as number;
  }

  valueTo(member: number): number {
    return this.table[member * WIDTH + 3] as number;
  }

  /** Gives a member another value. */
  setValue(member: number, from: number, to: number): void {
    this.table[member * WIDTH + 2] = from;
    this.table[member * WIDTH + 3] = to;
  }

  /** A name as text, unescaped. */
  nameText(bytes: Buffer, member: number): string {
    const from = this.table[member * WIDTH] as number;
    return unescaped(bytes, from, this.table[member * WIDTH + 1] as number);
  }

  /** A value as text: a string without its quotes and escapes, all else as it stands. */
  valueText(bytes: Buffer, member: number): string {
    const from = this.valueFrom(member);
    const to = this.valueTo(member);
    return bytes[from] === QUOTE ? unescaped(bytes, from + 1, to - 1) : bytes.toString("utf8", from, to);
  }

  /** Takes members out whose name comes again behind them. */
  #unique(bytes: Buffer, start: number): void {
    const members = this.used - start;
    if (members < 2) return;
    const seen = members > FEW ? new Set<string>() : undefined;
    // Backwards, so that the last of equal ones stays; survivors gather at the end.
    let keep = this.used;
    for (let member = this.used - 1; member >= start; member--) {
      if (seen === undefined) {
        if (this.#again(bytes, member, keep)) continue;
      } else {
        const name = this.nameText(bytes, member);
        if (seen.has(name)) continue;
        seen.add(name);
      }
      keep--;
      if (keep !== member) this.table.copyWithin(keep * WIDTH, member * WIDTH, (member + 1) * WIDTH);
    }
    if (keep === start) return;
    this.table.copyWithin(start * WIDTH, keep * WIDTH, this.used * WIDTH);
    this.used -= keep - start;
  }

  /** Whether a member from `keep` on has the same name. Names with escapes are compared as text. */
  #again(bytes: Buffer, member: number, keep: number): boolean {
    const from = this.table[member * WIDTH] as number;
    const length = (this.table[member * WIDTH + 1] as number) - from;
    const escaped = hasEscape(bytes, from, from + length);
    next: for (let other = keep; other < this.used; other++) {
      const at = this.table[other * WIDTH] as number;
      const end = this.table[other * WIDTH + 1] as number;
      if (escaped || hasEscape(bytes, at, end)) {
        if (this.nameText(bytes, member) === this.nameText(bytes, other)) return true;
        continue;
      }
      if (end - at !== length) continue;
      for (let i = 0; i < length; i++) if (bytes[at + i] !== bytes[from + i]) continue next;
      return true;
    }
    return false;
  }
}

function hasEscape(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] === BACKSLASH) return true;
  return false;
}

function unescaped(bytes: Buffer, from: number, to: number): string {
  const text = bytes.toString("utf8", from, to);
  return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
}

/** The text of a row's field; "" when it has none. `a.b` is the field of that name, else the member b of the object a. */
export function fieldText(batch: Batch, row: number, name: string): string {
  const { fields, bytes } = batch;
  if (fields === undefined || fields.count[row] === 0) return "";
  const member = fields.find(bytes, row, nameBytes(name));
  if (member >= 0) return fields.valueText(bytes, member);
  const dot = name.indexOf(".");
  if (dot <= 0) return "";
  const parent = fields.find(bytes, row, nameBytes(name.slice(0, dot)));
  return parent < 0
    ? ""
    : nestedText(bytes.toString("utf8", fields.valueFrom(parent), fields.valueTo(parent)), name, dot);
}

function nestedText(json: string, name: string, dot: number): string {
  let value: unknown = JSON.parse(json);
  for (const key of name.slice(dot + 1).split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return "";
    value = (value as Record<string, unknown>)[key];
  }
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

const names = new Map<string, Buffer>();

/** A name as it stands in JSON text. The few names of a configuration are kept. */
function nameBytes(name: string): Buffer {
  let bytes = names.get(name);
  if (bytes === undefined) {
    bytes = Buffer.from(JSON.stringify(name).slice(1, -1));
    names.set(name, bytes);
  }
  return bytes;
}
