/**
 * GunzipReader: reads a compressed generation at offsets of the uncompressed file, forward, with bounded memory. Going
 * back means starting anew. A file that ends too early or is damaged ends where its good bytes end.
 */
import { createGunzip, type Gunzip } from "node:zlib";

const INPUT_BYTES = 64 * 1024;

export class GunzipReader {
  readonly #read: (into: Buffer, offset: number) => number;
  #gunzip: Gunzip | undefined;
  #input = 0;
  #position = 0;
  #rest: Buffer = Buffer.alloc(0);
  /** Why decoding ended early; "" when it did not. */
  damage = "";
  #ended = false;

  /** @param read fills a Buffer with compressed bytes from an offset on; returns how many, 0 at the file's end. */
  constructor(read: (into: Buffer, offset: number) => number) {
    this.#read = read;
  }

  /** Fills `into` from `at` with up to `length` bytes of the content at `offset`. @returns bytes read; 0 at the end. */
  async read(into: Buffer, at: number, length: number, offset: number): Promise<number> {
    if (offset < this.#position || this.#gunzip === undefined) this.#restart();
    let filled = 0;
    while (filled < length) {
      if (this.#rest.length === 0) {
        const next = await this.#next();
        if (next === undefined) break;
        this.#rest = next;
      }
      const skip = Math.min(Math.max(0, offset - this.#position), this.#rest.length);
      const take = Math.min(this.#rest.length - skip, length - filled);
      this.#rest.copy(into, at + filled, skip, skip + take);
      this.#rest = this.#rest.subarray(skip + take);
      this.#position += skip + take;
      filled += take;
    }
    return filled;
  }

  close(): void {
    this.#gunzip?.destroy();
    this.#gunzip = undefined;
  }

  #restart(): void {
    this.close();
    this.#gunzip = createGunzip({ chunkSize: INPUT_BYTES });
    this.#gunzip.on("error", (error) => {
      this.damage = error.message;
      this.#ended = true;
    });
    this.#gunzip.on("end", () => {
      this.#ended = true;
    });
    this.#input = 0;
    this.#position = 0;
    this.#rest = Buffer.alloc(0);
    this.#ended = false;
  }

  async #next(): Promise<Buffer | undefined> {
    const gunzip = this.#gunzip;
    if (gunzip === undefined) return undefined;
    for (;;) {
      const chunk = gunzip.read() as Buffer | null;
      if (chunk !== null) return chunk;
      if (this.#ended) return undefined;
      if (gunzip.writableNeedDrain || gunzip.writableEnded) {
        await settled(gunzip);
        continue;
      }
      const input = Buffer.allocUnsafe(INPUT_BYTES);
      const bytesRead = this.#read(input, this.#input);
      this.#input += bytesRead;
      if (bytesRead === 0) gunzip.end();
      else gunzip.write(input.subarray(0, bytesRead));
    }
  }
}

/** Waits until the stream has something to say: data, its end, an error, or room for more. */
function settled(gunzip: Gunzip): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of EVENTS) gunzip.off(event, done);
      resolve();
    };
    for (const event of EVENTS) gunzip.on(event, done);
  });
}
const EVENTS = ["readable", "end", "error", "drain", "close"] as const;
