/**
 * Entries: a record as one `google.logging.v2.LogEntry` in JSON, or as several where its message is larger than an entry
 * may be. What comes from the origin is rendered once for each Origin and copied in; fields that processors found are
 * copied as they stand, with the message beside them, and are looked at as if the app had written the whole as JSON.
 */
import { type Batch, TRUNCATED, UNPARSED } from "../agent/batch.ts";
import type { Template } from "../agent/config/template.ts";
import { OPEN_BRACE } from "../agent/parse/ascii.ts";
import { cutBetweenCharacters } from "../agent/parse/utf8.ts";
import type { Origin } from "../agent/pods/origin.ts";
import { ByteWriter } from "./json.ts";
import { cleaned } from "./json-clean.ts";
import { JsonObject, type Member, OBJECT, UNCLEAN } from "./json-object.ts";
import { hasMember, writeMembers } from "./members.ts";
import { writeRecordId } from "./record-id.ts";
import type { ClusterIdentity } from "./stackdriver-cluster.ts";
import { rowSeverity, SPECIAL_KEYS, SpecialFields, streamSeverity } from "./stackdriver-fields.ts";
import { OriginParts } from "./stackdriver-origin.ts";
import { PlainRows } from "./stackdriver-rows.ts";

/**
 * The API takes entries of 256 KiB "approximately, based on internal data sizes". Beside the payload labels take at most
 * 32 KiB and special fields 16 KiB, and the rest is for what "approximately" means. It must not depend on anything that
 * can change between two sendings of a record, or the parts of a message would not be the same again.
 */
const MAX_PAYLOAD_BYTES = 200 * 1024;
/** 2^53 has so many. */
const OFFSET_DIGITS = 16;
const COMMA = 0x2c;
const CLOSE = 0x7d;
const QUOTE = 0x22;

const TIMESTAMP = Buffer.from('{"timestamp":"');
const SEVERITY = Buffer.from('","severity":"');
const INSERT_ID = Buffer.from('","insertId":');
const TEXT_PAYLOAD = Buffer.from('"textPayload":"');
const JSON_PAYLOAD = Buffer.from('"jsonPayload":');
const MESSAGE = Buffer.from("message");
const MESSAGE_START = Buffer.from('"message":"');

/** What a request gives once for all of its entries, which then leave it out. */
export interface Shared {
  readonly origin: Origin;
  readonly logName: Buffer;
}

export class EntryWriter {
  readonly #cluster: ClusterIdentity;
  readonly #origins: OriginParts;
  readonly #structured: boolean;
  readonly #object = new JsonObject(SPECIAL_KEYS);
  readonly #special = new SpecialFields();
  readonly #id = new ByteWriter(256);
  readonly #composed = new ByteWriter(4096);
  /** Makes most rows, and the same of them. */
  readonly plain: PlainRows;

