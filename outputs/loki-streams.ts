/**
 * Which stream of Loki a row belongs to, rendered once per container: labels, tenant, and the structured metadata that
 * its rows have in common. Labels whose values explode are demoted to structured metadata, since each new value is a
 * stream of its own, which Loki pays for and its limit forbids.
 */
import { type Batch, Rows, STDERR } from "../agent/batch.ts";
import type { Template } from "../agent/config/template.ts";
import type { Origin } from "../agent/pods/origin.ts";
import { type Encoding, type LabelPairs, labelsText, type RowPair } from "./loki-encoding.ts";

export interface StreamOptions {
  readonly tenant: Template;
  /** Names are valid, and in neither more often than once. */
  readonly labels: Readonly<Record<string, Template>>;
  readonly structuredMetadata: Readonly<Record<string, Template>>;
}

/** One stream of a tenant, and how it fared so far. */
export class Stream {
  /** Of all streams of the output. */
  readonly key: string;
  readonly tenant: string;
  /** What stands before its entries in a body. */
  readonly head: Buffer;
  /** Monotonic milliseconds of the last push that was accepted. */
  acceptedAt = Number.NEGATIVE_INFINITY;
  /** Time of its newest row that was accepted, in seconds since 1970. */
  newest = Number.NEGATIVE_INFINITY;
  /** Its last push was refused, or one that it was in. */
  refused = false;
  /** What was sent of it of late, and what was planned to be. */
  readonly sent = new Recent();
  readonly planned = new Recent();

  constructor(key: string, tenant: string, head: Buffer) {
    this.key = key;
    this.tenant = tenant;
    this.head = head;
  }
}

/** Bytes of late, as a bucket that runs out at a rate. */
class Recent {
  #bytes = 0;
  #at = 0;

