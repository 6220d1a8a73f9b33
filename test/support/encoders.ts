/** Pushes held to their twin, and compressors to the decoders of others, on one input: for fuzzing. They throw where it fails. */
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { uncompress } from "snappyjs";
import { STDERR } from "../../agent/batch.ts";
import { openBody } from "../../outputs/body.ts";
import { compressSnappy } from "../../outputs/snappy.ts";
import { withKernels } from "./kernels.ts";
import { lokiOutput } from "./loki-output.ts";
import { rowsOf } from "./rows.ts";

/** @param text bytes as latin1. They are cut in places that differ from text to text. */
export function checkCompressors(text: string): void {
  const payload = Buffer.from(text, "latin1");
  const pieces: Buffer[] = [];
  for (let at = 0, size = 1 + (payload.length % 9973); at < payload.length; at += size, size = (size * 7) % 99_991)
    pieces.push(payload.subarray(at, at + size));
  const body = openBody("gzip");
  for (const piece of pieces) body.write(piece);
  assert.ok(gunzipSync(body.close()).equals(payload), "gzip");
  assert.ok(Buffer.from(uncompress(compressSnappy(pieces.map((bytes) => ({ bytes }))))).equals(payload), "snappy");
}

/** So much of one stream is packed as it comes. */
const MUCH_BYTES = 20_000;

/** Pushes to Loki are those of the twin, with the messages once and so often that their entries are packed as they come. */
export function checkPushes(messages: readonly string[]): void {
  checkPush(messages);
  const bytes = messages.reduce((sum, message) => sum + 40 + message.length, 40);
  checkPush(
    Array(Math.ceil(MUCH_BYTES / bytes))
      .fill(messages)
      .flat(),
  );
}

function checkPush(messages: readonly string[]): void {
  const rows = rowsOf(messages);
  for (let row = 0; row < rows.rows; row++) rows.flags[row] = (messages[row]?.length ?? 0) & STDERR;
  const push = (): string => {
    const request = lokiOutput("http://127.0.0.1:1").open();
    request.append(rows, 0, 1e9, 1e9);
    return Buffer.from(uncompress(request.close().body)).toString("latin1");
  };
  assert.equal(push(), withKernels(false, push));
}
