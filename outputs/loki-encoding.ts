/** What the two encodings of a push to Loki have in common: pieces made once for many rows, and entries row by row. */
import type { Batch } from "../agent/batch.ts";
import type { Template } from "../agent/config/template.ts";

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
  body(streams: readonly { readonly head: Buffer; readonly entries: readonly Buffer[] }[]): Buffer;
  compress(body: Buffer): Buffer;
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
