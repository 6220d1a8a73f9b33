/**
 * A fake of the Cloud Logging API on loopback, which holds every entry to Google's published definitions (protos.ts) and
 * to the limits that its documentation gives, and refuses in the words of the real one.
 */
import { isUtf8 } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { fromJson, toBinary } from "@bufbuild/protobuf";
import { type Answer, type Asked, Backend, type BackendOptions } from "./backend.ts";
import { hasDuplicateKeys } from "./bulk.ts";
import { loadProtos } from "./protos.ts";

/** As the API shows it, defaults of its request filled in. */
export interface StoredEntry {
  readonly logName: string;
  readonly resource: { readonly type: string; readonly labels: Readonly<Record<string, string>> };
  readonly labels?: Readonly<Record<string, string>>;
  readonly timestamp: string;
  readonly severity?: string;
  readonly insertId: string;
  readonly textPayload?: string;
  readonly jsonPayload?: Readonly<Record<string, unknown>>;
  readonly [member: string]: unknown;
}

/** An RPC code and a message. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
}

type Json = Record<string, unknown>;

const { registry, request: REQUEST } = loadProtos();
const ENTRY = registry.getMessage("google.logging.v2.LogEntry") ?? REQUEST;
const PARTIAL_ERRORS = "type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors";
const RESOURCE_LABELS = ["cluster_name", "container_name", "location", "namespace_name", "pod_name", "project_id"];
const MAX_ENTRY_BYTES = 256 * 1024;
const MAX_LABELS = 64;
/** Messages within each other that a parser of protobuf takes. */
const MAX_NESTING = 100;
const HTTP: Readonly<Record<number, [status: number, name: string]>> = {
  3: [400, "INVALID_ARGUMENT"],
  4: [504, "DEADLINE_EXCEEDED"],
  5: [404, "NOT_FOUND"],
  7: [403, "PERMISSION_DENIED"],
  8: [429, "RESOURCE_EXHAUSTED"],
  11: [400, "OUT_OF_RANGE"],
  13: [500, "INTERNAL"],
  14: [503, "UNAVAILABLE"],
  16: [401, "UNAUTHENTICATED"],
};

export class StackdriverFake extends Backend {
  /** In the order of arrival; what comes twice is there once, as in a query's result. */
  readonly entries: StoredEntry[] = [];
  /** Those that are taken. */
  tokens = new Set(["token-1"]);
  /** Decides an entry's fate beyond the usual checks. */
  refuse: (entry: StoredEntry) => Refusal | undefined = () => undefined;
  maxBodyBytes = 10 * 1024 * 1024;
  /** Shortly after the times that tests give to records. */
  nowSeconds = 1_790_010_000;
  readonly #project: string;
  readonly #seen = new Set<string>();

  constructor(project: string, options: BackendOptions = {}) {
    super(options);
    this.#project = project;
  }

  protected answer(asked: Asked): Answer {
    const answered = this.#answer(asked);
    const headers = { "content-type": "application/json; charset=UTF-8" };
    if ("status" in answered) return { ...answered, headers };
    const [status, name] = HTTP[answered.code] ?? [500, "INTERNAL"];
    const error = { code: status, message: answered.message, status: name, details: answered.details };
    return { status, text: JSON.stringify({ error }, null, 2), headers };
  }

