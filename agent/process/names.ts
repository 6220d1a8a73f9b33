/**
 * What becomes of parsers' names: which of them a record may have at its top, and how a parser's own get into a batch.
 */
import type { Batch, Rows } from "../batch.ts";
import type { Fields } from "../fields.ts";
import { BACKSLASH, DOT, SPACE } from "../parse/ascii.ts";

/**
 * Names that a record has of its own, by any output's schema, and `fields` for what collides with them. An app's member
 * of such a name, or of one that Elasticsearch takes as a path below it (`kubernetes.pod.name`), would forge a record.
 */
const OWN = ["@timestamp", "message", "stream", "log", "error", "container", "kubernetes", "orchestrator", "fields"];
/** What Elasticsearch refuses at the top of a document, and the whole document with it. */
const METADATA = [
  ...["_id", "_index", "_type", "_source", "_size", "_doc_count", "_field_names", "_ignored", "_ignored_source"],
  ...["_routing", "_meta", "_tier", "_seq_no", "_version", "_nested_path", "_feature", "_tsid", "_ts_routing_hash"],
];
const RESERVED = new Set([...OWN, "truncated", ...METADATA]);

/** By first byte, names that can't stand at the top. */
const RESERVED_AT: (readonly Buffer[] | undefined)[] = new Array(256).fill(undefined);
for (const name of RESERVED) {
  const first = name.charCodeAt(0);
  RESERVED_AT[first] = [...(RESERVED_AT[first] ?? []), Buffer.from(name)];
}

/** Whether a member of this name can't stand at the top of a record. The name is the inside of a JSON string. */
export function collides(bytes: Buffer, from: number, to: number): boolean {
  if (from === to) return true;
  // A name of nothing but blanks is refused too.
  let suspect = bytes[from]! <= SPACE || bytes[to - 1] === DOT;
  // Elasticsearch refuses names with an empty part.
  let dot = true;
  let end = to;
  for (let at = from; at < to && !suspect; at++) {
    const byte = bytes[at];
    suspect = byte === BACKSLASH || (byte === DOT && dot) || (dot && byte === SPACE);
    dot = byte === DOT;
    if (dot && end === to) end = at;
  }
  return suspect ? collidesSlow(bytes.toString("utf8", from, to)) : isReserved(bytes, from, end);
}

function isReserved(bytes: Buffer, from: number, to: number): boolean {
  const names = RESERVED_AT[bytes[from]!];
  if (names === undefined) return false;
  next: for (const name of names) {
    if (name.length !== to - from) continue;
    for (let i = 1; i < name.length; i++) if (bytes[from + i] !== name[i]) continue next;
    return true;
  }
  return false;
}

function collidesSlow(json: string): boolean {
  const name = json.includes("\\") ? (JSON.parse(`"${json}"`) as string) : json;
  const parts = name.split(".");
  return RESERVED.has(parts[0] as string) || parts.some((part) => part.trim() === "");
}

/** "" for a name that is not set: no member that JSON can have is named so by `isNamed`. */
export function nameInJson(name: string): Buffer {
  return Buffer.from(JSON.stringify(name.toWellFormed()).slice(1, -1));
}

/** Names with escapes that JSON does not demand (`\u006dsg`) name nothing here: they stay fields. */
export function isNamed(batch: Batch, fields: Fields, member: number, name: Buffer): boolean {
  if (name.length === 0) return false;
  const from = fields.nameFrom(member);
  if (fields.nameTo(member) - from !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (batch.bytes[from + i] !== name[i]) return false;
  return true;
}

/** The names of a format's members. Fields are ranges of a batch's bytes, so each batch that needs them gets them once. */
export class Names {
  readonly #text: Buffer;
  readonly #starts: readonly number[];
  #at = -1;

  /** @param names that need no escape in JSON. */
  constructor(names: readonly string[]) {
    this.#text = Buffer.from(names.join(""));
    let length = 0;
    this.#starts = [0, ...names.map((name) => (length += Buffer.byteLength(name)))];
  }

  /** A new batch begins. */
  forget(): void {
    this.#at = -1;
  }

  /** Where the names' text begins in the batch's bytes: to be asked before `from` and `to`. */
  place(rows: Rows): void {
    if (this.#at >= 0) return;
    rows.reserve(this.#text.length);
    this.#text.copy(rows.bytes, rows.used);
    this.#at = rows.used;
    rows.used += this.#text.length;
  }

  from(name: number): number {
    return this.#at + this.#starts[name]!;
  }

  to(name: number): number {
    return this.#at + this.#starts[name + 1]!;
  }
}
