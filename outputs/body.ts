/**
 * Body: a request's bytes under construction. With kernels, rows are encoded and compressed as they come, so that an open
 * request holds little more than what goes over the wire; without, it takes bytes and compresses them at the end.
 */
import { gzipSync } from "node:zlib";
import type { Batch } from "../agent/batch.ts";
import { giveKernel, type Kernel, takeKernel } from "../agent/kernel/kernel.ts";
import type { RowLayout } from "../agent/kernel/row.ts";
import type { Compression } from "./gzip.ts";
import { giveWriter, takeBody, takeWriter } from "./spare.ts";

/** RFC 1952: deflate, no flags, no time, no hints, system unknown. */
const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);

export interface Body {
  /** Bytes so far, before compression. */
  readonly bytes: number;
  /**
   * Adds rows [row, rows) as far as kernels can make them and they fit into `maxBytes`; the very first always fits.
   * @returns the first row that was not added: the caller makes it by other means, and judges its length.
   */
  encode(batch: Batch, row: number, rows: number, layout: RowLayout, maxBytes: number): number;
  /** Adds bytes as they are. */
  write(bytes: Buffer): void;
  /** Ends the body. It must not be used afterwards. @returns what goes over the wire, owned by the caller. */
  close(): Buffer;
}

export function openBody(compression: Compression): Body {
  const kernel = takeKernel();
  return kernel === undefined ? new PlainBody(compression) : new KernelBody(kernel, compression);
}

class KernelBody implements Body {
  readonly #kernel: Kernel;
  readonly #compression: Compression;
  readonly #writer = takeWriter();
  #crc = 0;
  /** Of the pieces that are done. */
  #done = 0;

  constructor(kernel: Kernel, compression: Compression) {
    this.#kernel = kernel;
    this.#compression = compression;
    kernel.begin();
    if (compression === "gzip") this.#writer.buffer(GZIP_HEADER);
  }

  get bytes(): number {
    return this.#done + this.#kernel.length;
  }

  encode(batch: Batch, row: number, rows: number, layout: RowLayout, maxBytes: number): number {
    const kernel = this.#kernel;
    for (let at = row; ; ) {
      const result = kernel.encode(batch, at, rows, layout, maxBytes - this.#done, this.bytes === 0);
      at = result.row;
      if (result.stopped !== "room" || kernel.length === 0) return at;
      this.#flush(false);
    }
  }

  write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      at = this.#kernel.write(bytes, at, bytes.length);
      if (at < bytes.length) this.#flush(false);
    }
  }

  close(): Buffer {
    this.#flush(true);
    if (this.#compression === "gzip") {
      const trailer = Buffer.allocUnsafe(8);
      trailer.writeUInt32LE(this.#crc, 0);
      trailer.writeUInt32LE(this.#done >>> 0, 4);
      this.#writer.buffer(trailer);
    }
    giveKernel(this.#kernel);
    const body = takeBody([this.#writer.view()]);
    giveWriter(this.#writer);
    return body;
  }

  #flush(final: boolean): void {
    const kernel = this.#kernel;
    this.#done += kernel.length;
    if (this.#compression === "gzip") {
      this.#crc = kernel.crc(this.#crc);
      this.#writer.buffer(kernel.deflate(final));
    } else {
      this.#writer.buffer(kernel.piece());
      kernel.length = 0;
    }
  }
}

/** Level 1: more costs up to twice the CPU for 5-20 %. */
class PlainBody implements Body {
  readonly #writer = takeWriter();
  readonly #compression: Compression;

  constructor(compression: Compression) {
    this.#compression = compression;
  }

  get bytes(): number {
    return this.#writer.length;
  }

  encode(_batch: Batch, row: number): number {
    return row;
  }

  write(bytes: Buffer): void {
    this.#writer.buffer(bytes);
  }

  close(): Buffer {
    const writer = this.#writer;
    const plain = writer.view();
    const body = this.#compression === "gzip" ? gzipSync(plain, { level: 1 }) : takeBody([plain]);
    giveWriter(writer);
    return body;
  }
}