  #answer({ method, url, headers, body: raw }: Asked): { status: number; text: string } | RefusedRequest {
    if (method !== "POST" || url !== "/v2/entries:write") return { code: 5, message: "Method not found." };
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];
    if (token === undefined || !this.tokens.has(token))
      return {
        code: 16,
        message: `Request ${token === undefined ? "is missing required authentication credential" : "had invalid authentication credentials"}. Expected OAuth 2 access token, login cookie or other valid authentication credential.`,
      };
    let body = raw;
    if (headers["content-encoding"] === "gzip") {
      try {
        body = gunzipSync(raw);
      } catch {
        return invalid("Failed to uncompress the request body.");
      }
    } else if (headers["content-encoding"] !== undefined) return invalid("Unsupported content encoding.");
    if (body.length > this.maxBodyBytes)
      return invalid(`Request payload size exceeds the limit: ${this.maxBodyBytes} bytes.`);
    if (headers["content-type"] !== "application/json")
      return invalid(`Invalid content type ${JSON.stringify(headers["content-type"])}.`);
    const request = parse(body);
    return "code" in request ? request : this.#write(request.json);
  }

  #write(request: Json): { status: number; text: string } | RefusedRequest {
    const errors: Record<string, Refusal> = {};
    const good: StoredEntry[] = [];
    for (const [i, entry] of (request.entries as Json[]).entries()) {
      const whole = filled(entry, request);
      const refusal = this.#check(whole) ?? this.refuse(whole);
      if (refusal === undefined) good.push(whole);
      else errors[i] = refusal;
    }
    const [first] = Object.values(errors);
    if (first !== undefined && (request.partialSuccess !== true || good.length === 0)) return first;
    for (const entry of good) {
      const key = JSON.stringify([entry.logName, entry.timestamp, entry.insertId]);
      if (!this.#seen.has(key)) this.entries.push(entry);
      this.#seen.add(key);
    }
    if (first === undefined) return { status: 200, text: "{}\n" };
    return { ...first, details: [{ "@type": PARTIAL_ERRORS, logEntryErrors: errors }] };
  }

  #check(entry: StoredEntry): Refusal | undefined {
    const { logName, resource, labels = {}, insertId, timestamp } = entry;
    const log = /^projects\/([^/]+)\/logs\/([^/]+)$/.exec(logName ?? "");
    if (log === null || !/^[A-Za-z0-9/_.-]{1,511}$/.test(decodeURIComponent(log[2] as string)))
      return invalid(`Log name is malformed: ${logName}`);
    if (log[1] !== this.#project)
      return { code: 7, message: "Permission 'logging.logEntries.create' denied on resource (or it may not exist)." };
    if (resource?.type !== "k8s_container") return invalid("Unknown monitored resource type.");
    const names = Object.keys(resource.labels).sort();
    if (JSON.stringify(names) !== JSON.stringify(RESOURCE_LABELS) || Object.values(resource.labels).includes(""))
      return invalid(`The labels of the resource are ${names}, and none may be empty.`);
    if (Object.keys(labels).length > MAX_LABELS) return invalid(`More than ${MAX_LABELS} labels.`);
    if (Object.keys(labels).some((key) => key === "" || Buffer.byteLength(key) > 512)) return invalid("A label's key.");
    if (typeof insertId !== "string" || !/^[\x21-\x7e]{1,256}$/.test(insertId))
      return invalid("Insert ID is malformed.");
    if (!("textPayload" in entry) && !("jsonPayload" in entry)) return invalid("A payload is missing.");
    if (Date.parse(timestamp) / 1000 > this.nowSeconds + 86_400)
      return invalid("Log entries with timestamps more than 24 hours in the future are not accepted.");
    const bytes = toBinary(ENTRY, fromJson(ENTRY, entry as never, { registry })).length;
    if (bytes > MAX_ENTRY_BYTES)
      return invalid(`Log entry with size ${(bytes / 1024).toFixed(1)}K exceeds maximum size of 256.0K`);
    return undefined;
  }
}

interface RefusedRequest extends Refusal {
  readonly details?: unknown;
}

function invalid(message: string): RefusedRequest {
  return { code: 3, message };
}

/** What the API's JSON parser takes. */
function parse(body: Buffer): { json: Json } | RefusedRequest {
  if (!isUtf8(body)) return invalid("Invalid JSON payload received. Invalid UTF-8 encoding.");
  const text = body.toString();
  let json: Json;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return invalid(`Invalid JSON payload received. ${(error as Error).message}`);
  }
  if (hasDuplicateKeys(text)) return invalid("Invalid JSON payload received. A key is there twice.");
  if (hasHalfCharacters(json)) return invalid("Invalid JSON payload received. A string is no valid Unicode.");
  // JSON.parse made it infinite.
  if (hasInfinity(json)) return invalid("Invalid JSON payload received. Number is out of range.");
  if (nesting(json) > MAX_NESTING) return invalid("Invalid JSON payload received. Message too deep.");
  try {
    toBinary(REQUEST, fromJson(REQUEST, json as never, { registry }));
  } catch (error) {
    const description = `Invalid JSON payload received. ${(error as Error).message}`;
    const details = [{ "@type": "type.googleapis.com/google.rpc.BadRequest", fieldViolations: [{ description }] }];
    return { ...invalid(description), details };
  }
  return { json: { entries: [], ...json } };
}

/** Defaults of the request where the entry has none; labels are merged. */
function filled(entry: Json, { logName, resource, labels }: Json): StoredEntry {
  const merged = { ...(labels as Json | undefined), ...(entry.labels as Json | undefined) };
  return {
    ...(logName === undefined ? {} : { logName }),
    ...(resource === undefined ? {} : { resource }),
    ...entry,
    ...(Object.keys(merged).length === 0 ? {} : { labels: merged }),
  } as unknown as StoredEntry;
}

function hasHalfCharacters(value: unknown): boolean {
  if (typeof value === "string") return !value.isWellFormed();
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([key, item]) => !key.isWellFormed() || hasHalfCharacters(item));
}

function hasInfinity(value: unknown): boolean {
  if (typeof value === "number") return !Number.isFinite(value);
  return typeof value === "object" && value !== null && Object.values(value).some(hasInfinity);
}

/** Messages within each other: an object is Struct, map entry and Value, a list is ListValue and Value. */
function nesting(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const inner = Math.max(0, ...Object.values(value).map(nesting));
  return inner + (Array.isArray(value) ? 2 : 3);
}

export function startStackdriver(project: string, options: BackendOptions = {}): Promise<StackdriverFake> {
  return new StackdriverFake(project, options).start();
}
