/**
 * Dead letters of Loki: a record as a push of its own in JSON, which Loki would take as it is, with its tenant beside the
 * streams; and the way back.
 *
 *   {"tenant":"shop","streams":[{"stream":{"app":"web"},"values":[["1790000000123456789","hello",{"pod":"web-0"}]]}]}
 */
import { Rows } from "../agent/batch.ts";
import { type DecodedEntry, type Encoding, type LabelPairs, labelsText, parseLabels } from "./loki-encoding.ts";
import { closePush, type PushRequest } from "./loki-push.ts";
import type { Streams } from "./loki-streams.ts";

interface Letter {
  /** "": none was named. */
  readonly tenant: string;
  readonly labels: LabelPairs;
  readonly time: bigint;
  readonly line: string;
  readonly metadata: LabelPairs;
}

const SECOND = 1_000_000_000n;

export function letterOf(tenant: string, labels: string, entry: DecodedEntry): string {
  const { seconds, nanos } = entry;
  const time = String(BigInt(seconds) * SECOND + BigInt(nanos));
  const values = [[time, entry.line(), Object.fromEntries(entry.metadata())]];
  const streams = [{ stream: Object.fromEntries(parseLabels(labels)), values }];
  return JSON.stringify(tenant === "" ? { streams } : { tenant, streams });
}

/** One push of the first of the letters that are of one stream. */
export function restorePush(encoding: Encoding, streams: Streams, entries: readonly string[]): PushRequest {
  const first = parse(entries[0] ?? "");
  const together = [first];
  const key = (letter: Letter): string => `${letter.tenant}\n${labelsText(letter.labels)}`;
  for (let at = 1; at < entries.length; at++) {
    const letter = parse(entries[at] ?? "");
    if (key(letter) !== key(first)) break;
    together.push(letter);
  }
  const stream = streams.stream(first.tenant, first.labels);
  const writer = encoding.writer();
  const rows = new Rows(64, 1);
  const ends = together.map(({ time, line, metadata }) => {
    const from = writer.length;
    const bytes = Buffer.from(line);
    rows.used = 0;
    rows.rows = 0;
    rows.reserve(bytes.length);
    rows.add();
    bytes.copy(rows.bytes);
    rows.from[0] = 0;
    rows.to[0] = bytes.length;
    rows.seconds[0] = secondsOf(time);
    rows.nanos[0] = Number(time - BigInt(secondsOf(time)) * SECOND);
    encoding.entry(writer, rows, 0, encoding.metadata(metadata), [], []);
    return { from, to: writer.length };
  });
  const streamBody = { head: stream.head, entries: ends.map(({ from, to }) => ({ bytes: writer.view(from, to) })) };
  const times = together.map(({ time }) => Number(time) / 1e9);
  const [oldest, newest] = [Math.min(...times), Math.max(...times)];
  const bytes = ends.reduce((sum, { from, to }) => sum + to - from, 0);
  return closePush(encoding, [streamBody], [{ stream, rows: together.length, bytes, oldest, newest }]);
}

function parse(text: string): Letter {
  const { tenant = "", streams } = JSON.parse(text) as {
    tenant?: string;
    streams: [{ stream: Record<string, string>; values: [[string, string, Record<string, string>]] }];
  };
  const [{ stream, values }] = streams;
  const [[time, line, metadata]] = values;
  return { tenant, labels: Object.entries(stream), time: BigInt(time), line, metadata: Object.entries(metadata) };
}

/** Whole seconds, rounded down also before 1970. */
function secondsOf(time: bigint): number {
  const seconds = time / SECOND;
  return Number(time < 0n && seconds * SECOND !== time ? seconds - 1n : seconds);
}
