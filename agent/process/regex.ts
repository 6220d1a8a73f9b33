/** Messages that fit a user's pattern: each named group that took part becomes a field, as text. */
import type { Rows } from "../batch.ts";
import type { Fields } from "../fields.ts";
import type { Format } from "./format.ts";
import type { Pattern } from "./pattern.ts";
import { append } from "./redact.ts";

const jsonText = (text: string): Buffer => Buffer.from(JSON.stringify(text.toWellFormed()));

export class RegexFormat implements Format {
  readonly unique = true;
  readonly #pattern: Pattern;
  readonly #names: ReadonlyMap<string, Buffer>;

  constructor(pattern: Pattern) {
    this.#pattern = pattern;
    this.#names = new Map(pattern.groups.map((name) => [name, jsonText(name).subarray(1, -1)]));
  }

  begin(): void {}

  parse(rows: Rows, from: number, to: number, fields: Fields): boolean {
    const groups = this.#pattern.capture(rows.bytes.toString("utf8", from, to));
    if (groups === undefined) return false;
    for (const [name, bytes] of this.#names) {
      const value = groups[name];
      if (value === undefined) continue;
      const nameFrom = append(rows, bytes);
      const nameTo = rows.used;
      const valueFrom = append(rows, jsonText(value));
      fields.add(nameFrom, nameTo, valueFrom, rows.used);
    }
    return true;
  }
}
