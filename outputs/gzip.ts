/** Compression of whole bodies; those that grow row by row are in body.ts. */
import { gunzipSync } from "node:zlib";
import { openBody } from "./body.ts";

export type Compression = "none" | "gzip";

/** @returns a buffer of its own. */
export function compress(body: Buffer, compression: Compression): Buffer {
  const open = openBody(compression);
  open.write(body);
  return open.close();
}

export function decompress(body: Buffer, compression: Compression): Buffer {
  return compression === "gzip" ? gunzipSync(body) : body;
}
