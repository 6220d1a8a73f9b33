/**
 * GunzipReader: reads a compressed generation at offsets of the uncompressed file, forward, with bounded memory. Going
 * back means starting anew. A file that ends too early or is damaged ends where its good bytes end.
 */
import { createGunzip, type Gunzip } from "node:zlib";

const INPUT_BYTES = 64 * 1024;
/** zlib gives nothing of a piece in which it finds an error: such a piece is given again in smaller ones. */
const SMALLER_BYTES = [1024, 1] as const;

export class GunzipReader {
  readonly #read: (into: Buffer, offset: number) => number;
  #gunzip: Gunzip | undefined;
  #input = 0;
  /** Where the pieces begin in which an error was found, each within the one before. */
  readonly #faults: number[] = [];
  #position = 0;
  #rest: Buffer = Buffer.alloc(0);
  /** A piece, the one that begins here, is being unpacked; -1: none, Infinity: all were given. */
  #piece = -1;
  #ended = false;
  /** Unpacking is to begin anew, in smaller pieces. */
  #again = false;
  /** Why decoding ended early; "" when it did not. */
  damage = "";

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
      const skip = Math.min(Math.max(0, offset + filled - this.#position), this.#rest.length);
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
    const gunzip = createGunzip({ chunkSize: INPUT_BYTES });
    this.#gunzip = gunzip;
    gunzip.on("error", (error) => {
      if (gunzip !== this.#gunzip) return;
      this.#again = this.#faults.length < SMALLER_BYTES.length && Number.isFinite(this.#piece);
      if (this.#again) this.#faults.push(this.#piece);
      else this.damage = error.message;
      this.#ended = true;
    });
    gunzip.on("end", () => {
      this.#ended = true;
    });
    this.#input = 0;
    this.#position = 0;
    this.#rest = Buffer.alloc(0);
    this.#piece = -1;
    this.#ended = false;
    this.#again = false;
  }

  async #next(): Promise<Buffer | undefined> {
    for (;;) {
      const gunzip = this.#gunzip;
      const chunk = gunzip?.read() as Buffer | null | undefined;
      if (gunzip === undefined) return undefined;
      if (chunk) return chunk;
      if (this.#again) this.#restart();
      else if (this.#ended) return undefined;
      else if (this.#piece >= 0) await settled(gunzip);
      else this.#feed(gunzip);
    }
  }

  #feed(gunzip: Gunzip): void {
    const input = Buffer.allocUnsafe(this.#pieceBytes());
    const bytesRead = this.#read(input, this.#input);
    this.#piece = bytesRead === 0 ? Number.POSITIVE_INFINITY : this.#input;
    this.#input += bytesRead;
    if (bytesRead === 0) gunzip.end();
    else
      gunzip.write(input.subarray(0, bytesRead), (error) => {
        if (error || gunzip !== this.#gunzip) return;
        this.#piece = -1;
        gunzip.emit("drain");
      });
  }

  #pieceBytes(): number {
    const fault = this.#faults.at(-1);
    if (fault === undefined) return INPUT_BYTES;
    const smaller = SMALLER_BYTES[this.#faults.length - 1] ?? 1;
    return this.#input < fault ? Math.min(INPUT_BYTES, fault - this.#input) : smaller;
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
