/**
 * The CRI log format, read as tolerantly as the kubelet reads it (kubelet's parseCRILog).
 *
 *     TIME SP ("stdout" | "stderr") SP TAG *( ":" TAG ) [ SP CONTENT ]
 *     2026-03-01T10:00:00.123456789Z stdout F hello
 *
 * First tag "P": the message goes on. Any other: it ends here; tags were made to grow. The kubelet takes any word for
 * a tag, and so loses the first word of lines without tags; here a tag begins with one capital letter, and other lines
 * are left to be shipped whole. The blank after the tags may be missing where nothing follows.
 */
import { STDERR } from "../batch.ts";
import {
  COLON,
  LOWER_D,
  LOWER_E,
  LOWER_O,
  LOWER_R,
  LOWER_S,
  LOWER_T,
  LOWER_U,
  SPACE,
  UPPER_A,
  UPPER_F,
  UPPER_P,
  UPPER_Z,
} from "./ascii.ts";
import type { Line } from "./line.ts";
import type { TimeParser } from "./time.ts";

/** " stdout" */
const STREAM_LENGTH = 7;

/** Parses bytes[from, to), a line without its LF. @returns false, and `line.error`, when it is no CRI line. */
export function parseCri(bytes: Uint8Array, from: number, to: number, time: TimeParser, line: Line): boolean {
  const at = time.parse(bytes, from, to);
  if (at < 0 || (at < to && bytes[at] !== SPACE)) return refuse(line, "not a CRI line: no timestamp");
  const tag = at + STREAM_LENGTH + 1;
  if (tag > to) return refuse(line, "not a CRI line: no stream after the timestamp");
  const stderr = bytes[at + 4] === LOWER_E;
  if (!isStream(bytes, at + 1, stderr)) return refuse(line, "not a CRI line: no stream after the timestamp");
  line.flags = stderr ? STDERR : 0;
  line.escaped = false;
  line.to = to;
  const letter = bytes[tag];
  if (tag + 1 < to && bytes[tag + 1] === SPACE && (letter === UPPER_F || letter === UPPER_P)) {
    line.partial = letter === UPPER_P;
    line.from = tag + 2;
    return true;
  }
  return parseTagsSlow(bytes, tag, to, line);
}

/** Whether bytes[at…] is "stdout " or "stderr ". */
function isStream(bytes: Uint8Array, at: number, stderr: boolean): boolean {
  return (
    bytes[at] === LOWER_S &&
    bytes[at + 1] === LOWER_T &&
    bytes[at + 2] === LOWER_D &&
    (stderr
      ? bytes[at + 4] === LOWER_R && bytes[at + 5] === LOWER_R
      : bytes[at + 3] === LOWER_O && bytes[at + 4] === LOWER_U && bytes[at + 5] === LOWER_T) &&
    bytes[at + 6] === SPACE
  );
}

/** Unknown tags, several tags, and tags with nothing after them. */
function parseTagsSlow(bytes: Uint8Array, tag: number, to: number, line: Line): boolean {
  let end = tag;
  while (end < to && bytes[end] !== SPACE) end++;
  const letter = end > tag ? bytes[tag]! : 0;
  const ends = end === tag + 1 || bytes[tag + 1] === COLON;
  if (letter < UPPER_A || letter > UPPER_Z || !ends) return refuse(line, "not a CRI line: no tag after the stream");
  line.partial = letter === UPPER_P;
  line.from = Math.min(end + 1, to);
  return true;
}

function refuse(line: Line, error: string): false {
  line.error = error;
  return false;
}
