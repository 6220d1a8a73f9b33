/**
 * What an answer to `_bulk` means, row by row. A row is delivered only when the answer says so, and rejected only when it
 * can never go in; everything else, and whatever is not known here, goes again.
 *
 * Seen on Elasticsearch 8.19 and 9.5 and OpenSearch 2.19 and 3.6, where the status alone tells nothing: a closed index
 * and a cluster without room for shards are 400 as well.
 */
import { REPLY_TOO_LARGE } from "./exchange.ts";
import { type HttpFailure, type HttpReply, retryAfterMs } from "./http.ts";
import type { Outcome, Rejected } from "./output.ts";

/** What was asked, as far as it decides what the answer means. */
export interface Asked {
  readonly op: "create" | "index";
  /** Rows carry our own ids. */
  readonly dedupe: boolean;
  readonly rows: number;
}

/** Refusals of one document, for good: all are 400. */
const THE_RECORD = new Set([
  "document_parsing_exception",
  "mapper_parsing_exception",
  "mapper_exception",
  "strict_dynamic_mapping_exception",
  "parsing_exception",
  "parse_exception",
  "x_content_parse_exception",
  "x_content_e_o_f_exception",
  "json_parse_exception",
  "not_x_content_exception",
  "number_format_exception",
  "invalid_index_name_exception",
  "max_bytes_length_exceeded_exception",
  "illegal_argument_exception",
]);

/** Trouble of the cluster or its operator that can come as a 400 to a whole request. */
const NOT_THE_RECORD = new Set([
  "validation_exception",
  "index_closed_exception",
  "cluster_block_exception",
  "security_exception",
  "index_not_found_exception",
  "es_rejected_execution_exception",
  "rejected_execution_exception",
  "circuit_breaking_exception",
  "unavailable_shards_exception",
]);

/**
 * illegal_argument_exception is what nearly every limit on a document comes as, but so do these, which somebody can put
 * right: a missing pipeline, `op: index` to a data stream, an alias without a write index, a full shard, rights to name
 * an index, a query parameter that an old server does not know.
 */
const OPERATORS_MISTAKE =
  /^pipeline with id|in data streams|no write index|more than one ind|require_alias|maximum shards open|Number of documents|explicit index|unrecognized parameter/;

const ADVICE: Readonly<Record<string, string>> = {
  401: "check the credentials under auth",
  403: "does the user have the index privileges create_doc and auto_configure?",
  404: "is the endpoint's path right?",
  security_exception: "does the user have the index privileges create_doc and auto_configure?",
  index_not_found_exception: "create the index, or allow it by action.auto_create_index",
  cluster_block_exception: "is a disk full, or the index set to read-only?",
  validation_exception: "the cluster has no room for more shards",
  index_closed_exception: "open the index",
  illegal_argument_exception: "check pipeline, op and index of this output",
};

interface Item {
  readonly status?: number;
  /** "used": stored, but aside, since it does not fit the mapping or its pipeline failed (Elasticsearch 8.19 and newer). */
  readonly failure_store?: string;
  readonly error?: { readonly type?: string; readonly reason?: string };
}

/** @param wallMs for a Retry-After that is a date. */
export function judge(reply: HttpReply | HttpFailure, asked: Asked, wallMs: number): Outcome {
  if ("error" in reply) return judgeNone(reply, asked.rows);
  const afterMs = retryAfterMs(reply.headers, wallMs);
  const wait = afterMs === undefined ? {} : { afterMs };
  return reply.status === 200 ? judgeItems(reply, asked, wait) : judgeWhole(reply, wait);
}

/** Connections that a server closes without an answer. */
const CUT = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

function judgeNone({ code, error, begun, endpoint }: HttpFailure, rows: number): Outcome {
  // Answers grow with the rows asked about.
  if (code === REPLY_TOO_LARGE && rows > 1) return { kind: "split", code, type: "reply_too_large", reason: error };
  const reason = `${endpoint} gave no answer (${error}); is the address right, and the server up?`;
  return { kind: "retry", code, reason, ...(!begun && CUT.has(code) ? { cut: true } : {}) };
}

