/**
 * JSON: messages that are JSON objects. Their members become fields where they stand; only what can't stand in somebody
 * else's JSON is copied and repaired (see members.ts).
 */
import type { Rows } from "../batch.ts";
import type { Fields } from "../fields.ts";
import { CLOSE_BRACE, OPEN_BRACE } from "../parse/ascii.ts";
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

  begin(): void {}

  parse(rows: Rows, from: number, to: number, fields: Fields): boolean {
    // A message that is an object mostly begins and ends with it: the others are told by two bytes.
    const first = rows.bytes[from]!;
    if (from >= to || (first !== OPEN_BRACE && first > 0x20)) return false;
    const last = rows.bytes[to - 1]!;
    if (last !== CLOSE_BRACE && last > 0x20) return false;
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
