/** Messages that fit a user's pattern: each named group that took part becomes a field, as text. */
import type { Rows } from "../batch.ts";
import type { Fields } from "../fields.ts";
import { addText, type Format } from "./format.ts";
import { Names } from "./names.ts";
import type { Pattern } from "./pattern.ts";

export class RegexFormat implements Format {
  readonly unique = true;
  readonly #pattern: Pattern;
  readonly #names: Names;

  constructor(pattern: Pattern) {
    this.#pattern = pattern;
    // What RE2 allows in a group's name needs no escape.
    this.#names = new Names(pattern.groups);
  }

  begin(): void {
    this.#names.forget();
  }

  parse(rows: Rows, from: number, to: number, fields: Fields): boolean {
    const places = this.#pattern.capture(rows.bytes, from, to);
    if (places === undefined) return false;
    const names = this.#names;
    names.place(rows);
    for (let group = 0; group * 2 < places.length; group++) {
      const groupFrom = places[2 * group]!;
      if (groupFrom >= 0) addText(rows, fields, names.from(group), names.to(group), groupFrom, places[2 * group + 1]!);
    }
    return true;
  }
}
