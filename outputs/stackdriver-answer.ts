/**
 * What an answer to `entries:write` means, entry by entry. With `partialSuccess` entries that an error does not name were
 * written; an error that names none means that nothing was (cloud.google.com/logging/docs/reference/v2/rest/v2/entries/write).
 * Rejected is only what can never go in; all else goes again.
 */
import { type HttpFailure, type HttpReply, retryAfterMs } from "./http.ts";
import type { Outcome, Rejected } from "./output.ts";

const PARTIAL_ERRORS = "type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors";
const RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo";
/** google.rpc.Code: INVALID_ARGUMENT, OUT_OF_RANGE. The others are about rights, quotas and servers. */
const FOR_GOOD = new Set([3, 11]);
const CODE_NAMES: Readonly<Record<number, string>> = { 3: "INVALID_ARGUMENT", 11: "OUT_OF_RANGE" };
/** Quotas are per minute and no answer says how long to wait: a fleet comes back within these. */
const QUOTA_MIN_MS = 1000;
const QUOTA_SPREAD_MS = 9000;
const MAX_DELAY_MS = 300_000;

/** A 400 that the configuration is to blame for, or the project: no record is at fault. */
const OPERATORS_MISTAKE =
  /\bprojects?\b|log[_ ]?name\b|\bparent\b|monitored resource|resource type|\bapi key\b|billing/i;

const ADVICE: Readonly<Record<string, string>> = {
  400: "check projectId, location and logName of this output",
  401: "check credentialsFile, or the service account of the node or pod",
  403: "does the service account have roles/logging.logWriter, and is the Cloud Logging API enabled?",
  404: "are projectId and endpoint right?",
  429: "the project's quota for written bytes is used up",
};

interface Status {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly status?: unknown;
  readonly details?: unknown;
}

/** @param rowOf the row that an entry belongs to; undefined where there is no such entry. @param wallMs for a Retry-After that is a date. */
export function judge(
  reply: HttpReply | HttpFailure,
  rowOf: (entry: number) => number | undefined,
  wallMs: number,
): Outcome {
  if ("error" in reply)
    return {
      kind: "retry",
      code: reply.code,
      reason: `${reply.endpoint} gave no answer (${reply.error}); can the node reach it?`,
    };
  const { status, body, endpoint } = reply;
  const code = String(status);
  const json = parse(body);
  if (status === 200) {
    if (json !== undefined && !("error" in json)) return { kind: "delivered", code };
    const reason = `${endpoint} answered 200 with something that is no answer of Cloud Logging; is there a proxy that answers in its place?`;
    return { kind: "retry", code, reason };
  }
  const error = errorOf(json);
  const details = (Array.isArray(error?.details) ? error.details : []) as readonly (Record<string, unknown> | null)[];
  const entryErrors = details.find((detail) => detail?.["@type"] === PARTIAL_ERRORS)?.logEntryErrors;
  const wait = waitOf(reply, error?.status, details, wallMs);
  if (typeof entryErrors === "object" && entryErrors !== null)
    return judgeEntries(code, endpoint, entryErrors as Record<string, Status | null>, rowOf, wait);
  const message = typeof error?.message === "string" ? error.message : body.replace(/\s+/g, " ").trim().slice(0, 200);
  if (status === 413) return { kind: "split", code, type: "request_too_large", reason: message || "too large" };
  if (status === 400 && error?.status === "INVALID_ARGUMENT" && !OPERATORS_MISTAKE.test(message))
    return { kind: "split", code, type: "INVALID_ARGUMENT", reason: message };
  return { kind: "retry", code, reason: sentence(`${endpoint} answered ${code}`, message, ADVICE[code]), ...wait };
}

function judgeEntries(
  code: string,
  endpoint: string,
  errors: Record<string, Status | null>,
  rowOf: (entry: number) => number | undefined,
  wait: { afterMs?: number },
): Outcome {
  const rejected = new Map<number, Rejected>();
  const retry = new Set<number>();
  let why = "";
  for (const [index, error] of Object.entries(errors)) {
    const row = rowOf(Number(index));
    if (row === undefined) {
      const reason = `${endpoint} answered ${code} with an error for entry ${index}, which was not sent`;
      return { kind: "retry", code, reason, ...wait };
    }
    const rpc = typeof error?.code === "number" ? error.code : -1;
    const reason = typeof error?.message === "string" ? error.message : "";
    if (FOR_GOOD.has(rpc)) {
      if (!rejected.has(row)) rejected.set(row, { row, type: CODE_NAMES[rpc] as string, reason });
    } else {
      retry.add(row);
      why ||= sentence(`${endpoint} refused records with code ${rpc}`, reason, rpc === 7 ? ADVICE[403] : undefined);
    }
  }
  // Of a row in parts one may be refused and another be busy: it can't become whole, so it does not go again.
  for (const row of rejected.keys()) retry.delete(row);
  const ascending = (a: number, b: number): number => a - b;
  return {
    kind: "mixed",
    code,
    retry: [...retry].sort(ascending),
    rejected: [...rejected.values()].sort((a, b) => a.row - b.row),
    reason: retry.size === 0 ? "" : why,
    ...wait,
  };
}

/** How long to wait: as a header says, or google.rpc.RetryInfo, else a while for quotas. */
function waitOf(
  { headers }: HttpReply,
  status: unknown,
  details: readonly (Record<string, unknown> | null)[],
  wallMs: number,
): { afterMs?: number } {
  const delay = details.find((detail) => detail?.["@type"] === RETRY_INFO)?.retryDelay;
  const seconds = typeof delay === "string" && /^\d+(\.\d+)?s$/.test(delay) ? Number.parseFloat(delay) : undefined;
  const quota = status === "RESOURCE_EXHAUSTED" ? QUOTA_MIN_MS + Math.random() * QUOTA_SPREAD_MS : undefined;
  const afterMs =
    retryAfterMs(headers, wallMs) ?? (seconds === undefined ? quota : Math.min(seconds * 1000, MAX_DELAY_MS));
  return afterMs === undefined ? {} : { afterMs };
}

/** Answers of proxies have none. */
function errorOf(json: Record<string, unknown> | undefined): Status | undefined {
  const error = json?.error;
  return typeof error === "object" && error !== null ? error : undefined;
}

function parse(body: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(body);
    return typeof json === "object" && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function sentence(what: string, details: string, advice: string | undefined): string {
  return `${what}${details === "" ? "" : ` (${details})`}${advice === undefined ? "" : `; ${advice}`}`;
}
