/**
 * What an answer to a push means. Only 200 and 204 deliver, and they speak for the last stream of a push alone; which
 * streams may share one is decided before. A row is rejected only when it can never go in.
 *
 * Seen on Loki 3.7: a 400 stores what is good, and sending that again is harmless, as it is recognised. So the rows that
 * the text blames are rejected and the rest goes again, each stream by itself, since an error of one stream can hide
 * that of another. Where no row is blamed, halving finds it.
 */
import { type HttpFailure, type HttpReply, retryAfterMs } from "./http.ts";
import type { DecodedStream } from "./loki-encoding.ts";
import type { Outcome, Rejected } from "./output.ts";

/** What was asked, as far as it decides what the answer means. */
export interface Asked {
  readonly rows: number;
  /** Before compression. */
  readonly bytes: number;
  /** How often the same request was over a rate already. */
  readonly refusals: number;
  /** Whether other tenants have requests too, which must not wait for this one's limits. */
  readonly manyTenants: boolean;
  /** Takes the request apart. */
  decode(): readonly DecodedStream[];
}

/** A row as far as refusals are about it. */
interface Row {
  readonly stream: number;
  readonly seconds: number;
  readonly lineBytes: number;
}

/** The operator's to put right: no record is at fault. */
const OPERATORS_MISTAKE =
  /no org id|org id|tenant|at least one label pair|label names; limit|missing required labels|this feature is disallowed|no media type/i;

/** Refused for what it is; the text need not say which row. */
const THE_RECORD =
  /too old|too new|too far behind|out of order|max entry size|structured metadata|parse labels|error parsing labels|label name|label value|total ignored|parse error|decode|unmarshal|proto:|json|loghttp|invalid|snappy|corrupt/i;

/** So often a push is refused for a rate before it is taken for more than the burst, which no answer names. */
const PATIENCE = 3;
/** Less than any burst that makes sense: what is smaller waits for the rate. */
const SMALL_BYTES = 16 * 1024;

const ADVICE: Readonly<Record<string, string>> = {
  "260": "ingestion is blocked for the tenant (limits block_ingestion_*); nothing was stored",
  "401": "check the credentials under auth, and tenant",
  "403": "check the credentials under auth",
  "404": "is the endpoint's path right?",
  "422": "is the endpoint Loki?",
};

/** @param wallMs for a Retry-After that is a date. */
export function judge(reply: HttpReply | HttpFailure, asked: Asked, wallMs: number): Outcome {
  if ("error" in reply)
    return {
      kind: "retry",
      code: reply.code,
      reason: `${reply.endpoint} gave no answer (${reply.error}); is the address right, and the server up?`,
    };
  const { status } = reply;
  const code = String(status);
  if (status === 200 || status === 204) return { kind: "delivered", code };
  const text = reply.body.replace(/\s+/g, " ").trim();
  const said = text.slice(0, 300);
  const large = (): Outcome => ({
    kind: "split",
    code,
    type: "request_too_large",
    reason: said || "request too large",
  });
  if (status === 413) return large();
  // The limit of the messages between Loki's parts.
  if (status === 500 && /message larger than max/.test(text)) return large();
  const afterMs = retryAfterMs(reply.headers, wallMs);
  const advice = adviceOf(status, text);
  const reason = `${reply.endpoint} answered ${code}${said === "" ? "" : ` (${said})`}${advice === "" ? "" : `; ${advice}`}`;
  const retry = (alone: boolean): Outcome => ({
    kind: "retry",
    code,
    reason,
    ...(afterMs === undefined ? {} : { afterMs }),
    ...(alone ? { alone } : {}),
  });
  if (status === 429) return judgeBusy(text, asked, code, reason, retry);
  if (status === 400 && !OPERATORS_MISTAKE.test(text) && THE_RECORD.test(text)) return judgeRefused(text, asked, code);
  // What Loki itself says is about the tenant; of all else the backend is the cause.
  return retry(asked.manyTenants && (status === 260 || (status >= 400 && status < 500)));
}

/** The tenant's rate is all or nothing; limits of streams leave those that have room. */
function judgeBusy(
  text: string,
  asked: Asked,
  code: string,
  reason: string,
  retry: (alone: boolean) => Outcome,
): Outcome {
  const limit = rateLimitBytes(text);
  // More than a second's worth may never pass, as bursts are limited too; and a burst may be less than that.
  const stuck = asked.refusals >= PATIENCE && asked.bytes > SMALL_BYTES;
  const large = limit !== undefined && (asked.bytes > limit || stuck) && asked.rows > 1;
  if (/^ingestion rate limit/i.test(text))
    return large ? { kind: "split", code, type: "rate_limited", reason } : retry(asked.manyTenants);
  if (!/stream/i.test(text)) return retry(asked.manyTenants);
  const rows = rowsOf(asked);
  if (new Set(rows.map(({ stream }) => stream)).size > 1)
    return { kind: "split", code, type: "stream_limited", reason, into: streamsApart(rows, new Set()) };
  return large ? { kind: "split", code, type: "stream_limited", reason, into: halves(rows) } : retry(true);
}

