/**
 * Writers that have grown already, for bodies under construction, and room for bodies that are on their way and for
 * answers. To grow a writer anew for each body took 8 to 24 MB more; to keep a body's pieces apart and join them at the end made as much garbage outside of the heap as the bodies are, which
 * is what calls the collector.
 */
import { ByteWriter } from "./json.ts";

const KEPT = 4;
const spare: ByteWriter[] = [];

/** An empty one. */
export function takeWriter(): ByteWriter {
  return spare.pop() ?? new ByteWriter();
}

/** It must not be used afterwards, nor views of it. */
export function giveWriter(writer: ByteWriter): void {
  writer.length = 0;
  if (spare.length < KEPT) spare.push(writer);
}

const ROOM_BYTES = 64 * 1024;

/** Room outside of the heap that is used again and again. */
class Rooms {
  readonly #most: number;
  readonly #mostBytes: number;
  readonly #own = new WeakSet<ArrayBufferLike>();
  readonly #free: ArrayBufferLike[] = [];

  /** @param most of them are kept, of at most `mostBytes` each. */
  constructor(most: number, mostBytes: number) {
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  /** For the caller alone until it is given back, or forgotten. What is in it is left from another. */
  take(length: number): Buffer {
    const at = this.#free.findIndex(({ byteLength }) => byteLength >= length);
    const [room = this.#make(length)] = at < 0 ? [] : this.#free.splice(at, 1);
    return Buffer.from(room, 0, length);
  }

  /** Nobody reads it any more. What is no room of these is left alone. */
  give({ buffer }: Buffer): void {
    if (!this.#own.has(buffer) || buffer.byteLength > this.#mostBytes || this.#free.includes(buffer)) return;
    // The oldest makes way, so that what is too small for what comes now does not stay.
    if (this.#free.length === this.#most) this.#free.shift();
    this.#free.push(buffer);
  }

  #make(length: number): ArrayBufferLike {
    const { buffer } = Buffer.allocUnsafeSlow(Math.ceil(length / ROOM_BYTES) * ROOM_BYTES);
    this.#own.add(buffer);
    return buffer;
  }
}

/** As many bodies wait and are on their way in most outputs. */
const bodies = new Rooms(8, Number.POSITIVE_INFINITY);

/** Answers that are not short: 400 KB for a bulk of 16,000 records. To make them anew had the heap looked at 20 times a GB. */
export const answers = new Rooms(4, 1024 * 1024);

/**
 * A copy of the bytes, one piece after the other, in room that an earlier body had. To make it anew each time, 1,300 times
 * for a GB of log, had the collector look at the whole heap 23 times, for a tenth of all CPU time.
 */
export function takeBody(pieces: readonly Buffer[]): Buffer {
  const body = bodies.take(pieces.reduce((sum, { length }) => sum + length, 0));
  let to = 0;
  for (const piece of pieces) to += piece.copy(body, to);
  return body;
}

/** Nobody reads it any more, the socket included: a server has taken all of it. Bodies of other makes are left alone. */
export function giveBody(body: Buffer): void {
  bodies.give(body);
}
