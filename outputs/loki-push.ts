/**
 * Pushes under construction. Rows of all streams are encoded one behind the other, with notes of where those of each
 * stream lie; at the end they become one push that several streams share, and one for each stream that must travel
 * apart: Loki answers a push with the outcome of its last stream only, so a refusal of another would go unseen.
 */
import { type Batch, DROPPED } from "../agent/batch.ts";
import { Integers } from "./integers.ts";
import type { Encoding, EntryWriter, StreamBody, Written } from "./loki-encoding.ts";
import type { Face, Stream, Streams } from "./loki-streams.ts";
import type { ClosedRequest, OpenRequest, Piece } from "./output.ts";

/** Rows of one stream in a push. Times are seconds since 1970. */
export interface Share {
  readonly stream: Stream;
  readonly rows: number;
  /** Of its entries as encoded: no less than Loki counts towards its rate. */
  readonly bytes: number;
  readonly oldest: number;
  readonly newest: number;
}

/** Of one tenant. Its rows are in the order of `shares`. */
export interface PushRequest extends ClosedRequest {
  readonly tenant: string;
  readonly shares: readonly Share[];
}

/** Entries of one stream that follow each other in the writer, all of them packed or none. */
interface Stretch {
  readonly from: number;
  to: number;
  /** What they are when they are not packed. */
  bytes: number;
  readonly packed: boolean;
}

/** Rows of one stream in an open request. */
interface Group {
  readonly stream: Stream;
  rows: number;
  /** Beginnings and ends of runs of them in the open request. */
  readonly runs: Integers;
  readonly stretches: Stretch[];
  bytes: number;
  oldest: number;
  newest: number;
}

/** Room for the tags and lengths around a stream. */
const STREAM_BYTES = 16;
/** Runs that are kept for the next requests. */
const MAX_FREE_RUNS = 32;

/** What requests leave to the next ones. To make and fill anew a megabyte for each took a third of the encoding's time. */
export interface Spare {
  readonly writers: EntryWriter[];
  readonly runs: Integers[];
}

export class OpenPush implements OpenRequest {
  readonly #streams: Streams;
  readonly #encoding: Encoding;
  readonly #plan: (share: Share, total: number) => boolean;
  readonly #spare: Spare;
  readonly #writer: EntryWriter;
  readonly #groups = new Map<Stream, Group>();
  rows = 0;
  /** Before they are compressed. */
  bytes = 0;

  /**
   * @param plan told once what each stream gets by this push, of so many bytes in all: whether it must travel apart.
   * @param spare what is free: some is taken, and given back at the end.
   */
  constructor(streams: Streams, encoding: Encoding, plan: (share: Share, total: number) => boolean, spare: Spare) {
    this.#streams = streams;
    this.#encoding = encoding;
    this.#plan = plan;
    this.#spare = spare;
    this.#writer = spare.writers.pop() ?? encoding.writer();
    this.#writer.length = 0;
  }

