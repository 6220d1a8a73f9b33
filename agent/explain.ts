/**
 * `tailrace explain`: a dry run. Reads a log, and tells for each record what each processor did, which rule dropped it and
 * what each output would send. Sends nothing, moves no checkpoint, asks no API server: of the origin it knows what the
 * file's path tells.
 *
 * A line that is neither CRI nor docker is taken for a message of standard output, so that any app's log can be tried.
 */
import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import split2 from "split2";
import { createOutput } from "../outputs/index.ts";
import type { Output } from "../outputs/output.ts";
import { type Batch, DROPPED, Rows, SEVERITIES, STDERR, UNPARSED } from "./batch.ts";
import { isoTime } from "./clock.ts";
import type { Config } from "./config/schema.ts";
import { createLog } from "./log.ts";
import { Scanner } from "./parse/scanner.ts";
import type { Origin } from "./pods/origin.ts";
import { Plan } from "./process/plan.ts";
import type { Processor } from "./process/processor.ts";
import { identify } from "./tail/path.ts";

type Print = (text: string) => void;

/** One output, with processors of its own. */
interface Route {
  readonly name: string;
  readonly plan: Plan;
  readonly processors: readonly Processor[];
  readonly output: Output;
}

const GENERATION = { key: "explained" };
const MAX_SHOWN = 200;

/**
 * @param file a log file, also compressed; "-" for `stdin`.
 * @param nowSeconds the time of lines that have none, in whole seconds since 1970.
 * @param writable waits until more may be printed; false: nobody reads it any more.
 * @throws system errors of reading.
 */
export async function explain(
  config: Config,
  file: string,
  stdin: Readable,
  nowSeconds: number,
  env: Readonly<Record<string, string | undefined>>,
  print: Print,
  writable: () => Promise<boolean>,
): Promise<void> {
  const origin = originOf(config, file);
  const routes = config.outputs.map((output): Route => {
    const { processors, source } = config;
    const { name, match, processors: own } = output;
    const plan = new Plan({ output: name, common: processors, match, own, maxRecordBytes: source.maxRecordBytes });
    return {
      name,
      plan,
      processors: plan.steps(undefined).map((step) => step.create()),
      output: createOutput(output, { env, log: createLog("error") }),
    };
  });
  const explainer = new Explainer(config, origin, routes, nowSeconds, print);
  try {
    for await (const line of linesOf(file, stdin)) {
      explainer.line(line);
      if (!(await writable())) return;
    }
    explainer.end();
  } finally {
    await Promise.all(routes.map(({ output }) => output.close()));
  }
}

/** Lines with their line ends, as bytes. */
async function* linesOf(file: string, stdin: Readable): AsyncGenerator<Buffer> {
  const source = file === "-" ? stdin : createReadStream(file);
  const plain = file.endsWith(".gz") ? source.compose(createGunzip()) : source;
  // split2 makes text of bytes; as Latin-1 none is lost on the way.
  const text = plain.map((chunk: Buffer) => Buffer.from(chunk.toString("latin1")));
  for await (const line of text.compose(split2(/(?<=\n)/)) as AsyncIterable<string>) yield Buffer.from(line, "latin1");
}

function originOf({ nodeName, clusterName }: Config, file: string): Origin {
  const known = identify(file, resolve(file));
  return {
    path: file,
    namespace: known?.namespace ?? "unknown",
    pod: known?.pod ?? "unknown",
    uid: known?.uid ?? "",
    container: known?.container ?? "unknown",
    restart: known?.restart ?? 0,
    containerId: known?.containerId ?? "",
    cluster: clusterName,
    node: nodeName,
    ip: "",
    image: "",
    runtime: "",
    workloadKind: "",
    workload: "",
    labels: {},
    annotations: {},
    namespaceLabels: {},
  };
}

class Explainer {
  readonly #origin: Origin;
  readonly #routes: readonly Route[];
  readonly #now: number;
  readonly #print: Print;
  readonly #scanner: Scanner;
  readonly #rows = new Rows();
  #offset = 0;
  #shown = 0;

  constructor(config: Config, origin: Origin, routes: readonly Route[], now: number, print: Print) {
    this.#origin = origin;
    this.#routes = routes;
    this.#now = now;
    this.#print = print;
    this.#scanner = new Scanner(config.source);
  }

