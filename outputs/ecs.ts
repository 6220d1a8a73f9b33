/**
 * Documents: a record as JSON, in the names of ECS and Filebeat, or in those of Fluent Bit. What comes from the origin is
 * rendered once for each Origin and copied in; facts that are not known are left out, since "" is no IP address.
 */
import { type Batch, SEVERITIES, STDERR, TRUNCATED } from "../agent/batch.ts";
import type { Piece } from "../agent/kernel/row.ts";
import type { Origin } from "../agent/pods/origin.ts";
import type { ByteWriter } from "./json.ts";
import type { LineEncoder } from "./lines.ts";
import { hasMember, writeMembers } from "./members.ts";

export type DocumentSchema = "ecs" | "fluentbit";

const WORKLOADS = new Set(["deployment", "statefulset", "daemonset", "cronjob", "job", "replicaset"]);

const NEWLINE = 0x0a;
/** Of an object. */
const CLOSE = 0x7d;
const TIME = Buffer.from('{"@timestamp":"');
const ECS = {
  message: Buffer.from('","message":"'),
  stdout: Buffer.from('","stream":"stdout","log":{"offset":'),
  stderr: Buffer.from('","stream":"stderr","log":{"offset":'),
};
const FLUENTBIT = {
  message: Buffer.from('","log":"'),
  stdout: Buffer.from('","stream":"stdout"'),
  stderr: Buffer.from('","stream":"stderr"'),
};

/** By severity: its place in ECS, and in Fluent Bit's documents, which have no name of their own for it. */
const LEVELS = SEVERITIES.map((name) => Buffer.from(name === "" ? "" : `,"level":"${name}"`));
const SEVERITY = Buffer.from("severity");
const SEVERITY_MEMBERS = SEVERITIES.map((name) => Buffer.from(name === "" ? "" : `,"severity":"${name}"`));

/** Writes one record as a JSON object, without a line end. */
export type DocumentWriter = (writer: ByteWriter, batch: Batch, row: number) => void;

export function documentWriter(schema: DocumentSchema): DocumentWriter {
  const memo = new WeakMap<Origin, Buffer>();
  const render = schema === "ecs" ? ecsOrigin : fluentbitOrigin;
  const write = schema === "ecs" ? writeEcs : writeFluentbit;
  return (writer, batch, row) => {
    let origin = memo.get(batch.origin);
    if (origin === undefined) {
      origin = Buffer.from(render(batch.origin));
      memo.set(batch.origin, origin);
    }
    writer.buffer(TIME);
    writer.time(batch.seconds[row] as number, batch.nanos[row] as number, batch.digits[row] as number);
    write(writer, batch, row, origin);
  };
}

/** Whether a row is of the kind that `documentPieces` makes: whole, parsed, one line, and begun in its batch's generation. */
export function isPlain(schema: DocumentSchema, batch: Batch, row: number): boolean {
  const { flags, extra, severity } = batch;
  if (((flags[row] as number) & ~STDERR) !== 0 || extra?.has(row) === true) return false;
  // What the app calls its severity stays where it put it.
  return schema === "ecs" || severity === undefined || severity[row] === 0 || !hasMember(batch, row, SEVERITY);
}

/** What the document of a plain row of this origin is made of: the same bytes that `documentWriter` writes. */
export function documentPieces(schema: DocumentSchema, origin: Origin): Piece[] {
  const { message, stdout, stderr } = schema === "ecs" ? ECS : FLUENTBIT;
  const start: Piece[] = [TIME, "time", message, "message", { stdout, stderr }];
  const end = Buffer.of(CLOSE);
  if (schema === "ecs")
    return [...start, "offset", { severities: LEVELS }, Buffer.from(ecsOrigin(origin)), "fields", end];
  return [...start, Buffer.from(fluentbitOrigin(origin)), "fields", { severities: SEVERITY_MEMBERS }, end];
}

/** One ECS document a line. */
export function ecsLine(): LineEncoder {
  const write = documentWriter("ecs");
  return {
    encode: (writer, batch, row) => {
      write(writer, batch, row);
      writer.byte(NEWLINE);
    },
  };
}

