/** What the two encodings of a push to Loki have in common: pieces made once for many rows, and entries row by row. */
import type { Batch } from "../agent/batch.ts";
import type { Template } from "../agent/config/template.ts";
import type { EntryLimits } from "../agent/kernel/entries.ts";
import type { Portion } from "./snappy.ts";

export type LabelPairs = readonly (readonly [name: string, value: string])[];

/** Structured metadata that differs from row to row. */
export interface RowPair {
  readonly name: string;
  /** undefined: the row's offset, which is written without making a text of it. */
  readonly template: Template | undefined;
}

export interface EntryWriter {
  /** May be set back to take something away. */
  length: number;
  /** What was written there. Borrowed: valid until the next entry. */
  view(from: number, to: number): Buffer;
}

/** Entries that stand in a writer one behind the other. */
export interface Written {
  readonly from: number;
  readonly to: number;
  /** How many bytes they are when they are not packed. */
  readonly bytes: number;
  /** Compressed by themselves. */
  readonly packed: boolean;
  /** Seconds since 1970. */
  readonly oldest: number;
  readonly newest: number;
}

/** Those that were written together. */
export interface Together extends Written {
  /** Of stdout, or of both where they are not apart; of stderr. */
  readonly stream: 0 | 1;
  readonly rows: number;
  /** Beginnings and ends of runs of them among all that were made: 0 is the first. Borrowed: valid until the next call. */
  readonly runs: Uint32Array;
}

/** A row as it was sent, for the rare times when a request is taken apart. */
export interface DecodedEntry {
  /** As it stands in the body. */
  readonly raw: Buffer;
  /** Of its time; nanoseconds are not negative. */
  readonly seconds: number;
  readonly nanos: number;
  readonly lineBytes: number;
  line(): string;
  metadata(): LabelPairs;
}

export interface DecodedStream {
  /** What stands before its entries in the body. */
  readonly head: Buffer;
  /** `{a="b", c="d"}` */
  readonly labels: string;
  readonly entries: readonly DecodedEntry[];
}

export interface StreamBody {
  readonly head: Buffer;
  /** Packed ones only where `entries` of the same encoding made them. */
  readonly entries: readonly Portion[];
}

export interface Encoding<W extends EntryWriter = EntryWriter> {
  readonly headers: Readonly<Record<string, string>>;
  writer(): W;
  /** What stands before the entries of a stream. Names are valid and in order, values well-formed. */
  stream(labels: LabelPairs): Buffer;
  /** Structured metadata that is the same for many rows. */
  metadata(pairs: LabelPairs): Buffer;
  /** @param texts for each pair; undefined where it is the offset. */
  entry(
    writer: W,
    batch: Batch,
    row: number,
    metadata: Buffer,
    pairs: readonly RowPair[],
    texts: readonly (Buffer | undefined)[],
  ): void;
  /**
   * Many rows at once: those from `row` on as far as kernels can make them, except those that are dropped.
   * @param metadata of stdout and of stderr; undefined: not known yet, so its rows are not made.
   * @param apart whether the two are streams of their own.
   * @returns the first row that was not looked at, to be made by `entry`; `row` where there is nothing for kernels.
   */
  entries?(
    writer: W,
    batch: Batch,
    row: number,
    metadata: readonly [Buffer | undefined, Buffer | undefined],
    apart: boolean,
    pairs: readonly RowPair[],
    limits: EntryLimits,
  ): { readonly row: number; readonly made: readonly Together[] };
  /** @returns the body as it goes over the wire, and how long it was before it was compressed. */
  pack(streams: readonly StreamBody[]): { readonly body: Buffer; readonly bytes: number };
  decode(compressed: Buffer): DecodedStream[];
}

/** As Loki writes and reads them. JSON's escapes are ones of Go too, as long as the values are well-formed. */
export function labelsText(labels: LabelPairs): string {
  return `{${labels.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(", ")}}`;
}

export function parseLabels(text: string): LabelPairs {
  const pairs = text.matchAll(/(\w+)=("(?:[^"\\]|\\.)*")/g);
  return [...pairs].map(([, name = "", value = '""']) => [name, JSON.parse(value) as string]);
}
