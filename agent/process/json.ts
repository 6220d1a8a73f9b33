/**
 * JSON: messages that are JSON objects. Their members become fields where they stand; only what can't stand in somebody
 * else's JSON is copied and repaired (see members.ts). With kernels a batch is read at once, and what they leave is read
 * as without.
 */
import type { Rows } from "../batch.ts";
import type { Fields } from "../fields.ts";
import { ASK, type JsonObjects, jsonObjects, mayBeObject, OBJECT } from "../kernel/json.ts";
import { type Format, MOST_MEMBERS } from "./format.ts";
import { Members } from "./members.ts";

/**
 * What is nested deeper stays text, and so stays deliverable: no backend takes much more (protobuf's limit, and so Cloud
 * Logging's, is 100; Elasticsearch's parser ends at 1000).
 */
const DEEPEST = 100;

export class JsonFormat implements Format {
  readonly #members = new Members();
  readonly unique = true;
  objectFrom = 1;
  objectTo = 0;
  names: JsonObjects | undefined;
  firstName = 0;
  #objects: JsonObjects | undefined;
  /** Rows before it have been read by the kernel. */
  #readTo = 0;

  begin(): void {
    this.#objects = jsonObjects();
    this.#readTo = 0;
  }

  parse(rows: Rows, from: number, to: number, fields: Fields, row: number): boolean {
    if (!mayBeObject(rows.bytes, from, to)) return false;
    const objects = this.#objects;
    this.names = undefined;
    if (objects === undefined) return this.#parse(rows, from, to, fields);
    if (row >= this.#readTo) this.#readTo = objects.read(rows, row);
    const what = objects.what(row);
    if (what === ASK) return this.#parse(rows, from, to, fields);
    const count = objects.count(row);
    if (what !== OBJECT || objects.depth(row) > DEEPEST || count > MOST_MEMBERS) return false;
    this.objectFrom = objects.objectFrom(row);
    this.objectTo = objects.objectTo(row);
    this.names = objects;
    this.firstName = objects.first(row);
    fields.addAll(objects.table, this.firstName, count);
    return true;
  }

  /** Without kernels. */
  #parse(rows: Rows, from: number, to: number, fields: Fields): boolean {
    const members = this.#members;
    if (!members.scan(rows.bytes, from, to)) return false;
    if (members.depth > DEEPEST || members.count > MOST_MEMBERS) return false;
    const clean = members.isClean(members.from, members.to);
    this.objectFrom = clean ? members.from : 1;
    this.objectTo = clean ? members.to : 0;
    for (let member = 0; member < members.count; member++) {
      const nameFrom = members.start[member]! + 1;
      const nameTo = members.nameEnd[member]!;
      const valueFrom = members.valueFrom[member]!;
      const valueTo = members.valueTo[member]!;
      if (clean || members.isClean(nameFrom, valueTo)) {
        fields.add(nameFrom, nameTo, valueFrom, valueTo);
        continue;
      }
      const name = rows.used;
      members.append(rows, nameFrom, nameTo);
      const value = rows.used;
      members.append(rows, valueFrom, valueTo);
      fields.add(name, value, value, rows.used);
    }
    return true;
  }
}