  /** What is in it. @param now monotonic milliseconds. @param rate bytes a second. */
  level(now: number, rate: number): number {
    return Math.max(0, this.#bytes - ((now - this.#at) / 1000) * rate);
  }

  add(bytes: number, now: number, rate: number): void {
    this.#bytes = this.level(now, rate) + bytes;
    this.#at = now;
  }
}

/** What rows of one container have in common, as long as those of its labels that differ by row are the same. */
export interface Face {
  readonly stream: Stream;
  readonly metadata: Buffer;
}

/** limits_config.max_label_value_length. */
const MAX_VALUE_BYTES = 2048;
/** limits.go of dskit: what a tenant may be called, and how long. */
const NOT_IN_TENANT = /[^a-zA-Z0-9!\-_.*'()]/g;
const MAX_TENANT_LENGTH = 150;
/** A node has some hundred pods; a label with more new values than this within an hour is no label. */
const MAX_NEW_VALUES = 500;
const HOUR_MS = 3_600_000;
/** Streams that are known by their key; more than a node can have at a time. */
const MAX_STREAMS = 10_000;

export class Streams {
  readonly #options: StreamOptions;
  readonly #encoding: Encoding;
  readonly #now: () => number;
  readonly #onDemoted: (label: string, values: number) => void;
  readonly #known = new Map<string, Stream>();
  readonly #seen = new Map<string, Map<string, number>>();
  readonly #demoted = new Set<string>();
  readonly #probe = new Rows(1, 1);
  #labels: readonly (readonly [string, Template])[] = [];
  /** Labels and tenant that differ from row to row, more than by output stream. */
  #varying: readonly Template[] = [];
  #metadata: readonly (readonly [string, Template])[] = [];
  #varied = new WeakMap<Origin, Map<string, Face>>();
  /** Rows come in batches of one origin: these are the last one's. */
  #origin: Origin | undefined;
  #faces: [Face | undefined, Face | undefined] = [undefined, undefined];
  #plain = new WeakMap<Origin, [Face | undefined, Face | undefined]>();
  #convoys = new WeakMap<Origin, string>();
  /** Structured metadata that every row has its own text of. */
  rowPairs: readonly RowPair[] = [];

  /** @param now monotonic milliseconds. @param onDemoted told once per label. */
  constructor(
    options: StreamOptions,
    encoding: Encoding,
    now: () => number,
    onDemoted: (label: string, values: number) => void,
  ) {
    this.#options = options;
    this.#encoding = encoding;
    this.#now = now;
    this.#onDemoted = onDemoted;
    this.#arrange();
  }

  face(batch: Batch, row: number): Face {
    const output = ((batch.flags[row] as number) & STDERR) as 0 | 1;
    if (this.#varying.length > 0) return this.#faceSlow(batch, row, output);
    const faces = batch.origin === this.#origin ? this.#faces : this.#facesOf(batch.origin);
    const known = faces[output];
    if (known !== undefined) return known;
    const face = this.#render(batch, row);
    // A label that was demoted meanwhile has put other faces in place of these.
    if (batch.origin === this.#origin) faces[output] = face;
    return face;
  }

  /** Those of the batch's rows as far as they are known, where nothing but stdout and stderr tells its rows' apart. */
  faces({ origin }: Batch): readonly [Face | undefined, Face | undefined] | undefined {
    if (this.#varying.length > 0) return undefined;
    return origin === this.#origin ? this.#faces : this.#facesOf(origin);
  }

  #facesOf(origin: Origin): [Face | undefined, Face | undefined] {
    const faces = this.#plain.get(origin) ?? [undefined, undefined];
    this.#plain.set(origin, faces);
    this.#origin = origin;
    this.#faces = faces;
    return faces;
  }

  /** Rows of one container with equal labels, told by the texts of the labels that differ. */
  #faceSlow(batch: Batch, row: number, output: number): Face {
    let key = String(output);
    // With their lengths, as a field's text can hold whatever else could stand between them.
    for (const template of this.#varying) {
      const text = template.render(batch, row);
      key += ` ${text.length} ${text}`;
    }
    const faces = this.#varied.get(batch.origin) ?? new Map<string, Face>();
    const known = faces.get(key);
    if (known !== undefined) return known;
    const face = this.#render(batch, row);
    if (faces.size >= MAX_STREAMS) faces.clear();
    this.#varied.set(batch.origin, faces.set(key, face));
    return face;
  }

  /** Containers of one tenant whose labels differ at most in what differs by row can share a stream. */
  convoy(origin: Origin): string {
    let name = this.#convoys.get(origin);
    if (name === undefined) {
      this.#probe.reset(origin, { key: "" });
      const { tenant } = this.#options;
      const templates = [...this.#labels.map(([, template]) => template), tenant].filter(({ perRow }) => !perRow);
      name = templates.map((template) => template.render(this.#probe, 0)).join("\n");
      this.#convoys.set(origin, name);
    }
    return name;
  }

  tenant(batch: Batch, row: number): string {
    const tenant = this.#options.tenant.render(batch, row).replace(NOT_IN_TENANT, "_").slice(0, MAX_TENANT_LENGTH);
    return /^\.\.?$/.test(tenant) ? "_".repeat(tenant.length) : tenant;
  }

  #render(batch: Batch, row: number): Face {
    const render = ([name, template]: readonly [string, Template]): readonly [string, string] => [
      name,
      cut(template.render(batch, row).toWellFormed()),
    ];
    let labels = this.#labels.map(render);
    if (labels.map(([name, value]) => this.#explodes(name, value)).some(Boolean)) labels = this.#labels.map(render);
    const shared = this.#metadata.filter(([, template]) => template.perStream).map(render);
    return { stream: this.stream(this.tenant(batch, row), labels), metadata: this.#encoding.metadata(shared) };
  }

  /** The one with these labels, whether a container has them or had them once. */
  stream(tenant: string, labels: LabelPairs): Stream {
    const key = `${tenant}\n${labelsText(labels)}`;
    let stream = this.#known.get(key);
    if (stream === undefined) {
      if (this.#known.size >= MAX_STREAMS) this.#known.clear();
      stream = new Stream(key, tenant, this.#encoding.stream(labels));
      this.#known.set(key, stream);
    }
    return stream;
  }

  /** Notes a value. @returns whether the label was demoted. */
  #explodes(name: string, value: string): boolean {
    const now = this.#now();
    const values = this.#seen.get(name) ?? new Map<string, number>();
    this.#seen.set(name, values);
    if (!values.has(value)) values.set(value, now);
    if (values.size <= MAX_NEW_VALUES) return false;
    for (const [old, at] of values) if (now - at > HOUR_MS) values.delete(old);
    // A stream must have a label, so the last one stays whatever its values are.
    if (values.size <= MAX_NEW_VALUES || this.#labels.length === 1) return false;
    this.#onDemoted(name, values.size);
    this.#demoted.add(name);
    this.#seen.delete(name);
    this.#arrange();
    return true;
  }

  #arrange(): void {
    const { tenant, labels, structuredMetadata } = this.#options;
    const all = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1));
    this.#labels = all.filter(([name]) => !this.#demoted.has(name));
    this.#metadata = [...Object.entries(structuredMetadata), ...all.filter(([name]) => this.#demoted.has(name))];
    this.#varying = [...this.#labels.map(([, template]) => template), tenant].filter(({ perStream }) => !perStream);
    this.rowPairs = this.#metadata
      .filter(([, template]) => !template.perStream)
      .map(([name, template]) => ({ name, template: template.only === "offset" ? undefined : template }));
    this.#varied = new WeakMap();
    this.#origin = undefined;
    this.#plain = new WeakMap();
    this.#convoys = new WeakMap();
  }
}

/** At most MAX_VALUE_BYTES, between two characters. */
function cut(value: string): string {
  if (value.length * 3 <= MAX_VALUE_BYTES) return value;
  const bytes = Buffer.from(value);
  return bytes.length <= MAX_VALUE_BYTES ? value : bytes.toString("utf8", 0, MAX_VALUE_BYTES).replace(/\ufffd+$/, "");
}
