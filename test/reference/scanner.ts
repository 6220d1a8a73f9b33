/**
 * The slow twin of agent/parse/scanner.ts: all lines of a container at once, with strings whose characters are bytes,
 * and regular expressions. It says what the formats mean; the fast one must give the same rows.
 */
import { parseDockerLine } from "./docker.ts";
import { parseTime, type Time } from "./time.ts";

export interface ReferenceOptions {
  format: "auto" | "cri" | "docker";
  maxRecordBytes: number;
}

/** One file of the container's log. */
export interface ReferenceFile {
  key: string;
  bytes: Buffer;
}

export interface ReferenceRow extends Time {
  message: string;
  generation: string;
  offset: number;
  size: number;
  stream: "stdout" | "stderr";
  unparsed: boolean;
  /** Of the whole message, where it was cut. */
  originalBytes: number | undefined;
}

type Place = Pick<ReferenceRow, "generation" | "offset">;
type Pending = Place & { stream: "stdout" | "stderr"; time: Time; text: string; size: number };

export interface ReferenceResult {
  rows: ReferenceRow[];
  /** Messages without an end, in the order of their first parts. */
  pending: Pending[];
  /** The last place at which none was open, when one is. */
  mark: Place | undefined;
}

/** Reads files, oldest first, each to its end. */
export function scanFiles(files: readonly ReferenceFile[], options: ReferenceOptions): ReferenceResult {
  const rows: ReferenceRow[] = [];
  let pending: Pending[] = [];
  let mark: Place | undefined;
  let last: Time = { seconds: 0, nanos: 0, digits: 0 };
  for (const file of files) {
    let offset = 0;
    for (const physical of file.bytes.toString("latin1").match(/[^\n]*\n|[^\n]+$/g) ?? []) {
      const place = { generation: file.key, offset };
      const size = physical.length;
      offset += size;
      const text = physical.replace(/\n$/, "").replace(/^\0+/, "");
      const line = parseLine(text, options.format);
      if (line === undefined) {
        rows.push(makeRow({ ...place, stream: "stdout", time: last, text, size }, true, options));
        continue;
      }
      last = line.time;
      let message = pending.find((open) => open.stream === line.stream);
      if (pending.length === 0) mark = place;
      if (message === undefined) {
        message = { ...place, stream: line.stream, time: line.time, text: "", size: 0 };
        pending.push(message);
      }
      message.text += line.text;
      message.size += size;
      if (line.partial) continue;
      pending = pending.filter((open) => open !== message);
      rows.push(makeRow(message, false, options));
    }
  }
  return { rows, pending, mark: pending.length > 0 ? mark : undefined };
}

/** The row of a message that is complete, or that is given up waiting for. */
export function makeRow(message: Pending, unparsed: boolean, options: ReferenceOptions): ReferenceRow {
  const { generation, offset, stream, size, time } = message;
  const whole = message.text.replace(/\r$/, "");
  const truncated = whole.length > options.maxRecordBytes;
  const text = truncated ? cut(whole, options.maxRecordBytes) : whole;
  const originalBytes = truncated ? whole.length : undefined;
  const decoded = Buffer.from(text, "latin1").toString("utf8");
  return { message: decoded, generation, offset, size, stream, unparsed, originalBytes, ...time };
}

/** Cuts before a character that would not be whole. */
function cut(text: string, length: number): string {
  const cutCharacter = /(?:[\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{2})$/;
  return text.slice(0, length).replace(cutCharacter, "");
}

interface ParsedLine {
  stream: "stdout" | "stderr";
  time: Time;
  text: string;
  partial: boolean;
}

function parseLine(text: string, format: ReferenceOptions["format"]): ParsedLine | undefined {
  const docker = format === "docker" || (format === "auto" && text.startsWith("{"));
  return docker ? parseDocker(text) : parseCri(text);
}

function parseDocker(text: string): ParsedLine | undefined {
  const line = parseDockerLine(text);
  if (line === undefined) return undefined;
  const { stream, time, log } = line;
  return { stream, time, text: log.replace(/\n$/, ""), partial: !log.endsWith("\n") };
}

function parseCri(text: string): ParsedLine | undefined {
  const match = /^([^ ]+) (stdout|stderr) ([A-Z])(?::[^ ]*)?(?: ([\s\S]*))?$/.exec(text);
  const time = parseTime(match?.[1] ?? "");
  if (match === null || time === undefined) return undefined;
  return { stream: match[2] as "stdout" | "stderr", time, text: match[4] ?? "", partial: match[3] === "P" };
}
