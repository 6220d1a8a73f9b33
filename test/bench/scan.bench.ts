/**
 * MB/s of CPU time of the Scanner, over chunks already in memory, with its kernel and without: `node test/bench/scan.bench.ts`.
 * The least of several rounds' times counts, since whatever disturbs a round only adds to it.
 */
import { Rows } from "../../agent/batch.ts";
import { Scanner } from "../../agent/parse/scanner.ts";
import { withKernels } from "../support/kernels.ts";

const CHUNK_BYTES = 64 * 1024;
const ROUND_BYTES = 64 * 1024 * 1024;
const ROUNDS = 7;

function time(line: number): string {
  return new Date(1_772_359_200_000 + line).toISOString().replace("Z", `${String(100_000 + (line % 900_000))}Z`);
}

/** One chunk of whole lines. */
function fill(makeLine: (line: number) => string): Buffer {
  let text = "";
  for (let line = 0; text.length < CHUNK_BYTES; line++) text += makeLine(line);
  return Buffer.from(text);
}

const words =
  "GET /api/v1/orders/1234 200 user=alice duration=12.4ms bytes=5120 trace=4bf92f3577b34da6a3ce929d0e0e4736 ";
const json = `{"level":"info","msg":"order stored","user":"alice","ms":12.4,"trace":"4bf92f3577b34da6a3ce929d0e0e4736"}`;
const inputs: Record<string, Buffer> = {
  "CRI, 150 bytes a line": fill((line) => `${time(line)} stdout F ${words.repeat(2).slice(0, 109)}\n`),
  "CRI, 60 bytes a line": fill((line) => `${time(line)} stderr F ${words.slice(0, 19)}\n`),
  "CRI, in parts of 16 KiB": fill(
    (line) => `${time(line)} stdout ${line % 4 === 3 ? "F" : "P"} ${words.repeat(200).slice(0, 16_384)}\n`,
  ),
  "CRI, Latin-1 in each line": Buffer.from(
    fill((line) => `${time(line)} stdout F ${words}#\n`).map((byte) => (byte === 0x23 ? 0xe9 : byte)),
  ),
  "docker, 150 bytes a line": fill(
    (line) => `{"log":"${words.slice(0, 80)}\\n","stream":"stdout","time":"${time(line)}"}\n`,
  ),
  "docker, JSON in it": fill((line) => `${JSON.stringify({ log: `${json}\n`, stream: "stdout", time: time(line) })}\n`),
  "no format at all": fill(() => `${words}\n`),
};

/** CPU time of the best round over a chunk, in milliseconds, and how many chunks and rows that were. */
function measure(chunk: Buffer): { bestMs: number; chunks: number; rowsOfChunk: number } {
  const scanner = new Scanner({ format: "auto", maxRecordBytes: 1024 * 1024 });
  const rows = new Rows(4 * CHUNK_BYTES, 4096);
  const chunks = Math.ceil(ROUND_BYTES / chunk.length);
  let bestMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < chunks; i++) {
      rows.reset({} as Rows["origin"], { key: "bench" });
      rows.used = chunk.copy(rows.bytes);
      scanner.scan(rows, 0, rows.used, i * chunk.length, false);
    }
    const { user, system } = process.cpuUsage(before);
    bestMs = Math.min(bestMs, (user + system) / 1000);
  }
  return { bestMs, chunks, rowsOfChunk: rows.rows };
}

for (const [name, chunk] of Object.entries(inputs))
  for (const kernels of [true, false]) {
    const { bestMs, chunks, rowsOfChunk } = withKernels(kernels, () => measure(chunk));
    const megabytesPerSecond = (chunks * chunk.length) / 1000 / bestMs;
    const nanosPerRow = (bestMs * 1e6) / (chunks * rowsOfChunk);
    console.log(
      `${name.padEnd(28)} ${kernels ? "kernel" : "twin  "} ${megabytesPerSecond.toFixed(0).padStart(6)} MB/s ${nanosPerRow.toFixed(0).padStart(7)} ns a row`,
    );
  }
