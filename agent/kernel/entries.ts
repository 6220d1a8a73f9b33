/** Entries of Loki's push as the kernel makes them (assembly/entries.ts): what goes in, and what comes out. */

/** What the rows of one origin have in common. */
export interface EntryLayout {
  /** Of stdout and of stderr, in protobuf; undefined: not known yet, so its rows are not for the kernel. */
  readonly metadata: readonly [Buffer | undefined, Buffer | undefined];
  /** Whether stdout and stderr are streams of their own; else their rows stay in one order. */
  readonly apart: boolean;
  /** What stands before the value in the pair of the offset, without tag and length; empty: there is no such pair. */
  readonly offsetHead: Buffer;
}

export interface EntryLimits {
  /** Bytes. The first row of a stream takes its `heads` besides its own. */
  readonly room: number;
  /** Rows. */
  readonly most: number;
  readonly heads: readonly [number, number];
  /** Nothing is there yet, so one row is taken whatever its size. */
  readonly first: boolean;
}

interface Region {
  readonly at: number;
  readonly bytes: number;
}

const COMMON_WORDS = 10;
const NOTHING = Buffer.alloc(0);

/** Views of what was made: of stdout, which is 0, or of both when they are not apart; of stderr, which is 1. */
export class Entries {
  readonly #bytes: Buffer;
  readonly #program: Region;
  readonly #common: Uint32Array;
  readonly #times: Float64Array;
  readonly #words: Uint32Array;
  readonly #runs: readonly [Uint32Array, Uint32Array];
  readonly #starts: readonly [number, number];
  /** Rows of the batch that were looked at. */
  rows = 0;

  /**
   * @param runsBytes room for the runs of one. @param program room for what the rows have in common.
   * @param starts where the bytes of each are written.
   */
  constructor(memory: ArrayBuffer, at: number, runsBytes: number, program: Region, starts: readonly [number, number]) {
    this.#bytes = Buffer.from(memory);
    this.#program = program;
    this.#common = new Uint32Array(memory, program.at, COMMON_WORDS);
    this.#times = new Float64Array(memory, at, 4);
    this.#words = new Uint32Array(memory, at + 32, 8);
    const runs = (from: number): Uint32Array => new Uint32Array(memory, from, runsBytes / 4);
    this.#runs = [runs(at + 64), runs(at + 64 + runsBytes)];
    this.#starts = starts;
  }

  /** Writes what the rows have in common into the kernel's memory. @returns false when it is too large. */
  load({ metadata, apart, offsetHead }: EntryLayout): boolean {
    const words: number[] = [];
    const { at: start, bytes: room } = this.#program;
    let at = start + COMMON_WORDS * 4;
    const place = (bytes: Buffer): boolean => {
      if (at + bytes.length > start + room) return false;
      words.push(at, bytes.length);
      bytes.copy(this.#bytes, at);
      at += bytes.length;
      return true;
    };
    for (const [stream, bytes] of metadata.entries()) {
      if (!place(bytes ?? NOTHING)) return false;
      words.push(apart ? stream : 0, bytes === undefined ? 0 : 1);
    }
    if (!place(offsetHead)) return false;
    this.#common.set(words);
    return true;
  }

  /** How many rows it has. */
  count(stream: 0 | 1): number {
    return this.#words[stream * 4 + 1] as number;
  }

  /** Beginnings and ends of runs of rows among those that were made: 0 is the first of them. */
  runs(stream: 0 | 1): Uint32Array {
    return this.#runs[stream].subarray(0, (this.#words[stream * 4 + 2] as number) * 2);
  }

  bytes(stream: 0 | 1): Buffer {
    return this.#bytes.subarray(...this.place(stream));
  }

  /** Where its bytes begin and end in the kernel's memory. */
  place(stream: 0 | 1): readonly [from: number, to: number] {
    return [this.#starts[stream], this.#words[stream * 4] as number];
  }

  /** Seconds since 1970. */
  oldest(stream: 0 | 1): number {
    return this.#times[stream * 2] as number;
  }

  newest(stream: 0 | 1): number {
    return this.#times[stream * 2 + 1] as number;
  }
}
