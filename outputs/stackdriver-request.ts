/**
 * Bodies of `entries:write`, row by row: while they grow, and closed, when rows are picked out of them. A body that was
 * encoded before the cluster's identity was known is compressed only when that is put in.
 */
import { type Batch, DROPPED } from "../agent/batch.ts";
import { type Compression, compress, decompress } from "./gzip.ts";
import { Integers } from "./integers.ts";
import { ByteWriter } from "./json.ts";
import type { ClosedRequest, OpenRequest } from "./output.ts";
import type { ClusterIdentity } from "./stackdriver-cluster.ts";
import type { EntryWriter, Shared } from "./stackdriver-entry.ts";

const START = Buffer.from('{"partialSuccess":true,');
const ENTRIES = Buffer.from('"entries":[');
const END = Buffer.from("]}");
const COMMA = Buffer.from(",");
/** The API takes 10 MB (cloud.google.com/logging/quotas), uncompressed. */
const MAX_REQUEST_BYTES = 9_500_000;
/** Writers kept for the next requests. */
const MAX_SPARE = 4;
/** More than four reads of a container with a backlog make; larger ones would save next to nothing. */
const MAX_OWN_BYTES = 2 * 1024 * 1024;

/** Where rows are in the uncompressed body. */
interface Layout {
  /** Where the first row begins. */
  readonly headEnd: number;
  /** Where each row ends, without the comma behind. */
  readonly ends: Uint32Array | readonly number[];
  /** How many entries those rows have that do not have one. */
  readonly parts: ReadonlyMap<number, number>;
}

export class EntriesRequest implements OpenRequest {
  readonly #entries: EntryWriter;
  readonly #cluster: ClusterIdentity;
  readonly #compression: Compression;
  readonly #isOfOne: boolean;
  readonly #writer: ByteWriter;
  readonly #writers: ByteWriter[];
  readonly #ends = new Integers();
  readonly #parts = new Map<number, number>();
  #shared: Shared | undefined;
  #isResolved = true;
  #headEnd = 0;

  /**
   * @param isOfOne all batches have the same Origin.
   * @param writers whose bytes are free for use; this one's come back to it. Growing new ones for each request costs a
   * tenth of all CPU in garbage collection.
   */
  constructor(
    entries: EntryWriter,
    cluster: ClusterIdentity,
    compression: Compression,
    isOfOne: boolean,
    writers: ByteWriter[],
  ) {
    this.#writers = writers;
    this.#writer = writers.pop() ?? new ByteWriter();
    this.#writer.length = 0;
    this.#entries = entries;
    this.#cluster = cluster;
    this.#compression = compression;
    this.#isOfOne = isOfOne;
  }

  get bytes(): number {
    return this.#writer.length + END.length;
  }

  get rows(): number {
    return this.#ends.length;
  }

