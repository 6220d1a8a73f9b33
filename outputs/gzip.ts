/** Compression of bodies: one place, so that a faster one can take it. Level 1: more costs up to twice the CPU for 5-20 %. */
import { gunzipSync, gzipSync } from "node:zlib";

export type Compression = "none" | "gzip";

/** @returns a buffer of its own. */
export function compress(body: Buffer, compression: Compression): Buffer {
  return compression === "gzip" ? gzipSync(body, { level: 1 }) : Buffer.from(body);
}

export function decompress(body: Buffer, compression: Compression): Buffer {
  return compression === "gzip" ? gunzipSync(body) : body;
}
