/**
 * Repairs: what has to change before a piece of a valid JSON text can stand in somebody else's: members that another one
 * of the same name follows are left out, lone surrogates become U+FFFD, line ends between tokens become blanks.
 * Nothing to do costs nothing; memory is three numbers a repair.
 */
import type { Rows } from "../batch.ts";
import { CR, LF, SPACE } from "../parse/ascii.ts";

const REPLACEMENT = Buffer.from("ufffd");

export class Repairs {
  /** There are line ends between tokens. */
  breaks = false;
  /** Spans to leave out; once sorted they are apart from each other. */
  #cuts: [from: number, to: number][] = [];
  /** Positions of the "u" of lone surrogates' escapes, ascending. */
  #lone: number[] = [];

  clear(): void {
    this.breaks = false;
    if (this.#cuts.length > 0) this.#cuts = [];
    if (this.#lone.length > 0) this.#lone = [];
  }

  cut(from: number, to: number): void {
    const last = this.#cuts.at(-1);
    // One behind the other, as where a name comes again and again: one span.
    if (last !== undefined && last[1] === from) last[1] = to;
    else this.#cuts.push([from, to]);
  }

  loneAt(u: number): void {
    this.#lone.push(u);
  }

  /** To be called once all cuts are known, before what is below. @returns whether there are any. */
  sort(): boolean {
    if (this.#cuts.length === 0) return false;
    const apart: [number, number][] = [];
    // Cuts are within each other or apart; the outer one comes first.
    for (const cut of this.#cuts.sort((a, b) => a[0] - b[0] || b[1] - a[1])) {
      if (cut[0] >= (apart.at(-1)?.[1] ?? 0)) apart.push(cut);
    }
    this.#cuts = apart;
    return true;
  }

  /** Whether nothing in bytes[from, to) has to change. */
  isClean(bytes: Buffer, from: number, to: number): boolean {
    const cut = this.#cuts[this.#firstCut(from)];
    if (cut !== undefined && cut[0] < to) return false;
    const lone = this.#lone[this.#firstLone(from)];
    if (lone !== undefined && lone < to) return false;
    if (!this.breaks) return true;
    for (let at = from; at < to; at++) if (bytes[at] === LF || bytes[at] === CR) return false;
    return true;
  }

  /** Appends bytes[from, to), repaired, to the bytes of `rows`, which may be the same ones. */
  append(rows: Rows, bytes: Buffer, from: number, to: number): void {
    rows.reserve(to - from);
    const start = rows.used;
    let at = from;
    for (let i = this.#firstCut(from); i < this.#cuts.length; i++) {
      const [cutFrom, cutTo] = this.#cuts[i]!;
      if (cutFrom >= to) break;
      if (cutFrom > at) this.#copy(rows, bytes, at, cutFrom);
      at = cutTo;
    }
    if (at < to) this.#copy(rows, bytes, at, to);
    if (!this.breaks) return;
    // Strings hold no raw control bytes, so these stand between tokens.
    for (let i = start; i < rows.used; i++) if (rows.bytes[i] === LF || rows.bytes[i] === CR) rows.bytes[i] = SPACE;
  }

  #copy(rows: Rows, bytes: Buffer, from: number, to: number): void {
    const moved = rows.used - from;
    bytes.copy(rows.bytes, rows.used, from, to);
    rows.used += to - from;
    for (let i = this.#firstLone(from); i < this.#lone.length; i++) {
      const at = this.#lone[i]!;
      if (at >= to) break;
      REPLACEMENT.copy(rows.bytes, at + moved);
    }
  }

  /** Index of the first cut that ends behind `at`. */
  #firstCut(at: number): number {
    return firstOf(this.#cuts.length, (i) => this.#cuts[i]![1] > at);
  }

  #firstLone(at: number): number {
    return firstOf(this.#lone.length, (i) => this.#lone[i]! >= at);
  }
}

/** The first of `count` for which `holds`, once it does it does for all behind. */
function firstOf(count: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