function judgeRefused(text: string, asked: Asked, code: string): Outcome {
  const rows = rowsOf(asked);
  const streams = new Set(rows.map(({ stream }) => stream)).size;
  const type = typeOf(text);
  const reason = text.slice(0, 300);
  const rejected = blamed(text, rows, streams).map(({ row, type }): Rejected => ({ row, type, reason }));
  const gone = new Set(rejected.map(({ row }) => row));
  if (rejected.length > 0 || streams > 1)
    return { kind: "split", code, type, reason, rejected, into: streamsApart(rows, gone) };
  if (rows.length === 1) return { kind: "split", code, type, reason, rejected: [{ row: 0, type, reason }], into: [] };
  return { kind: "split", code, type, reason, into: halves(rows) };
}

/** The rows that are surely meant: limits that the text names are held against all of them, as it names few rows. */
function blamed(text: string, rows: readonly Row[], streams: number): { row: number; type: string }[] {
  const tooOld = earliest(text, /timestamp too old: \S+, oldest acceptable timestamp is: (\S+?Z)/g);
  // How far is too far differs by stream, so the text is about the rows only where there is one.
  const tooFarBehind =
    streams > 1 ? undefined : earliest(text, /too far behind, .*?oldest acceptable timestamp is: (\S+?Z)/g);
  const tooNew = earliest(text, /timestamp too new: (\S+?Z)/g);
  // Its fraction is cut off, so of several rows within that second some may be good.
  const newAlone = rows.filter(({ seconds }) => seconds === tooNew).length === 1;
  const maxLine = Math.max(...[...text.matchAll(/max entry size '(\d+)' bytes/gi)].map(([, bytes]) => Number(bytes)));
  return rows.flatMap(({ seconds, lineBytes }, row) => {
    if (maxLine > 0 && lineBytes > maxLine) return [{ row, type: "line_too_long" }];
    if (tooOld !== undefined && seconds < tooOld) return [{ row, type: "too_old" }];
    if (tooFarBehind !== undefined && seconds < tooFarBehind) return [{ row, type: "too_far_behind" }];
    if (tooNew !== undefined && (seconds > tooNew || (seconds === tooNew && newAlone)))
      return [{ row, type: "too_new" }];
    return [];
  });
}

/** The earliest of the times, in whole seconds since 1970. */
function earliest(text: string, pattern: RegExp): number | undefined {
  const times = [...text.matchAll(pattern)].map(([, time = ""]) => Math.floor(Date.parse(time) / 1000));
  const known = times.filter((time) => !Number.isNaN(time));
  return known.length === 0 ? undefined : Math.min(...known);
}

/** Bytes a second, where a limit is named: "limit: 4194304 bytes/sec" or "limit: 3MB/sec", by 1024. */
export function rateLimitBytes(text: string): number | undefined {
  const [, number, unit = ""] = /limit: ([\d.]+) ?([kKMG]?)i?(?:B|bytes)\/sec/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * 1024 ** " KMG".indexOf(unit.toUpperCase() || " ");
}

/** A short name for the counter: Loki's own, where it is plain. */
function typeOf(text: string): string {
  if (/too old/.test(text)) return "too_old";
  if (/too new/.test(text)) return "too_new";
  if (/too far behind|out of order/.test(text)) return "too_far_behind";
  if (/max entry size/i.test(text)) return "line_too_long";
  if (/structured metadata/.test(text)) return "structured_metadata";
  if (/label/.test(text)) return "invalid_labels";
  return "refused";
}

function adviceOf(status: number, text: string): string {
  if (/this feature is disallowed/.test(text))
    return "set structuredMetadata to {} or let Loki allow it (limits allow_structured_metadata)";
  if (/label names; limit/.test(text)) return "give this output fewer labels";
  if (/missing required labels/.test(text)) return "add these labels to this output";
  if (/active stream limit/i.test(text)) return "use fewer labels, or raise the tenant's max_global_streams_per_user";
  if (/no org id/.test(text)) return "set tenant";
  return ADVICE[status] ?? "";
}

function rowsOf({ decode }: Asked): Row[] {
  return decode().flatMap(({ entries }, stream) =>
    entries.map(({ seconds, lineBytes }) => ({ stream, seconds, lineBytes })),
  );
}

/** The rows of each stream that are left. */
function streamsApart(rows: readonly Row[], gone: ReadonlySet<number>): number[][] {
  const left = rows.map((_, row) => row).filter((row) => !gone.has(row));
  return [...Map.groupBy(left, (row) => (rows[row] as Row).stream).values()];
}

function halves(rows: readonly Row[]): number[][] {
  const all = rows.map((_, row) => row);
  return [all.slice(0, all.length >> 1), all.slice(all.length >> 1)];
}
