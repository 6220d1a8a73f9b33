/**
 * The special fields of structured logs: members of a message that GKE's own agent moves to a field of the entry
 * (docs.cloud.google.com/logging/docs/structured-logging). What is not of the form that the API takes stays in the
 * payload, because there one wrong value costs the whole request.
 */
import { type Batch, SEVERITIES, STDERR } from "../agent/batch.ts";
import { QUOTE } from "../agent/parse/ascii.ts";
import { TimeParser } from "../agent/parse/time.ts";
import type { Member } from "./json-object.ts";

const PREFIX = "logging.googleapis.com/";
const TIME_KEYS = ["time", "timestamp", "timestampSeconds", "timestampNanos"];
export const SPECIAL_KEYS = [
  "severity",
  "level",
  "message",
  "httpRequest",
  ...TIME_KEYS,
  ...["labels", "insertId", "operation", "sourceLocation", "trace", "spanId", "trace_sampled"].map(
    (key) => PREFIX + key,
  ),
];

/**
 * A time farther from the record's own stays in the payload: the API refuses times a day ahead, and keeps silent about
 * those that are too old to be stored.
 */
const MAX_SKEW_SECONDS = 86_400;
/** All special fields of a record together, as JSON; the entry has room for so much beside its payload. */
const MAX_SPECIAL_BYTES = 16 * 1024;
const MAX_LABELS = 64;
const MAX_LABEL_KEY_BYTES = 512;
/** Labels that say where a record comes from can't be given by a message. */
const OUR_LABELS = /^(k8s-|compute\.googleapis\.com\/|logging\.gke\.io\/|tailrace\.io\/)/;

