/**
 * What Elasticsearch does with the body of a `_bulk`: as strict about actions and documents as the real one was seen to
 * be, without a server around it.
 */
import { isUtf8 } from "node:buffer";
import { isIP } from "node:net";

export type Document = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface Refusal {
  readonly status: number;
  readonly type: string;
  readonly reason: string;
}

interface Action {
  readonly op: "create" | "index";
  readonly index: string;
  readonly id: string | undefined;
  readonly source: Buffer;
}

const ACTION_KEYS = new Set([
  "_index",
  "_id",
  "routing",
  "pipeline",
  "require_alias",
  "version",
  "version_type",
  "if_seq_no",
  "if_primary_term",
  "dynamic_templates",
]);
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** The documents of all indices. */
export class Store {
  readonly #stored = new Map<string, { index: string; id: string; document: Document }>();
  readonly #makesStream: (index: string) => boolean;
  #sequence = 0;
  /** Items of all requests, also those that were there already. */
  received = 0;

  /** @param makesStream whether a template makes an index of this name a data stream. */
  constructor(makesStream: (index: string) => boolean) {
    this.#makesStream = makesStream;
  }

  /** In the order of arrival. */
  documents(index?: string): Document[] {
    const all = [...this.#stored.values()];
    return all.filter((entry) => index === undefined || entry.index === index).map(({ document }) => document);
  }

  /** Of all documents that came with one. */
  ids(): string[] {
    return [...this.#stored.values()].map(({ id }) => id).filter((id) => id !== "");
  }

  /** @param index from the path. @param refuse decides an item's fate before it is stored. */
  bulk(
    body: Buffer,
    index: string | undefined,
    filterPath: string | null,
    refuse: (document: Document) => Refusal | undefined,
  ): Answer {
    const actions = actionsOf(body, index);
    if (!Array.isArray(actions)) return actions;
    this.received += actions.length;
    const items = actions.map((action) => {
      const refused = this.#refusal(action, refuse);
      const { index: _index, id: _id } = action;
      if (refused === undefined) return { [action.op]: { _index, _id, ...this.#keep(action) } };
      const { status, type, reason } = refused;
      return { [action.op]: { _index, _id, status, error: { type, reason } } };
    });
    const errors = items.some((item) => "error" in (Object.values(item)[0] as object));
    const answer = { took: 1, errors, items };
    const paths = filterPath?.split(",").map((path) => path.split("."));
    return { status: 200, body: paths === undefined ? answer : select(answer, paths) };
  }

  #keep({ index, id, source }: Action): { result: string; status: number } {
    const key = keyOf(index, id ?? `auto ${this.#sequence++}`);
    const created = !this.#stored.has(key);
    this.#stored.set(key, { index, id: id ?? "", document: json(source) as Document });
    return created ? { result: "created", status: 201 } : { result: "updated", status: 200 };
  }

  #refusal(
    { op, index, id, source }: Action,
    refuse: (document: Document) => Refusal | undefined,
  ): Refusal | undefined {
    const unfit = (reason: string): Refusal => ({ status: 400, type: "document_parsing_exception", reason });
    if (/[A-Z\\/*?"<>| ,#:]/.test(index) || /^[-_+.]/.test(index) || Buffer.byteLength(index) > 255 || index === "")
      return { status: 400, type: "invalid_index_name_exception", reason: `Invalid index name [${index}]` };
    // As by the template that Elasticsearch brings along.
    const stream = /^logs-.*-/.test(index) || this.#makesStream(index);
    if (op === "index" && stream)
      return {
        status: 400,
        type: "illegal_argument_exception",
        reason: "only write ops with an op_type of create are allowed in data streams",
      };
    if (!isUtf8(source)) return unfit("failed to parse: invalid UTF-8");
    const document = json(source) as Document | null | undefined;
    if (typeof document !== "object" || document === null || Array.isArray(document)) return unfit("failed to parse");
    if (hasDuplicateKeys(source.toString())) return unfit("Duplicate field");
    const time = document["@timestamp"];
    if (time === undefined && stream) return unfit("data stream timestamp field [@timestamp] is missing");
    if (time !== undefined && !TIME.test(String(time)))
      return unfit("failed to parse field [@timestamp] of type [date]");
    const kubernetes = (document.kubernetes ?? {}) as { pod?: { ip?: string }; pod_ip?: string; labels?: Document };
    const ip = kubernetes.pod?.ip ?? kubernetes.pod_ip;
    if (ip !== undefined && isIP(ip) === 0) return unfit(`'${ip}' is not an IP string literal.`);
    // The real one expands dots to objects, and refuses what is a text and an object at once.
    const labels = Object.keys(kubernetes.labels ?? {});
    const both = labels.find((key) => labels.some((other) => other.startsWith(`${key}.`)));
    if (both !== undefined) return unfit(`failed to parse field [kubernetes.labels.${both}] of type [keyword]`);
    if (op === "create" && id !== undefined && this.#stored.has(keyOf(index, id)))
      return {
        status: 409,
        type: "version_conflict_engine_exception",
        reason: `[${id}]: version conflict, document already exists (current version [1])`,
      };
    return refuse(document);
  }
}

/** An error of a whole request, in the real one's form. */
export function failure(status: number, type: string, reason: string): Answer {
  return { status, body: { error: { root_cause: [{ type, reason }], type, reason }, status } };
}

function actionsOf(body: Buffer, path: string | undefined): Action[] | Answer {
  const malformed = (reason: string): Answer => failure(400, "illegal_argument_exception", reason);
  if (body.length === 0) return failure(400, "parse_exception", "request body is required");
  if (body.at(-1) !== 0x0a) return malformed("The bulk request must be terminated by a newline [\\n]");
  const lines: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const end = body.indexOf(0x0a, at);
    lines.push(body.subarray(at, end));
    at = end + 1;
  }
  if (lines.length % 2 !== 0) return malformed("a source is missing behind the last action");
  const actions: Action[] = [];
  for (let i = 0; i < lines.length; i += 2) {
    const entries = Object.entries((json(lines[i] as Buffer) ?? {}) as Record<string, Document>);
    const [op, meta] = entries[0] ?? [];
    if ((op !== "create" && op !== "index") || entries.length !== 1 || typeof meta !== "object" || meta === null)
      return malformed(`Malformed action/metadata line [${i + 1}]`);
    for (const key of Object.keys(meta))
      if (!ACTION_KEYS.has(key))
        return malformed(`Action/metadata line [${i + 1}] contains an unknown parameter [${key}]`);
    const { _id: id, _index: index = path } = meta;
    if (id !== undefined && (typeof id !== "string" || id === ""))
      return malformed("if _id is specified it must not be empty");
    if (id !== undefined && Buffer.byteLength(id) > 512)
      return malformed(`id [${id}] is too long, must be no longer than 512 bytes but was: ${Buffer.byteLength(id)}`);
    if (typeof index !== "string")
      return failure(400, "action_request_validation_exception", "Validation Failed: 1: index is missing;");
    actions.push({ op, index, id, source: lines[i + 1] as Buffer });
  }
  return actions;
}

function keyOf(index: string, id: string): string {
  return `${index}\n${id}`;
}

/** `filter_path`: only what a path names; what is empty then goes, also from arrays. */
function select(value: unknown, paths: readonly (readonly string[])[]): unknown {
  if (paths.some((path) => path.length === 0)) return value;
  if (typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) {
    const kept = value.map((item) => select(item, paths)).filter((item) => item !== undefined);
    return kept.length === 0 ? undefined : kept;
  }
  const kept = Object.entries(value)
    .map(([key, item]): [string, unknown] => {
      const inner = paths.filter(([head]) => head === "*" || head === key).map((path) => path.slice(1));
      return [key, inner.length === 0 ? undefined : select(item, inner)];
    })
    .filter(([, item]) => item !== undefined);
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

/** A small walk over valid JSON, since JSON.parse keeps silent about a key given twice. */
export function hasDuplicateKeys(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/gs;
  for (const [token, colon] of text.matchAll(tokens)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (colon !== undefined) {
      const key = JSON.parse(token.slice(0, token.length - colon.length)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) return true;
      keys?.add(key);
    }
  }
  return false;
}