  constructor(cluster: ClusterIdentity, logName: Template, structured: boolean) {
    this.#cluster = cluster;
    this.#origins = new OriginParts(cluster, logName);
    this.#structured = structured;
    this.plain = new PlainRows(this.#origins, logName, structured, MAX_PAYLOAD_BYTES);
  }

  /** What the rows of this batch have in common with the given one. */
  shared(batch: Batch, row: number): Shared {
    return { origin: batch.origin, logName: this.#origins.logName(batch, row) };
  }

  /** Members of a request: `"resource":{…},"labels":{…},"logName":"…",` */
  head({ origin, logName }: Shared): Buffer {
    const { resource, labels } = this.#origins.of(origin);
    const comma = Buffer.from(",");
    const quoted = [Buffer.from('"labels":{'), labels, Buffer.from("},")];
    return Buffer.concat([resource, ...(labels.length === 0 ? [] : quoted), logName, comma]);
  }

  /**
   * Writes a row's entries with commas between.
   * @param shared what they leave out.
   * @returns how many they are.
   */
  write(writer: ByteWriter, batch: Batch, row: number, shared: Shared | undefined): number {
    const special = this.#special;
    special.reset();
    const hasFields = batch.fields !== undefined && batch.fields.count[row] !== 0;
    const text = hasFields ? this.#compose(batch, row) : batch.bytes;
    const from = hasFields ? 0 : (batch.from[row] as number);
    const to = hasFields ? text.length : (batch.to[row] as number);
    let bytes = text;
    let taken: readonly Member[] | undefined;
    if (hasFields || (this.#structured && ((batch.flags[row] as number) & UNPARSED) === 0)) {
      let verdict = this.#object.scan(bytes, from, to);
      if (verdict === UNCLEAN) {
        bytes = cleaned(bytes.toString("utf8", from, to));
        verdict = this.#object.scan(bytes, 0, bytes.length, true);
      }
      if (verdict === OBJECT) taken = this.#structured ? this.#take(bytes, batch, row, hasFields) : [];
    }
    this.#writeId(batch, row);
    if (taken !== undefined && this.#object.size <= MAX_PAYLOAD_BYTES) {
      this.#writeHead(writer, batch, row, shared, -1);
      this.#writeObject(writer, bytes, taken);
      writer.byte(CLOSE);
      return 1;
    }
    if (to - from <= MAX_PAYLOAD_BYTES) {
      this.#writeHead(writer, batch, row, shared, -1);
      writeText(writer, text, from, to);
      writer.byte(CLOSE);
      return 1;
    }
    const cuts = cutsOf(text, from, to);
    for (let part = 0; part + 1 < cuts.length; part++) {
      if (part > 0) writer.byte(COMMA);
      this.#writeHead(writer, batch, row, shared, part);
      writer.ascii('"split":{"uid":"');
      writer.buffer(this.#id.view());
      writer.ascii(`","index":${part},"totalSplits":${cuts.length - 1}},`);
      writeText(writer, text, cuts[part] as number, cuts[part + 1] as number);
      writer.byte(CLOSE);
    }
    return cuts.length - 1;
  }

  /** The message and the fields as one object. Borrowed: valid until the next row. */
  #compose(batch: Batch, row: number): Buffer {
    const composed = this.#composed;
    composed.length = 0;
    composed.byte(OPEN_BRACE);
    // Processors give no field this name (agent/process/names.ts). One that has it all the same is what the app calls so.
    const hasMessage = hasMember(batch, row, MESSAGE);
    if (!hasMessage) {
      composed.buffer(MESSAGE_START);
      composed.escaped(batch.bytes, batch.from[row] as number, batch.to[row] as number);
      composed.byte(QUOTE);
    }
    writeMembers(composed, batch, row, !hasMessage);
    composed.byte(CLOSE);
    return composed.view();
  }

  /** Times among fields stay there: one that the operator trusts is the row's already (`timeKey`). */
  #take(bytes: Buffer, batch: Batch, row: number, hasFields: boolean): readonly Member[] {
    const { labelCount } = this.#origins.of(batch.origin);
    return this.#special.take(bytes, this.#object.found, batch.seconds[row] as number, labelCount, !hasFields);
  }

  /** All of an entry but its payload, with a comma behind. @param part of a message in parts, else -1. */
  #writeHead(writer: ByteWriter, batch: Batch, row: number, shared: Shared | undefined, part: number): void {
    const special = this.#special;
    writer.buffer(TIMESTAMP);
    if (special.hasTime) writer.time(special.seconds, special.nanos, special.digits);
    else writer.time(batch.seconds[row] as number, batch.nanos[row] as number, batch.digits[row] as number);
    writer.buffer(SEVERITY);
    writer.ascii(
      special.severity || rowSeverity(batch, row) || special.level || streamSeverity(batch.flags[row] as number),
    );
    writer.buffer(INSERT_ID);
    if (special.insertId === "") {
      writer.byte(QUOTE);
      writer.buffer(this.#id.view());
      if (part >= 0) writer.ascii(`-${String(part).padStart(6, "0")}`);
      writer.ascii('",');
    } else {
      writer.buffer(Buffer.from(special.insertId));
      if (part >= 0) {
        writer.length--;
        writer.ascii(`-${String(part).padStart(6, "0")}"`);
      }
      writer.byte(COMMA);
    }
    this.#writeOrigin(writer, batch, row, shared);
    if (special.trace !== "") {
      writer.ascii('"trace":"');
      if (special.isBareTrace) {
        writer.ascii("projects/");
        writer.buffer(this.#cluster.value("projectId"));
        writer.ascii("/traces/");
      }
      writer.buffer(Buffer.from(special.trace));
      writer.ascii('",');
    }
    if (special.more !== "") writer.buffer(Buffer.from(special.more));
  }

  #writeOrigin(writer: ByteWriter, batch: Batch, row: number, shared: Shared | undefined): void {
    const name = this.#origins.logName(batch, row);
    if (name !== shared?.logName) {
      writer.buffer(name);
      writer.byte(COMMA);
    }
    const isShared = batch.origin === shared?.origin;
    const { resource, labels } = this.#origins.of(batch.origin);
    if (!isShared) writer.buffer(resource);
    const own = this.#ownLabels(batch, row);
    if (own === "" && (isShared || labels.length === 0)) return;
    writer.ascii('"labels":{');
    if (!isShared) writer.buffer(labels);
    if (own !== "") {
      if (!isShared && labels.length > 0) writer.byte(COMMA);
      writer.buffer(Buffer.from(own));
    }
    writer.ascii("},");
  }

  /** Labels that only this row has, as members. */
  #ownLabels(batch: Batch, row: number): string {
    let own = this.#special.labels;
    const extra = batch.extra?.get(row);
    if (extra === undefined) return own;
    const add = (key: string, value: string): void => {
      own += `${own === "" ? "" : ","}"tailrace.io/${key}":${JSON.stringify(value.toWellFormed())}`;
    };
    if (((batch.flags[row] as number) & TRUNCATED) !== 0) add("original-bytes", String(extra.originalBytes ?? 0));
    if (extra.error !== undefined) add("error", extra.error);
    return own;
  }

  #writeObject(writer: ByteWriter, bytes: Buffer, taken: readonly Member[]): void {
    const object = this.#object;
    const { message, left } = this.#special;
    if (left === "" && message !== undefined && object.members - taken.length === 1) {
      // Nothing else is left: shown as text, which is what its writer meant.
      writer.buffer(TEXT_PAYLOAD);
      writer.buffer(bytes.subarray(message.valueStart + 1, message.valueEnd));
      return;
    }
    writer.buffer(JSON_PAYLOAD);
    if (taken.length === 0) {
      writer.buffer(bytes.subarray(object.start, object.end));
      return;
    }
    writer.byte(OPEN_BRACE);
    const before = writer.length;
    // Runs of members that stay, with the commas between them.
    let from = object.first;
    for (const { before: end, after } of taken) {
      if (from >= 0 && end > from) this.#writeRun(writer, bytes, from, end, before);
      from = after;
    }
    if (from >= 0) this.#writeRun(writer, bytes, from, object.last, before);
    if (left !== "") writer.buffer(Buffer.from(writer.length > before ? left : left.slice(1)));
    writer.byte(CLOSE);
  }

  #writeRun(writer: ByteWriter, bytes: Buffer, from: number, to: number, before: number): void {
    if (writer.length > before) writer.byte(COMMA);
    writer.buffer(bytes.subarray(from, to));
  }

  #writeId(batch: Batch, row: number): void {
    this.#id.length = 0;
    writeRecordId(this.#id, batch, row, OFFSET_DIGITS);
  }
}

function writeText(writer: ByteWriter, bytes: Buffer, from: number, to: number): void {
  writer.buffer(TEXT_PAYLOAD);
  writer.escaped(bytes, from, to);
  writer.byte(QUOTE);
}

/** Where parts begin, and where the last one ends; never within a character. */
function cutsOf(bytes: Buffer, from: number, to: number): number[] {
  const cuts = [from];
  for (let at = from; at < to; cuts.push(at))
    at = to - at <= MAX_PAYLOAD_BYTES ? to : cutBetweenCharacters(bytes, at, at + MAX_PAYLOAD_BYTES);
  return cuts;
}