function writeEcs(writer: ByteWriter, batch: Batch, row: number, origin: Buffer): void {
  const flags = batch.flags[row] as number;
  writer.buffer(ECS.message);
  writer.escaped(batch.bytes, batch.from[row] as number, batch.to[row] as number);
  writer.buffer((flags & STDERR) !== 0 ? ECS.stderr : ECS.stdout);
  writer.number(batch.offset[row] as number);
  const extra = batch.extra?.get(row);
  if ((flags & TRUNCATED) !== 0) {
    writer.ascii(',"truncated":true,"original_bytes":');
    writer.number(extra?.originalBytes ?? 0);
  }
  if (batch.severity !== undefined) writeSeverity(writer, LEVELS, batch.severity[row] as number);
  // The origin's part goes on within "log", with the file's path.
  writer.buffer(origin);
  if (extra?.error !== undefined) {
    writer.ascii(',"error":{"message":');
    writer.buffer(Buffer.from(JSON.stringify(extra.error)));
    writer.byte(CLOSE);
  }
  if (batch.fields !== undefined) writeMembers(writer, batch, row, true);
  writer.byte(CLOSE);
}

function writeSeverity(writer: ByteWriter, texts: readonly Buffer[], level: number): void {
  if (level > 0) writer.buffer(texts[level] as Buffer);
}

function ecsOrigin(origin: Origin): string {
  const { node, namespace, pod, uid, ip, container, containerId, image, runtime, workloadKind, workload, cluster } =
    origin;
  const kubernetes: Record<string, unknown> = {
    namespace,
    pod: known({ name: pod, uid, ip }),
    container: { name: container },
    node: node === "" ? undefined : { name: node },
    labels: flat(origin.labels),
    annotations: flat(origin.annotations),
    namespace_labels: flat(origin.namespaceLabels),
  };
  if (WORKLOADS.has(workloadKind) && workload !== "") kubernetes[workloadKind] = { name: workload };
  const rest = {
    container: known({ id: containerId, runtime, image: image === "" ? undefined : { name: image } }),
    kubernetes,
    orchestrator: cluster === "" ? undefined : { cluster: { name: cluster } },
  };
  return `,"file":{"path":${text(origin.path)}}},${inside(rest)}`;
}

function writeFluentbit(writer: ByteWriter, batch: Batch, row: number, origin: Buffer): void {
  const flags = batch.flags[row] as number;
  writer.buffer(FLUENTBIT.message);
  writer.escaped(batch.bytes, batch.from[row] as number, batch.to[row] as number);
  writer.buffer((flags & STDERR) !== 0 ? FLUENTBIT.stderr : FLUENTBIT.stdout);
  const extra = batch.extra?.get(row);
  if ((flags & TRUNCATED) !== 0) {
    writer.ascii(',"truncated":true,"original_bytes":');
    writer.number(extra?.originalBytes ?? 0);
  }
  if (extra?.error !== undefined) {
    writer.ascii(',"error":');
    writer.buffer(Buffer.from(JSON.stringify(extra.error)));
  }
  writer.buffer(origin);
  if (batch.fields !== undefined) writeMembers(writer, batch, row, true);
  // What the app calls its severity stays where it put it.
  if (batch.severity !== undefined && !hasMember(batch, row, SEVERITY))
    writeSeverity(writer, SEVERITY_MEMBERS, batch.severity[row] as number);
  writer.byte(CLOSE);
}

function fluentbitOrigin({
  node,
  namespace,
  pod,
  uid,
  ip,
  container,
  containerId,
  image,
  labels,
  annotations,
}: Origin): string {
  const kubernetes = known({
    pod_name: pod,
    namespace_name: namespace,
    pod_id: uid,
    pod_ip: ip,
    host: node,
    container_name: container,
    docker_id: containerId,
    container_image: image,
    labels: flat(labels),
    annotations: flat(annotations),
  });
  return `,${inside({ kubernetes })}`;
}

/** Without what is unknown; undefined when nothing is known. */
function known(facts: Record<string, unknown>): Record<string, unknown> | undefined {
  const entries = Object.entries(facts).filter(([, value]) => value !== undefined && value !== "");
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/**
 * Dots would make objects of keys, and `app` can't be both a text and an object: they become `_`, as Beats does it
 * (labels.dedot).
 */
function flat(map: Readonly<Record<string, string>>): Record<string, string> | undefined {
  const entries = Object.entries(map).map(([key, value]) => [key.replaceAll(".", "_") || "_", value]);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function text(value: string): string {
  return JSON.stringify(value.toWellFormed());
}

/** The members of an object, without its braces. */
function inside(value: Record<string, unknown>): string {
  return JSON.stringify(value, (_, item: unknown) => (typeof item === "string" ? item.toWellFormed() : item)).slice(
    1,
    -1,
  );
}
