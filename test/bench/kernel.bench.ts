/**
 * What each kernel costs beside its twin, in CPU time on one core: `npm run bench:micro`.
 * The least of several rounds counts, since whatever disturbs a round only adds to it.
 */
import { crc32, gzipSync } from "node:zlib";
import { compress as compressSnappyJs } from "snappyjs";
import { Rows } from "../../agent/batch.ts";
import { type Kernel, takeKernel } from "../../agent/kernel/kernel.ts";
import { Scanner } from "../../agent/parse/scanner.ts";
import type { Origin } from "../../agent/pods/origin.ts";
import { JsonFormat } from "../../agent/process/json.ts";
import { compress } from "../../outputs/gzip.ts";
import { compressSnappy } from "../../outputs/snappy.ts";
import { elasticsearchOutput } from "../support/elasticsearch-output.ts";
import { withKernels } from "../support/kernels.ts";
import { lokiOutput } from "../support/loki-output.ts";
import { origin as bare, rowsOf } from "../support/rows.ts";
import { stackdriverOutput } from "../support/stackdriver-output.ts";
import { LogData } from "./data.ts";

const CHUNK_BYTES = 64 * 1024;
const CHUNKS = 256;
const ROUNDS = 7;
const BODY_BYTES = 4 * 1024 * 1024;
const PUSH_BYTES = 1024 * 1024;

const origin: Origin = {
  ...bare,
  cluster: "prod",
  ip: "10.1.2.3",
  image: "registry.example/shop/web:1.2.3",
  runtime: "containerd",
  workloadKind: "deployment",
  workload: "web",
  labels: { "app.kubernetes.io/name": "web", "app.kubernetes.io/part-of": "shop", team: "payments" },
};

/** As chunks of a log are read and scanned. */
function batches(): Rows[] {
  const data = new LogData(1);
  const scanner = new Scanner({ format: "auto", maxRecordBytes: 1024 * 1024 });
  let offset = 0;
  return Array.from({ length: CHUNKS }, () => {
    let text = "";
    while (text.length < CHUNK_BYTES) text += data.lines();
    const rows = new Rows();
    rows.reset(origin, { key: "k3Jx0aZ9bQwErTy1" });
    const bytes = Buffer.from(text);
    rows.reserve(bytes.length);
    rows.used = bytes.copy(rows.bytes);
    scanner.scan(rows, 0, rows.used, offset, false);
    offset += bytes.length;
    return rows;
  });
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Prints MB/s of `bytes`, and what `run` says it made of them. */
function measure(name: string, bytes: number, run: () => number): void {
  let best = Number.POSITIVE_INFINITY;
  let made = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const before = cpuMs();
    made = run();
    best = Math.min(best, cpuMs() - before);
  }
  const perSecond = (bytes / 1000 / best).toFixed(0).padStart(6);
  console.log(
    `${name.padEnd(64)} ${perSecond} MB/s  ${(best / bytes / 1e-6).toFixed(2).padStart(6)} s/GB  to ${((made / bytes) * 100).toFixed(1)} %`,
  );
}

const input = batches();
const logBytes = input.reduce((sum, { used }) => sum + used, 0);