function judgeWhole({ status, body, endpoint }: HttpReply, wait: { afterMs?: number }): Outcome {
  const code = String(status);
  if (status === 413)
    return { kind: "split", code, type: "request_too_large", reason: "the request is over http.max_content_length" };
  const { known, type, reason } = errorOf(body);
  // A 400 that is no answer of Elasticsearch is of something in front of it, which knows nothing of records.
  if (status === 400 && known && !NOT_THE_RECORD.has(type) && !OPERATORS_MISTAKE.test(reason))
    return { kind: "split", code, type: type || "malformed", reason: said(type, reason) };
  const advice = status === 400 ? ADVICE[type] : ADVICE[code];
  return { kind: "retry", code, reason: sentence(`${endpoint} answered ${code}`, said(type, reason), advice), ...wait };
}

function judgeItems(reply: HttpReply, asked: Asked, wait: { afterMs?: number }): Outcome {
  const code = "200";
  const { op, dedupe, rows } = asked;
  const { bytes, endpoint } = reply;
  if (saysAllCreated(bytes, op, rows)) return { kind: "delivered", code };
  const items = (parse(reply.body) as { items?: unknown } | null | undefined)?.items;
  if (!Array.isArray(items) || items.length !== rows)
    return {
      kind: "retry",
      code,
      reason: `${endpoint} answered 200 with something that is no whole answer to a bulk of ${rows} records; is it Elasticsearch, or a proxy that answers in its place?`,
      ...wait,
    };
  const retry: number[] = [];
  const rejected: Rejected[] = [];
  let why = "";
  let putAside = 0;
  for (let row = 0; row < rows; row++) {
    const { status = 0, error, failure_store } = (items[row] as Record<string, Item> | null)?.[op] ?? {};
    if (status >= 200 && status < 300) {
      if (failure_store === "used") putAside++;
      continue;
    }
    const { type = "", reason = "" } = error ?? {};
    // Our own id is there already: an earlier attempt stored the row, though its answer did not reach us.
    if (status === 409 && type === "version_conflict_engine_exception" && dedupe && op === "create") continue;
    if (status === 400 && THE_RECORD.has(type) && !isOperators(type, reason))
      rejected.push({ row, type, reason: said(type, reason) });
    else {
      retry.push(row);
      why ||= sentence(`${endpoint} refused records with ${status}`, said(type, reason), ADVICE[type]);
    }
  }
  const aside = putAside > 0 ? { putAside } : {};
  if (retry.length + rejected.length === 0) return { kind: "delivered", code, ...aside };
  return { kind: "mixed", code, retry, rejected, reason: why, ...wait, ...aside };
}

const ALL_HEAD = '{"errors":false,"items":[';
/** By `op`: the usual answer to as many rows as were asked about at once so far, and more items behind it. */
const usual = new Map<string, Buffer>();

/**
 * Whether it is the usual answer, to the byte: `took` is filtered away. Comparing takes next to nothing, parsing and
 * looking at each item 0.18 µs a row (Node 24), about a twentieth of what encoding and compressing the row takes.
 */
function saysAllCreated(bytes: Buffer, op: string, rows: number): boolean {
  const item = `{"${op}":{"status":201}},`;
  // The last one has no comma behind it.
  const end = ALL_HEAD.length + item.length * rows - 1;
  if (bytes.length !== end + 2 || bytes.toString("latin1", end) !== "]}") return false;
  let all = usual.get(op);
  if (all === undefined || all.length < end) {
    all = Buffer.from(ALL_HEAD + item.repeat(rows));
    usual.set(op, all);
  }
  return all.compare(bytes, 0, end, 0, end) === 0;
}

function isOperators(type: string, reason: string): boolean {
  return type === "illegal_argument_exception" && OPERATORS_MISTAKE.test(reason);
}

/** The error of an answer that need not be JSON, and whose error need not be an object. `known`: it is the server's own. */
function errorOf(body: string): { known: boolean; type: string; reason: string } {
  const error = (parse(body) as { error?: unknown } | null | undefined)?.error;
  if (typeof error === "string") return { known: true, type: "", reason: error };
  const { type, reason } = (error ?? {}) as { type?: unknown; reason?: unknown };
  if (typeof type === "string") return { known: true, type, reason: typeof reason === "string" ? reason : "" };
  return { known: false, type: "", reason: body.replace(/\s+/g, " ").trim().slice(0, 200) };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function said(type: string, reason: string): string {
  return type === "" || reason === "" ? type + reason : `${type}: ${reason}`;
}

function sentence(what: string, details: string, advice: string | undefined): string {
  return `${what}${details === "" ? "" : ` (${details})`}${advice === undefined ? "" : `; ${advice}`}`;
}