const ALIASES: Readonly<Record<string, readonly string[]>> = {
  DEFAULT: ["DEFAULT"],
  DEBUG: ["DEBUG", "D", "TRACE", "VERBOSE", "FINE", "FINER", "FINEST", "CONFIG"],
  INFO: ["INFO", "I", "INFORMATION", "INFORMATIONAL"],
  NOTICE: ["NOTICE", "N"],
  WARNING: ["WARNING", "W", "WARN"],
  ERROR: ["ERROR", "E", "ERR", "SEVERE"],
  CRITICAL: ["CRITICAL", "C", "CRIT", "F", "FATAL", "PANIC", "DPANIC"],
  ALERT: ["ALERT", "A"],
  EMERGENCY: ["EMERGENCY", "EMERG"],
};
const NAMES = new Map(Object.entries(ALIASES).flatMap(([name, aliases]) => aliases.map((alias) => [alias, name])));
const BY_HUNDRED = Object.keys(ALIASES);
/** The scale of `Batch.severity` in the API's names. */
const BY_INDEX = SEVERITIES.map((name) => NAMES.get(name.toUpperCase()) ?? "");
/** pino's and bunyan's levels, which `level` has as numbers. */
const BY_TEN = ["DEFAULT", "DEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

/** What processors found; "" when they found none. */
export function rowSeverity({ severity }: Pick<Batch, "severity">, row: number): string {
  return severity === undefined ? "" : (BY_INDEX[severity[row] as number] as string);
}

/** What is known of a row's severity without looking into its message. */
export function streamSeverity(flags: number): string {
  return (flags & STDERR) !== 0 ? "ERROR" : "INFO";
}

type Check = (value: unknown) => unknown;
const isString: Check = (value) => (typeof value === "string" ? value : undefined);
const isFlag: Check = (value) => (typeof value === "boolean" ? value : undefined);
/** JSON has 64-bit numbers as text. */
const isInt64: Check = (value) =>
  Number.isSafeInteger(value) || (typeof value === "string" && /^-?\d{1,18}$/.test(value)) ? String(value) : undefined;
const isStatus: Check = (value) => {
  const status = typeof value === "string" && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return Number.isInteger(status) && Math.abs(status as number) < 2 ** 31 ? status : undefined;
};
const isDuration: Check = (value) =>
  typeof value === "string" && /^\d{1,11}(\.\d{1,9})?s$/.test(value) ? value : undefined;

const HTTP_REQUEST: Readonly<Record<string, Check>> = {
  requestMethod: isString,
  requestUrl: isString,
  requestSize: isInt64,
  status: isStatus,
  responseSize: isInt64,
  userAgent: isString,
  remoteIp: isString,
  serverIp: isString,
  referer: isString,
  latency: isDuration,
  cacheLookup: isFlag,
  cacheHit: isFlag,
  cacheValidatedWithOriginServer: isFlag,
  cacheFillBytes: isInt64,
  protocol: isString,
};
const OPERATION: Readonly<Record<string, Check>> = { id: isString, producer: isString, first: isFlag, last: isFlag };
const SOURCE_LOCATION: Readonly<Record<string, Check>> = { file: isString, line: isInt64, function: isString };

/** Of one record, taken out of its message. One object for all records. */
export class SpecialFields {
  severity = "";
  /** What a member `level` says, which is no special field: worth more than a guess from the stream. */
  level = "";
  /** Whether the message has a time that holds: the three after it. */
  hasTime = false;
  seconds = 0;
  nanos = 0;
  digits = 0;
  /** "" when the message has none, as with the others. Texts are JSON. */
  insertId = "";
  /** Members of an object. */
  labels = "";
  trace = "";
  /** `trace` is a bare id, which lacks its project. */
  isBareTrace = false;
  /** More members of the entry, each with a comma behind. */
  more = "";
  /** Members of the payload that replace what was taken only in part. */
  left = "";
  /** The member `message`, if it is a text. */
  message: Member | undefined;
  readonly #time = new TimeParser();

  reset(): void {
    this.severity = this.level = this.insertId = this.labels = this.trace = this.more = this.left = "";
    this.hasTime = this.isBareTrace = false;
    this.message = undefined;
  }

  /**
   * Looks at the members found in a message.
   * @param rowSeconds the record's own time. @param labels how many labels the entry has already.
   * @param withTime whether times are taken; else they stay.
   * @returns those that are taken and leave the payload, in order.
   */
  take(bytes: Buffer, found: readonly Member[], rowSeconds: number, labels: number, withTime: boolean): Member[] {
    const taken: Member[] = [];
    let room = MAX_SPECIAL_BYTES;
    for (const member of found) {
      const { key, valueStart, valueEnd } = member;
      if (key === "message") {
        if (bytes[valueStart] === QUOTE) this.message = member;
        continue;
      }
      if (!withTime && TIME_KEYS.includes(key)) continue;
      const length = valueEnd - valueStart;
      if (length > room) continue;
      if (key === "time" && bytes[valueStart] === QUOTE) {
        if (!this.hasTime && this.#time.parse(bytes, valueStart + 1, valueEnd - 1) === valueEnd - 1) {
          const { seconds, nanos, digits } = this.#time;
          if (this.#setTime(seconds, nanos, digits, rowSeconds)) taken.push(member);
        }
        continue;
      }
      // Its two halves are looked at together, below.
      if (key === "timestampSeconds" || key === "timestampNanos") continue;
      if (!this.#takeOne(key, JSON.parse(bytes.toString("utf8", valueStart, valueEnd)), rowSeconds, labels)) continue;
      room -= length;
      taken.push(member);
    }
    const seconds = withTime ? found.find(({ key }) => key === "timestampSeconds") : undefined;
    if (seconds !== undefined && !this.hasTime) this.#takeHalves(bytes, seconds, found, rowSeconds, taken);
    return taken;
  }

  #takeHalves(bytes: Buffer, seconds: Member, found: readonly Member[], rowSeconds: number, taken: Member[]): void {
    const nanos = found.find(({ key }) => key === "timestampNanos");
    if (nanos === undefined) return;
    const [s, n] = [seconds, nanos].map(({ valueStart, valueEnd }) => bytes.toString("latin1", valueStart, valueEnd));
    if (!this.#setTime(wholeNumber(s), wholeNumber(n), 9, rowSeconds)) return;
    taken.push(seconds, nanos);
    taken.sort((a, b) => a.start - b.start);
  }

  #takeOne(key: string, value: unknown, rowSeconds: number, labels: number): boolean {
    switch (key) {
      case "severity":
        return this.#takeSeverity(value);
      case "level":
        this.level = levelSeverity(value);
        return false;
      case "timestamp": {
        const { seconds, nanos = 0 } = (value ?? {}) as { seconds?: unknown; nanos?: unknown };
        return !this.hasTime && this.#setTime(wholeNumber(seconds), wholeNumber(nanos), 9, rowSeconds);
      }
      case "httpRequest":
        return this.#takeTyped("httpRequest", value, HTTP_REQUEST, true);
      case `${PREFIX}operation`:
        return this.#takeTyped("operation", value, OPERATION, false);
      case `${PREFIX}sourceLocation`:
        return this.#takeTyped("sourceLocation", value, SOURCE_LOCATION, false);
      case `${PREFIX}labels`:
        return this.#takeLabels(value, labels);
      case `${PREFIX}insertId`:
        if (typeof value !== "string" || value === "" || Buffer.byteLength(value) > 512) return false;
        this.insertId = JSON.stringify(value);
        return true;
      case `${PREFIX}trace`:
        if (typeof value !== "string" || value === "") return false;
        this.isBareTrace = /^[0-9a-f]{1,32}$/i.test(value);
        this.trace = JSON.stringify(value).slice(1, -1);
        return true;
      case `${PREFIX}spanId`:
        if (typeof value !== "string" || value === "") return false;
        this.more += `"spanId":${JSON.stringify(value)},`;
        return true;
      default:
        if (typeof value !== "boolean") return false;
        this.more += `"traceSampled":${value},`;
        return true;
    }
  }

  #takeSeverity(value: unknown): boolean {
    const severity = severityOf(value);
    if (severity === undefined) return false;
    this.severity = severity;
    return true;
  }

  #setTime(seconds: number, nanos: number, digits: number, rowSeconds: number): boolean {
    if (!(Math.abs(seconds - rowSeconds) <= MAX_SKEW_SECONDS && nanos >= 0 && nanos <= 999_999_999)) return false;
    this.hasTime = true;
    this.seconds = seconds;
    this.nanos = nanos;
    this.digits = digits;
    return true;
  }

  /** @param inPart what does not fit stays behind; else nothing is taken. */
  #takeTyped(name: string, value: unknown, checks: Readonly<Record<string, Check>>, inPart: boolean): boolean {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    const good: [string, unknown][] = [];
    const bad: [string, unknown][] = [];
    for (const [key, item] of Object.entries(value)) {
      const checked = Object.hasOwn(checks, key) ? checks[key]?.(item) : undefined;
      if (checked === undefined) bad.push([key, item]);
      else good.push([key, checked]);
    }
    if (good.length === 0 || (bad.length > 0 && !inPart)) return false;
    this.more += `"${name}":${JSON.stringify(Object.fromEntries(good))},`;
    if (bad.length > 0) this.left += `,"${name}":${JSON.stringify(Object.fromEntries(bad))}`;
    return true;
  }

  #takeLabels(value: unknown, before: number): boolean {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
    const entries = Object.entries(value);
    const fits = ([key, item]: [string, unknown]): boolean =>
      typeof item === "string" && key !== "" && Buffer.byteLength(key) <= MAX_LABEL_KEY_BYTES && !OUR_LABELS.test(key);
    if (entries.length === 0 || entries.length + before > MAX_LABELS || !entries.every(fits)) return false;
    this.labels = JSON.stringify(value).slice(1, -1);
    return true;
  }
}

/** The API's name of a severity that a special field gives. */
export function severityOf(value: unknown): string | undefined {
  const hundred = typeof value === "number" || (typeof value === "string" && /^\d+$/.test(value)) ? Number(value) : -1;
  return hundred < 0 ? NAMES.get(String(value).toUpperCase()) : BY_HUNDRED[Math.floor(hundred / 100)];
}

/** Of a text, or of a number as pino and bunyan have them; "" when it says nothing. */
export function levelSeverity(value: unknown): string {
  if (typeof value === "number") return (value >= 10 && BY_TEN[Math.floor(value / 10)]) || "";
  return (typeof value === "string" && NAMES.get(value.toUpperCase())) || "";
}

/** NaN for what is none. */
function wholeNumber(value: unknown): number {
  if (typeof value === "string" && /^\d{1,15}$/.test(value)) return Number(value);
  return Number.isSafeInteger(value) ? (value as number) : Number.NaN;
}
