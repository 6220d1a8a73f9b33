/**
 * Writers that have grown already, for bodies under construction. To grow one anew for each body took 8 to 24 MB more; to
 * keep a body's pieces apart and join them at the end made as much garbage outside of the heap as the bodies are, which
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
