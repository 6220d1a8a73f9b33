/**
 * What a processor is: it looks at a batch's rows and flags or rewrites them. Synchronous, without I/O, and without an
 * object per row that it leaves alone.
 *
 * Rules for all of them:
 * - Rows flagged DROPPED are left alone, in their place. `Rows.drop` drops, and counts by processor.
 * - A new message goes behind `Rows.used` (after `Rows.reserve`, which may replace `Rows.bytes`); `from` and `to` then
 *   point there. Messages stay valid UTF-8. Offset, time and size of a row are not a processor's to change, but that
 *   a joined row has those of its first one, and the sum of all sizes.
 * - Fields are JSON text; see fields.ts. Parsers add members with `Fields.add` and `assign` them to the row.
 * - SUMMARY rows are the agent's own words, and pass untouched.
 */
import { type Batch, DROPPED, type Rows, SUMMARY } from "../batch.ts";
import type { Place } from "../place.ts";
import type { Origin } from "../pods/origin.ts";

/** Flags of rows that no processor looks at. */
export const OUT = DROPPED | SUMMARY;

export interface Processor {
  /** Its key in the configuration (`drop`, `multiline`), by which drops are counted. */
  readonly name: string;
  /** @param now monotonic milliseconds. */
  process(rows: Rows, now: number): void;
  /** Only of those that hold rows back across batches. */
  readonly holder?: Holder;
  /** Since construction, by a name with few values: `unmatched` for messages that were none of the format. */
  readonly counts?: Readonly<Record<string, number>>;
}

/**
 * Of a processor that takes rows out of a batch and gives them back, joined, in a later one (multiline). What it holds
 * takes part in the checkpoint and in the byte budget like the scanner's unfinished messages, so:
 * - A held row leaves the batch (`Rows.move`, `Rows.rows`), and its `size` counts in `pendingBytes` until it is in the
 *   `size` of a row given back. Row's bytes are copied; nothing of a batch outlives the call.
 * - Each row given back stands before all later rows of its stream. Its `RowExtra.generation` is set where its first
 *   line stands in another generation than `rows.generation`, as in PartialMessage.close.
 * - Rows flagged UNPARSED, SUMMARY or DROPPED, or with fields, are never held. The first two do not end a group;
 *   a row with fields does.
 * - It decides by the rows' own times where it can, so that a repeat is joined alike: a pause between two lines that is
 *   longer than `timeout` ends a group, and `release` ends one that has waited so long for its next line.
 */
export interface Holder {
  /** Raw bytes of the file that stand for what is held. */
  readonly pendingBytes: number;
  /** Memory that is held: bounded, whatever `pendingBytes` is. */
  readonly heldBytes: number;
  /**
   * First bytes of what is held, of each stream: a checkpoint must not pass any. Which is the oldest is not the holder's to
   * say, since a split message comes to it only when it is whole, after rows that began later.
   */
  places(): readonly Place[];
  /** Appends the rows of groups whose time is over. @param now monotonic milliseconds; Infinity: all, the log has ended. */
  release(rows: Rows, now: number): void;
  /** Monotonic milliseconds when `release` has something to do; Infinity while nothing is held. */
  readonly dueAt: number;
}

/** One item of a configuration's `processors`, checked and compiled. One per output and item. */
export interface Step {
  readonly name: string;
  /** A processor for one container's log; the same for all where it keeps no state of rows. */
  create(): Processor;
}

/** Which rows a processor looks at. */
export interface Match {
  /** For all rows of an origin: true, false, or undefined where it depends on the row. */
  ofOrigin(origin: Origin): boolean | undefined;
  /** Of one row, where `ofOrigin` said undefined. undefined where a pattern can't tell in the time that it has. */
  ofRow(batch: Batch, row: number): boolean | undefined;
}