function bulk(compression: "none" | "gzip", sink?: Buffer[]): number {
  const output = elasticsearchOutput(["http://127.0.0.1:1"], { compression });
  let bytes = 0;
  let request = output.open();
  for (const batch of input) {
    request.append(batch, 0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    if (request.bytes < BODY_BYTES) continue;
    const { body } = request.close();
    bytes += body.length;
    sink?.push(body);
    request = output.open();
  }
  return bytes + request.close().body.length;
}

/** As the lane drives it: a push of one container's two streams at a time. */
function push(): number {
  const output = lokiOutput("http://127.0.0.1:1");
  let bytes = 0;
  let request = output.open();
  const shut = (): void => {
    for (const { closed } of request.closeApart?.() ?? []) bytes += closed.body.length;
    request = output.open();
  };
  for (const batch of input)
    for (let at = 0; at < batch.rows; ) {
      at = request.append(batch, at, PUSH_BYTES, Number.POSITIVE_INFINITY);
      if (at < batch.rows) shut();
    }
  shut();
  return bytes;
}

console.log(`${(logBytes / 1e6).toFixed(0)} MB of log; figures per byte of log`);
for (const kernels of [true, false]) {
  const by = kernels ? "kernel" : "twin";
  measure(`Elasticsearch documents, ${by}`, logBytes, () => withKernels(kernels, () => bulk("none")));
  measure(`Elasticsearch documents and gzip, ${by}`, logBytes, () => withKernels(kernels, () => bulk("gzip")));
  measure(`Loki's entries and snappy, ${by}`, logBytes, () => withKernels(kernels, push));
}

function logged(): number {
  const output = stackdriverOutput("http://127.0.0.1:1", { compression: "none" });
  let bytes = 0;
  let request = output.open("1");
  for (const batch of input)
    for (let row = 0; row < batch.rows; ) {
      row = request.append(batch, row, BODY_BYTES, Number.POSITIVE_INFINITY);
      if (row === batch.rows) break;
      bytes += request.bytes;
      request = output.open("1");
    }
  return bytes + request.bytes;
}

/** The messages that are JSON, one behind the other. */
const objects = rowsOf(
  input
    .flatMap(({ bytes, from, to, rows }) =>
      Array.from({ length: rows }, (_, row) => bytes.toString("utf8", from[row], to[row])),
    )
    .filter((text) => text.startsWith("{")),
);

function structured(): number {
  const format = new JsonFormat();
  const fields = objects.members();
  fields.reset(objects.rows);
  format.begin();
  for (let row = 0; row < objects.rows; row++)
    format.parse(objects, objects.from[row] as number, objects.to[row] as number, fields, row);
  return fields.used;
}

for (const kernels of [true, false]) {
  const by = kernels ? "kernel" : "twin";
  measure(`Cloud Logging entries, ${by}`, logBytes, () => withKernels(kernels, logged));
  measure(`JSON objects and their members, ${by}`, objects.used, () => withKernels(kernels, structured));
}

const bodies: Buffer[] = [];
bulk("none", bodies);
const log = Buffer.concat(input.map(({ bytes, used }) => bytes.subarray(0, used)));
const logs = Array.from({ length: Math.ceil(log.length / BODY_BYTES) }, (_, i) =>
  log.subarray(i * BODY_BYTES, (i + 1) * BODY_BYTES),
);
for (const [what, parts] of [
  ["documents", bodies],
  ["logs", logs],
] as const) {
  const bytes = parts.reduce((sum, { length }) => sum + length, 0);
  const each = (pack: (body: Buffer) => Uint8Array) => () => parts.reduce((sum, body) => sum + pack(body).length, 0);
  console.log(`${(bytes / 1e6).toFixed(0)} MB of ${what}; figures per byte of them`);
  measure(
    "gzip, kernel",
    bytes,
    each((body) => compress(body, "gzip")),
  );
  measure(
    "gzip, twin: node:zlib, level 1",
    bytes,
    each((body) => gzipSync(body, { level: 1 })),
  );
  measure(
    "snappy, kernel",
    bytes,
    each((body) => compressSnappy([{ bytes: body }])),
  );
  measure(
    "snappy, twin",
    bytes,
    each((body) => withKernels(false, () => compressSnappy([{ bytes: body }]))),
  );
  measure(
    "snappy, snappyjs",
    bytes,
    each((body) => compressSnappyJs(body)),
  );
}

const kernel = takeKernel() as Kernel;
kernel.begin();
kernel.write(log, 0, log.length);
const piece = kernel.piece();
console.log("one piece of 256 KiB again and again; figures per byte of it");
for (const [name, sum] of [
  ["crc32, kernel", () => kernel.crc(1)],
  ["crc32, twin: node:zlib", () => crc32(piece, 1)],
] as const)
  measure(name, piece.length * CHUNKS, () => {
    for (let i = 0; i < CHUNKS; i++) sum();
    return 0;
  });
