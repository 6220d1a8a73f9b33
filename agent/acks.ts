/**
 * Acks: the way back of an acknowledgement. One queue per container log and output; its head says how far the
 * checkpoint may go.
 *
 * Every read makes a Span. A span is settled when all its rows were delivered or dropped; the commit position moves over
 * the settled head of the queue and only over it, so it never passes an unsettled byte and never moves back. A span that
 * left an unfinished message behind carries that message's first byte as its position, so a restart reads it whole.
 */
import type { LogFile } from "./tail/file.ts";

/** The time of a line: seconds since 1970, nanoseconds, and how many fractional digits the log gave. */
export type LineTime = readonly [seconds: number, nanos: number, digits: number];

/** A byte in a container's chain: all before it is settled. */
export interface Position {
  readonly file: LogFile;
  readonly offset: number;
  /** Of the last good line before it: lines without a time get this one, on every reading the same. */
  readonly time: LineTime;
  /**
   * The bytes before it, as they were read, in latin1; where they are not known, what the file holds there counts. Only a
   * checkpoint hashes them: to do so for every read took half a percent of what a push to Loki costs.
   */
  readonly before?: string | undefined;
  /** Of this stream more is settled: its lines before that place, too. */
  readonly ahead?: Ahead;
}

/** How far one stream is settled that is ahead of the other, whose unfinished message holds the checkpoint back. */
export interface Ahead {
  readonly stderr: boolean;
  readonly file: LogFile;
  readonly offset: number;
}

/** Who learns that rows are settled. */
export interface Receipt {
  /** `rows` rows that stand for `bytes` raw bytes were accepted by the backend. */
  shipped(rows: number, bytes: number): void;
  /** … were refused for good, or dropped by a rule; counted by reason. */
  dropped(rows: number, bytes: number, reason: string): void;
}

/** Bytes of one container and output. At any moment read = shipped + pending + all dropped. */
export class Ledger {
  read = 0;
  shipped = 0;
  readonly dropped = new Map<string, number>();
  /** Deleted or skipped before it could be read; not part of `read`. */
  readonly lost = new Map<string, number>();

  get droppedTotal(): number {
    return total(this.dropped);
  }
  get lostTotal(): number {
    return total(this.lost);
  }
  get pending(): number {
    return this.read - this.shipped - this.droppedTotal;
  }
}

function total(byReason: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const bytes of byReason.values()) sum += bytes;
  return sum;
}

class Span implements Receipt {
  readonly #acks: Acks;
  readonly position: Position;
  /** Rows not yet settled, and one more until the span is sealed. */
  open = 1;

  constructor(acks: Acks, position: Position) {
    this.#acks = acks;
    this.position = position;
  }

  shipped(rows: number, bytes: number): void {
    this.#acks.ledger.shipped += bytes;
    this.#settle(rows, bytes);
  }

  dropped(rows: number, bytes: number, reason: string): void {
    const { dropped } = this.#acks.ledger;
    dropped.set(reason, (dropped.get(reason) ?? 0) + bytes);
    this.#settle(rows, bytes);
  }

  /** No more rows will be added to it. */
  seal(): void {
    this.#settle(1, 0);
  }

  #settle(rows: number, bytes: number): void {
    this.open -= rows;
    if (this.open < 0) throw new Error("a row was settled twice");
    this.#acks.settled(bytes);
  }
}

export class Acks {
  readonly ledger = new Ledger();
  readonly #spans: Span[] = [];
  #committed: Position | undefined;
  readonly #onSettled: (bytes: number) => void;
  readonly #onCommit: (position: Position) => void;

  /**
   * @param committed where reading begins; undefined when not even the first file is known.
   * @param onSettled raw bytes to give back to the budget.
   */
  constructor(
    committed: Position | undefined,
    onSettled: (bytes: number) => void,
    onCommit: (position: Position) => void,
  ) {
    this.#committed = committed;
    this.#onSettled = onSettled;
    this.#onCommit = onCommit;
  }

  get committed(): Position | undefined {
    return this.#committed;
  }

  /** Whether every span is settled. */
  get idle(): boolean {
    return this.#spans.length === 0;
  }

  /** A new span of `rows` rows at the queue's end; seal it once all its rows are handed on. */
  open(position: Position, rows: number): Span {
    const span = new Span(this, position);
    span.open += rows;
    this.#spans.push(span);
    return span;
  }

  /** Called by spans. */
  settled(bytes: number): void {
    if (bytes > 0) this.#onSettled(bytes);
    let moved = false;
    while (this.#spans[0]?.open === 0) {
      this.#committed = this.#spans.shift()?.position;
      moved = true;
    }
    if (moved && this.#committed !== undefined) this.#onCommit(this.#committed);
  }
}