  append(batch: Batch, row: number, maxBytes: number, maxRows: number): number {
    for (let at = row; at < batch.rows; ) {
      if (((batch.flags[at] as number) & DROPPED) !== 0) {
        at++;
        continue;
      }
      if (this.rows >= maxRows) return at;
      const next = this.#appendMany(batch, at, maxBytes, maxRows);
      if (next > at) at = next;
      else if (!this.#appendOne(batch, at++, maxBytes)) return at - 1;
    }
    return batch.rows;
  }

  /** Rows from `row` on, as far as kernels make them. @returns the first row that was not looked at. */
  #appendMany(batch: Batch, row: number, maxBytes: number, maxRows: number): number {
    const faces = this.#streams.faces(batch);
    if (faces === undefined || this.#encoding.entries === undefined) return row;
    const heads = faces.map((face) => (face === undefined ? 0 : this.#headBytes(face.stream))) as [number, number];
    const { row: next, made } = this.#encoding.entries(
      this.#writer,
      batch,
      row,
      [faces[0]?.metadata, faces[1]?.metadata],
      faces[0]?.stream !== faces[1]?.stream,
      this.#streams.rowPairs,
      { room: maxBytes - this.bytes, most: maxRows - this.rows, heads, first: this.rows === 0 },
    );
    const first = this.rows;
    for (const { stream: which, rows, runs, ...entries } of made) {
      const { stream } = (faces[which] ?? faces[1 - which]) as Face;
      const group = this.#groups.get(stream) ?? this.#open(stream);
      for (let i = 0; i < runs.length; i += 2)
        group.runs.addRun(first + (runs[i] as number), first + (runs[i + 1] as number));
      group.rows += rows;
      this.rows += rows;
      this.#note(group, entries);
    }
    return next;
  }

  /** @returns false when the row would bring the push over `maxBytes`. */
  #appendOne(batch: Batch, row: number, maxBytes: number): boolean {
    const writer = this.#writer;
    const { stream, metadata } = this.#streams.face(batch, row);
    const from = writer.length;
    this.#encode(batch, row, metadata);
    const to = writer.length;
    const bytes = to - from;
    if (this.bytes + bytes + this.#headBytes(stream) > maxBytes && this.rows > 0) {
      writer.length = from;
      return false;
    }
    const group = this.#groups.get(stream) ?? this.#open(stream);
    const time = (batch.seconds[row] as number) + (batch.nanos[row] as number) / 1e9;
    group.runs.addRun(this.rows, ++this.rows);
    group.rows++;
    this.#note(group, { from, to, bytes, packed: false, oldest: time, newest: time });
    return true;
  }

  /** All rows as one push, of which only the first tenant's streams are known to arrive: for tests and single rows. */
  close(): PushRequest {
    const push = this.#push([...this.#groups.values()]);
    this.#giveBack();
    return push;
  }

  closeApart(): readonly Piece[] {
    const tenants = Map.groupBy(this.#groups.values(), ({ stream }) => stream.tenant);
    const pieces = [...tenants.values()].flatMap((groups) => {
      const total = groups.reduce((sum, { bytes }) => sum + bytes, 0);
      const alone = groups.filter((group) => this.#plan(shareOf(group), total));
      const shared = groups.filter((group) => !alone.includes(group));
      return [shared, ...alone.map((group) => [group])]
        .filter(({ length }) => length > 0)
        .map((together) => ({ closed: this.#push(together), runs: runsOf(together) }));
    });
    this.#giveBack();
    return pieces;
  }

  #giveBack(): void {
    const { writers, runs } = this.#spare;
    writers.push(this.#writer);
    for (const group of this.#groups.values()) if (runs.length < MAX_FREE_RUNS) runs.push(group.runs);
  }

  #encode(batch: Batch, row: number, metadata: Buffer): void {
    const { rowPairs } = this.#streams;
    let texts = NO_TEXTS;
    for (let i = 0; i < rowPairs.length; i++) {
      const template = rowPairs[i]?.template;
      if (template === undefined) continue;
      if (texts === NO_TEXTS) texts = [];
      texts[i] = Buffer.from(template.render(batch, row).toWellFormed());
    }
    this.#encoding.entry(this.#writer, batch, row, metadata, rowPairs, texts);
  }

  /** What the stream takes besides its rows, unless it is there. */
  #headBytes(stream: Stream): number {
    return this.#groups.has(stream) ? 0 : stream.head.length + STREAM_BYTES;
  }

  #open(stream: Stream): Group {
    const bytes = this.#headBytes(stream);
    const runs = this.#spare.runs.pop() ?? new Integers();
    runs.length = 0;
    const group = { stream, rows: 0, runs, stretches: [], bytes, oldest: Infinity, newest: -Infinity };
    this.#groups.set(stream, group);
    this.bytes += bytes;
    return group;
  }

  /** Entries of the stream are in the writer. */
  #note(group: Group, { from, to, bytes, packed, oldest, newest }: Written): void {
    const last = group.stretches.at(-1);
    if (last?.to === from && last.packed === packed) {
      last.to = to;
      last.bytes += bytes;
    } else group.stretches.push({ from, to, bytes, packed });
    group.bytes += bytes;
    this.bytes += bytes;
    if (oldest < group.oldest) group.oldest = oldest;
    if (newest > group.newest) group.newest = newest;
  }

  #push(groups: readonly Group[]): PushRequest {
    const streams = groups.map(({ stream, stretches }) => ({
      head: stream.head,
      entries: stretches.map(({ from, to, bytes, packed }) => ({
        bytes: this.#writer.view(from, to),
        unpacked: packed ? bytes : undefined,
      })),
    }));
    return closePush(this.#encoding, streams, groups.map(shareOf));
  }
}

const NO_TEXTS: (Buffer | undefined)[] = [];

function runsOf(groups: readonly Group[]): Uint32Array {
  const [first, ...more] = groups;
  if (more.length === 0 && first !== undefined) return first.runs.view();
  const all = new Integers();
  for (const { runs } of groups) all.append(runs.view());
  return all.view();
}

function shareOf({ stream, rows, bytes, oldest, newest }: Group): Share {
  return { stream, rows, bytes, oldest, newest };
}

/** @param streams those of the shares. */
export function closePush(encoding: Encoding, streams: readonly StreamBody[], shares: readonly Share[]): PushRequest {
  return {
    ...encoding.pack(streams),
    rows: shares.reduce((sum, { rows }) => sum + rows, 0),
    tenant: shares[0]?.stream.tenant ?? "",
    sequences: shares.map(({ stream }) => stream.key),
    shares,
  };
}

/** The same push with only these rows (ascending). */
export function pickPush(encoding: Encoding, request: PushRequest, rows: readonly number[]): PushRequest {
  const wanted = new Set(rows);
  const shares: Share[] = [];
  const streams: StreamBody[] = [];
  let row = 0;
  encoding.decode(request.body).forEach(({ head, entries }, i) => {
    const kept = entries.filter(() => wanted.has(row++));
    const times = kept.map(({ seconds, nanos }) => seconds + nanos / 1e9);
    const stream = request.shares[i]?.stream;
    if (kept.length === 0 || stream === undefined) return;
    streams.push({ head, entries: kept.map(({ raw }) => ({ bytes: raw })) });
    const oldest = times.reduce((least, time) => Math.min(least, time));
    const newest = times.reduce((most, time) => Math.max(most, time));
    const bytes = kept.reduce((sum, { raw }) => sum + raw.length, 0);
    shares.push({ stream, rows: kept.length, bytes, oldest, newest });
  });
  return closePush(encoding, streams, shares);
}