  append(batch: Batch, row: number, maxBytes: number, maxRows: number): number {
    const writer = this.#writer;
    const limit = Math.min(maxBytes, this.#isOfOne ? MAX_OWN_BYTES : MAX_REQUEST_BYTES) - END.length;
    if (this.#headEnd === 0) this.#begin(batch, row);
    this.#isResolved &&= this.#cluster.isKnown;
    // Whoever comes first has no comma before it, and what is not known yet has marks.
    const { plain } = this.#entries;
    const isUsual = this.#cluster.isKnown && plain.begin(batch, row);
    for (let at = row; at < batch.rows; ) {
      if (((batch.flags[at] as number) & DROPPED) !== 0) {
        at++;
        continue;
      }
      if (this.rows >= maxRows) return at;
      const end = isUsual && this.rows > 0 ? plain.endOfRun(at, Math.min(batch.rows, at + maxRows - this.rows)) : at;
      if (end > at) {
        const ends: number[] = [];
        at = plain.encode(writer, at, end, this.#shared, limit, ends);
        this.#ends.append(ends);
        if (at === end) continue;
        // To write the row and take it back would make the writer grow to twice the size of the request.
        if (plain.isOver) return at;
      }
      const before = writer.length;
      if (this.rows > 0) writer.buffer(COMMA);
      const parts = this.#entries.write(writer, batch, at, this.#shared);
      if (writer.length > limit && this.rows > 0) {
        writer.length = before;
        return at;
      }
      if (parts > 1) this.#parts.set(this.rows, parts);
      this.#ends.push(writer.length);
      at++;
    }
    return batch.rows;
  }

  close(): ClosedRequest {
    this.#writer.buffer(END);
    const body = this.#writer.view();
    const isResolved = this.#isResolved;
    const sent = isResolved ? compress(body, this.#compression) : Buffer.from(body);
    const layout = { headEnd: this.#headEnd, ends: this.#ends.copy(), parts: this.#parts };
    const bytes = body.length;
    if (this.#writers.length < MAX_SPARE) this.#writers.push(this.#writer);
    return new ClosedEntries(sent, bytes, layout, this.#compression, isResolved);
  }

  #begin(batch: Batch, row: number): void {
    this.#shared = this.#isOfOne ? this.#entries.shared(batch, row) : undefined;
    this.#writer.buffer(START);
    if (this.#shared !== undefined) this.#writer.buffer(this.#entries.head(this.#shared));
    this.#writer.buffer(ENTRIES);
    this.#headEnd = this.#writer.length;
  }
}

/** One request of the first of these requests with a row each: of as many as have the same head. */
export function restoreEntries(texts: readonly string[], compression: Compression): ClosedEntries {
  const head = headOf(texts[0] ?? "");
  const pieces = [Buffer.from(head)];
  const headEnd = (pieces[0] as Buffer).length;
  const layout = { headEnd, ends: [] as number[], parts: new Map<number, number>() };
  let at = headEnd;
  for (const text of texts) {
    const piece = Buffer.from(text.slice(head.length, -END.length));
    if (headOf(text) !== head || (layout.ends.length > 0 && at + piece.length > MAX_REQUEST_BYTES)) break;
    const { entries } = JSON.parse(text) as { entries: readonly unknown[] };
    if (entries.length > 1) layout.parts.set(layout.ends.length, entries.length);
    if (layout.ends.length > 0) {
      pieces.push(COMMA);
      at++;
    }
    pieces.push(piece);
    at += piece.length;
    layout.ends.push(at);
  }
  const body = Buffer.concat([...pieces, END]);
  return new ClosedEntries(compress(body, compression), body.length, layout, compression, true);
}

/** All that comes before the first entry. Within a string these quotes would be escaped. */
function headOf(text: string): string {
  return text.slice(0, text.indexOf('"entries":[') + ENTRIES.length);
}

export class ClosedEntries implements ClosedRequest {
  body: Buffer;
  bytes: number;
  #layout: Layout;
  readonly #compression: Compression;
  /** Whether the body holds no marks any more. */
  isResolved: boolean;

  /** @param bytes of the body before compression. */
  constructor(body: Buffer, bytes: number, layout: Layout, compression: Compression, isResolved: boolean) {
    this.body = body;
    this.bytes = bytes;
    this.#layout = layout;
    this.#compression = compression;
    this.isResolved = isResolved;
  }

  get rows(): number {
    return this.#layout.ends.length;
  }

  /** The body before compression. */
  get text(): string {
    return this.#raw().toString();
  }

  /** Puts the cluster's identity in, which must be known by now. */
  resolve(cluster: ClusterIdentity): void {
    const { headEnd, ends } = this.#layout;
    const offsets = [headEnd, ...ends];
    const raw = cluster.resolve(this.body, offsets);
    this.#layout = { ...this.#layout, headEnd: offsets[0] as number, ends: offsets.slice(1) };
    this.bytes = raw.length;
    this.body = compress(raw, this.#compression);
    this.isResolved = true;
  }

  /** The row that an entry belongs to; undefined when there is no such entry. */
  rowOf(entry: number): number | undefined {
    const { ends, parts } = this.#layout;
    if (!Number.isInteger(entry) || entry < 0) return undefined;
    /** Entries beyond one a row, so far. */
    let more = 0;
    for (const [row, count] of parts) {
      if (entry < row + more) break;
      if (entry < row + more + count) return row;
      more += count - 1;
    }
    return entry - more < ends.length ? entry - more : undefined;
  }

  pick(rows: readonly number[]): ClosedEntries {
    const { headEnd, ends, parts } = this.#layout;
    const raw = this.#raw();
    const pieces = [raw.subarray(0, headEnd)];
    const layout = { headEnd, ends: [] as number[], parts: new Map<number, number>() };
    let at = headEnd;
    for (const row of rows) {
      if (layout.ends.length > 0) {
        pieces.push(COMMA);
        at++;
      }
      const piece = raw.subarray(row === 0 ? headEnd : (ends[row - 1] as number) + 1, ends[row]);
      const count = parts.get(row);
      if (count !== undefined) layout.parts.set(layout.ends.length, count);
      pieces.push(piece);
      at += piece.length;
      layout.ends.push(at);
    }
    const body = Buffer.concat([...pieces, END]);
    const sent = this.isResolved ? compress(body, this.#compression) : body;
    return new ClosedEntries(sent, body.length, layout, this.#compression, this.isResolved);
  }

  #raw(): Buffer {
    return this.isResolved ? decompress(this.body, this.#compression) : this.body;
  }
}
