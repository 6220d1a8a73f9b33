/**
 * MB/s of the Scanner on one core, over chunks already in memory: `node test/bench/scan.bench.ts`.
 * The least of several rounds' times counts, since whatever disturbs a round only adds to it.
 */
import { Rows } from "../../agent/batch.ts";
import { Scanner } from "../../agent/parse/scanner.ts";

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

for (const [name, chunk] of Object.entries(inputs)) {
  const scanner = new Scanner({ format: "auto", maxRecordBytes: 1024 * 1024 });
  const rows = new Rows(4 * CHUNK_BYTES, 4096);
  const chunks = Math.ceil(ROUND_BYTES / chunk.length);
  let best = Number.POSITIVE_INFINITY;
  let lines = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = performance.now();
    for (let i = 0; i < chunks; i++) {
      rows.reset({} as Rows["origin"], { key: "bench" });
      rows.used = chunk.copy(rows.bytes);
      scanner.scan(rows, 0, rows.used, i * chunk.length, false);
      lines = rows.rows;
    }
    best = Math.min(best, performance.now() - before);
  }
  const megabytesPerSecond = (chunks * chunk.length) / 1000 / best;
  const nanosPerRow = (best * 1e6) / (chunks * lines);
  console.log(
    `${name.padEnd(28)} ${megabytesPerSecond.toFixed(0).padStart(6)} MB/s ${nanosPerRow.toFixed(0).padStart(7)} ns a row`,
  );
}
