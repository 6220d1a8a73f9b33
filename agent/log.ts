/**
 * The agent's own log: JSON lines on stderr, readable text when stderr is a terminal. Never holds a secret, nor a
 * shipped message above level debug.
 */
import { pino } from "pino";
import { isoTime } from "./clock.ts";

export type Level = "debug" | "info" | "warn" | "error";
type Fields = Readonly<Record<string, unknown>>;

/** Fields first, then a sentence. `child` adds fields to every line. */
export interface Log {
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
  child(fields: Fields): Log;
  level: string;
}

interface Destination {
  write(line: string): unknown;
}

const COLOURS: Record<string, string> = { debug: "\x1b[2m", info: "\x1b[36m", warn: "\x1b[33m", error: "\x1b[31m" };

/** One line of JSON as a person reads it. */
function readable(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const name = String(level);
  const rest = Object.entries(fields).map(([k, v]) => ` ${k}=${typeof v === "string" ? v : JSON.stringify(v)}`);
  return `${String(time).slice(11, 23)} ${COLOURS[name] ?? ""}${name.padEnd(5)}\x1b[0m ${String(msg)}\x1b[2m${rest.join("")}\x1b[0m\n`;
}

/** @param destination where lines go; each write is one whole line. */
export function createLog(
  level: Level,
  destination: Destination = process.stderr,
  terminal = process.stderr.isTTY,
): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${isoTime(Date.now())}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    terminal ? { write: (line: string) => destination.write(readable(line)) } : destination,
  );
}

/** Lets the same warning through at most once in `everyMs`, and says how many it swallowed. Keys are few and bounded. */
export class Throttle {
  readonly #everyMs: number;
  readonly #now: () => number;
  readonly #seen = new Map<string, { at: number; swallowed: number }>();

  constructor(everyMs: number, now: () => number) {
    this.#everyMs = everyMs;
    this.#now = now;
  }

  /** @returns how many were swallowed since the last one let through, or -1 when this one is to be swallowed too. */
  pass(key: string): number {
    const now = this.#now();
    const seen = this.#seen.get(key);
    if (seen !== undefined && now - seen.at < this.#everyMs) {
      seen.swallowed++;
      return -1;
    }
    if (this.#seen.size >= 1000) this.#seen.clear();
    this.#seen.set(key, { at: now, swallowed: 0 });
    return seen?.swallowed ?? 0;
  }
}
