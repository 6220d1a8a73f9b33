/** Place: where a line stands in a container's log. */
import type { Generation } from "./batch.ts";

export interface Place {
  readonly generation: Generation;
  /** Of the line's first byte, in the uncompressed file. */
  readonly offset: number;
  /** The line's stream. */
  readonly stderr: boolean;
}
