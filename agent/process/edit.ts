/** The processor `fields`: takes fields out by globs, renames and adds some; in that order, so that what is added stays. */
import type { Rows } from "../batch.ts";
import type { Template } from "../config/template.ts";
import { globTest, wanted } from "./match.ts";
import { type Match, OUT, type Processor } from "./processor.ts";
import { append } from "./redact.ts";

export interface EditOptions {
  readonly add: Readonly<Record<string, Template>>;
  readonly remove: readonly string[];
  readonly rename: Readonly<Record<string, string>>;
}

const jsonName = (name: string): Buffer => Buffer.from(JSON.stringify(name.toWellFormed()).slice(1, -1));

export class Edit implements Processor {
  readonly name = "fields";
  readonly #add: readonly (readonly [name: Buffer, value: Template])[];
  readonly #removes: ((name: string) => boolean) | undefined;
  /** By the name as text. */
  readonly #rename: ReadonlyMap<string, Buffer>;
  readonly #match: Match | undefined;

  constructor({ add, remove, rename }: EditOptions, match: Match | undefined) {
    this.#add = Object.entries(add).map(([name, value]) => [jsonName(name), value]);
    const globs = remove.map(globTest);
    this.#removes =
      globs.length === 0 ? undefined : (name) => remove.includes(name) || globs.some((fits) => fits(name));
    this.#rename = new Map(Object.entries(rename).map(([from, to]) => [from, jsonName(to)]));
    this.#match = match;
  }

  process(rows: Rows): void {
    const want = wanted(this.#match, rows);
    if (want === false) return;
    for (let row = 0; row < rows.rows; row++) {
      if (((rows.flags[row] as number) & OUT) !== 0 || (want !== true && !want(row))) continue;
      // Templates see the fields as they came.
      const values = this.#add.map(([, value]) => Buffer.from(JSON.stringify(value.render(rows, row).toWellFormed())));
      if (rows.fields !== undefined && rows.fields.count[row] !== 0) this.#change(rows, row);
      if (values.length > 0) this.#adding(rows, row, values);
    }
  }

  #change(rows: Rows, row: number): void {
    if (this.#removes === undefined && this.#rename.size === 0) return;
    const fields = rows.members();
    const mark = fields.used;
    const first = fields.first[row] as number;
    const end = first + (fields.count[row] as number);
    for (let member = first; member < end; member++) {
      const name = fields.nameText(rows.bytes, member);
      if (this.#removes?.(name) === true) continue;
      const other = this.#rename.get(name);
      const nameFrom = other === undefined ? fields.nameFrom(member) : append(rows, other);
      const nameTo = other === undefined ? fields.nameTo(member) : rows.used;
      fields.add(nameFrom, nameTo, fields.valueFrom(member), fields.valueTo(member));
    }
    fields.count[row] = 0;
    fields.assign(rows.bytes, row, mark);
  }

  #adding(rows: Rows, row: number, values: readonly Buffer[]): void {
    const fields = rows.members();
    const mark = fields.used;
    for (const [i, [name]] of this.#add.entries()) {
      const nameFrom = append(rows, name);
      const nameTo = rows.used;
      const valueFrom = append(rows, values[i] as Buffer);
      fields.add(nameFrom, nameTo, valueFrom, rows.used);
    }
    fields.assign(rows.bytes, row, mark);
  }
}
