/**
 * Pace: how far one container may be read that must not run ahead of others, see convoy.ts. It looks at the times of the
 * lines that were read from the file before they become rows, and says where to stop.
 */
import type { Convoys } from "./convoy.ts";
import type { Cursor } from "./cursor.ts";
import type { SavedPosition } from "./tail/checkpoints.ts";

const NEWLINE = 0x0a;

export class Pace {
  readonly cursor: Cursor;
  readonly #convoys: Convoys<Pace>;
  readonly #durable: () => SavedPosition | "unknown" | undefined;
  /** Of the first line that was seen. */
  #firstSeconds = Number.NaN;
  /** Time of the oldest line that is not read, or a lower bound, in seconds since 1970; NaN: not known. */
  nextSeconds = Number.NaN;

  /** @param durable where reading would go on after a crash: what is beyond would be sent again. */
  constructor(cursor: Cursor, convoys: Convoys<Pace>, durable: () => SavedPosition | "unknown" | undefined) {
    this.cursor = cursor;
    this.#convoys = convoys;
    this.#durable = durable;
  }

  /** There are bytes that it has yet to read. */
  get unread(): boolean {
    return this.cursor.unread;
  }

  /** After a crash, lines from this time on would be sent again; Infinity: none. A lower bound. */
  get repeatSeconds(): number {
    const durable = this.#durable();
    const { position } = this.cursor;
    if (durable === "unknown" || position === undefined || Number.isNaN(this.#firstSeconds))
      return Number.POSITIVE_INFINITY;
    if (durable === undefined) return this.#firstSeconds;
    const { file, offset } = position;
    if (durable.fingerprint === file.fingerprint && durable.restart === file.log.restart && durable.offset === offset)
      return Number.POSITIVE_INFINITY;
    return Math.max(durable.time[0], this.#firstSeconds);
  }

  /**
   * Where in bytes[0, length), whole lines, those end that may be read now; 0: none of them. In a file they are in order
   * of time, so that the last one mostly tells it.
   */
  endOf(bytes: Buffer, length: number): number {
    const first = this.#search(bytes, 0, length, Number.NEGATIVE_INFINITY);
    if (first === length) return length;
    if (Number.isNaN(this.#firstSeconds)) this.#firstSeconds = this.nextSeconds;
    const limit = this.#convoys.until(this);
    if (limit === Number.POSITIVE_INFINITY) return length;
    const end = bytes[length - 1] === NEWLINE ? length - 1 : length;
    const last = this.cursor.scanner.secondsOf(bytes, end === 0 ? 0 : bytes.lastIndexOf(NEWLINE, end - 1) + 1, end);
    if (last <= limit) {
      this.nextSeconds = last;
      return length;
    }
    const stop = this.#search(bytes, first, length, limit);
    return stop === first ? 0 : stop;
  }

  /** The first line that is newer than `limit`; its time is `nextSeconds` afterwards. @returns `to` when there is none. */
  #search(bytes: Buffer, from: number, to: number, limit: number): number {
    for (let at = from; at < to; ) {
      const next = bytes.indexOf(NEWLINE, at);
      const end = next < 0 || next >= to ? to : next;
      const seconds = this.cursor.scanner.secondsOf(bytes, at, end);
      if (!Number.isNaN(seconds)) {
        this.nextSeconds = seconds;
        if (seconds > limit) return at;
      }
      at = end + 1;
    }
    return to;
  }
}