  line(line: Buffer): void {
    this.#scan(line);
    for (let row = 0; row < this.#rows.rows; row++) {
      this.#print(`${this.#head(this.#rows, row)}\n`);
      this.#shown++;
      for (const route of this.#routes) this.#run(route, this.#copyOf(row), false);
    }
  }

  /** What is unfinished or held back comes out. */
  end(): void {
    this.#rows.reset(this.#origin, GENERATION);
    this.#scanner.flush(this.#rows);
    const last = this.#rows.rows;
    for (let row = 0; row < last; row++) {
      this.#print(`${this.#head(this.#rows, row)} (unfinished)\n`);
      for (const route of this.#routes) this.#run(route, this.#copyOf(row), false);
    }
    this.#rows.reset(this.#origin, GENERATION);
    this.#rows.used = 0;
    if (this.#routes.some(({ processors }) => processors.some(({ holder }) => (holder?.dueAt ?? Infinity) < Infinity)))
      this.#print("end of the log\n");
    for (const route of this.#routes) this.#run(route, this.#empty(), true);
    if (this.#shown === 0) this.#print("no records\n");
  }

  #scan(line: Buffer): void {
    const rows = this.#rows;
    const put = (bytes: Buffer): void => {
      rows.reset(this.#origin, GENERATION);
      rows.reserve(bytes.length);
      bytes.copy(rows.bytes);
      rows.used = bytes.length;
      this.#scanner.scan(rows, 0, bytes.length, this.#offset, bytes.at(-1) !== 0x0a);
    };
    put(line);
    // Neither a CRI nor a docker line, nor something that looks like one.
    const plain =
      rows.rows === 1 &&
      (rows.flags[0] as number) & UNPARSED &&
      !/^[0-9]{4}-|^\{"(log|stream|time)"/.test(line.toString("latin1", 0, 10));
    if (plain) {
      const time = isoTime(this.#now * 1000);
      put(Buffer.concat([Buffer.from(`${time} stdout F `), line]));
    }
    this.#offset += line.length;
  }

  /** The row alone in columns of its own, as processors of several outputs must not see each other's work. */
  #copyOf(row: number): Rows {
    const from = this.#rows;
    const rows = this.#empty();
    const to = rows.add();
    const [start, end] = [from.from[row] as number, from.to[row] as number];
    rows.reserve(end - start);
    rows.used = from.bytes.copy(rows.bytes, 0, start, end);
    rows.offset[to] = from.offset[row] as number;
    rows.from[to] = 0;
    rows.to[to] = rows.used;
    rows.seconds[to] = from.seconds[row] as number;
    rows.nanos[to] = from.nanos[row] as number;
    rows.digits[to] = from.digits[row] as number;
    rows.flags[to] = from.flags[row] as number;
    rows.size[to] = from.size[row] as number;
    const extra = from.extra?.get(row);
    if (extra !== undefined) Object.assign(rows.extraOf(to), extra);
    return rows;
  }

  #empty(): Rows {
    const rows = new Rows(64 * 1024, 16);
    rows.reset(this.#origin, GENERATION);
    return rows;
  }

  /** @param ending what is held back comes out. */
  #run({ name, plan, processors, output }: Route, rows: Rows, ending: boolean): void {
    // Records that were held back come out while another one is looked at.
    const at = rows.rows > 0 ? rows.offset[0] : undefined;
    const say = (text: string, offset = at): void =>
      this.#print(`  ${name}${offset === at ? "" : ` [${offset}]`}: ${text.replaceAll("\n", "\n    ")}\n`);
    const refusal = plan.refusal(rows.origin);
    if (refusal !== undefined) {
      if (!ending) say(`${refusal}: dropped, as every record of this container, which is not even read`);
      return;
    }
    for (const processor of processors) {
      const before = snapshots(rows);
      processor.process(rows, 0);
      if (ending) processor.holder?.release(rows, Number.POSITIVE_INFINITY);
      for (const [offset, change] of changes(before, snapshots(rows))) say(`${processor.name}: ${change}`, offset);
    }
    const sent = snapshots(rows).filter(({ dropped }) => !dropped);
    for (const [i, entry] of entries(output, rows).entries()) say(`sends ${entry}`, sent[i]?.offset);
  }

  #head(batch: Batch, row: number): string {
    const stream = ((batch.flags[row] as number) & STDERR) !== 0 ? "stderr" : "stdout";
    const error = batch.extra?.get(row)?.error;
    return `${batch.offset[row]} ${stream} ${shown(messageOf(batch, row))}${error === undefined ? "" : ` (unparsed: ${error})`}`;
  }
}

/** What the output would send, row by row. */
function entries(output: Output, rows: Rows): string[] {
  const request = output.open(output.requestKey(rows));
  request.append(rows, 0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  const closed = request.close();
  return Array.from({ length: closed.rows }, (_, row) => output.entry(closed, row).trimEnd());
}

interface Snapshot {
  readonly offset: number;
  readonly dropped: boolean;
  readonly message: string;
  readonly severity: string;
  readonly fields: string;
}

function snapshots(rows: Batch): Snapshot[] {
  return Array.from({ length: rows.rows }, (_, row) => ({
    offset: rows.offset[row] as number,
    dropped: ((rows.flags[row] as number) & DROPPED) !== 0,
    message: messageOf(rows, row),
    severity: SEVERITIES[rows.severity?.[row] ?? 0] ?? "",
    fields: fieldsText(rows, row),
  }));
}

function messageOf({ bytes, from, to }: Batch, row: number): string {
  return bytes.toString("utf8", from[row], to[row]);
}

function fieldsText({ fields, bytes }: Batch, row: number): string {
  if (fields === undefined) return "{}";
  const first = fields.first[row] as number;
  const members = Array.from({ length: fields.count[row] as number }, (_, i) => {
    const at = first + i;
    return `"${bytes.toString("utf8", fields.nameFrom(at), fields.nameTo(at))}":${bytes.toString("utf8", fields.valueFrom(at), fields.valueTo(at))}`;
  });
  return `{${members.join(",")}}`;
}

/** What a processor did, by the record's offset. */
function* changes(before: readonly Snapshot[], after: readonly Snapshot[]): Generator<[offset: number, text: string]> {
  for (const { offset } of before)
    if (after.every((now) => now.offset !== offset)) yield [offset, "held back, for what follows may belong to it"];
  for (const now of after) {
    const was = before.find(({ offset }) => offset === now.offset);
    const say = (text: string): [number, string] => [now.offset, text];
    if (now.dropped && was?.dropped !== true) yield say("dropped");
    if (now.dropped) continue;
    if (was === undefined) yield say(`yields ${shown(now.message)}`);
    else if (now.message !== was.message) yield say(`message ${shown(now.message)}`);
    if (now.severity !== (was?.severity ?? "")) yield say(`severity ${now.severity}`);
    if (now.fields !== (was?.fields ?? "{}")) yield say(`fields ${now.fields}`);
  }
}

function shown(message: string): string {
  const text = JSON.stringify(message);
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`;
}
