/** Loads through events: pods print while something happens to the node, and afterwards every line is accounted for. */
import assert from "node:assert/strict";
import { basename } from "node:path";
import type { V1Pod } from "@kubernetes/client-node";
import type { LokiEntry } from "../real/loki.ts";
import { assertLabels } from "./loki.ts";
import type { TestNode } from "./node.ts";
import {
  checkLoad,
  compare,
  type Difference,
  generations,
  type LoadReport,
  messagesInFiles,
  type Shipped,
} from "./witness.ts";
import { loadPod, NAMESPACE, stopFile } from "./writers.ts";

/** A row of the report. */
export interface EventReport {
  readonly event: string;
  readonly shipped: number;
  /** Lines that kubelet's files hold and no record does. */
  readonly lost: number;
  /** Sent again under the same id, and stored once. */
  readonly repeated: number;
  /** Of the same lines, how many Loki holds; where there is one. */
  readonly atLoki?: number;
  /** Lines that the pod printed and the runtime did not write down. */
  readonly byRuntime: number;
  readonly seconds: number;
}

export interface Expectation {
  /** The pods' containers die in the event, so a run may have no end, and the runtime may lose what was on its way. */
  readonly killed?: boolean;
  /** Records may lack the pod's labels: nobody could be asked. */
  readonly withoutLabels?: boolean;
  /** Of the loads, for events that take long. */
  readonly pauseMs?: number;
}

const LOADS = 2;

/** Of all events so far. */
export const reports: EventReport[] = [];

/** Has pods print while something happens, and accounts for every line. */
export async function throughEvent(
  node: TestNode,
  name: string,
  event: () => Promise<void>,
  { killed = false, withoutLabels = false, pauseMs }: Expectation = {},
): Promise<void> {
  const begun = performance.now();
  const repeats = node.sink.repeats;
  const slug = name.replaceAll(" ", "-").toLowerCase();
  const names = Array.from({ length: LOADS }, (_, at) => `load-${slug}-${at}`);
  await node.control.apply(...names.map((pod) => loadPod(pod, pauseMs)));
  const pods: V1Pod[] = [];
  for (const pod of names) pods.push(await node.podIn(pod, "Running"));
  const uids = pods.map(({ metadata }) => metadata?.uid ?? "");
  await flows(node, uids);
  await event();
  await flows(node, uids);
  for (const [at, uid] of uids.entries())
    await node.wait(
      () => generations(NAMESPACE, names[at] ?? "", uid, "app").some((file) => file.endsWith(".gz")),
      "kubelet has rotated and compressed",
    );
  const results: LoadResult[] = [];
  for (const [at, pod] of pods.entries()) results.push(await finish(node, names[at] ?? "", pod));
  const sum = (count: (result: LoadResult) => number): number =>
    results.reduce((total, result) => total + count(result), 0);
  reports.push({
    event: name,
    shipped: sum(({ records }) => records.length),
    lost: sum(({ difference }) => difference.missing.length),
    repeated: node.sink.repeats - repeats,
    ...(node.loki !== undefined && { atLoki: sum(({ entries }) => entries?.length ?? 0) }),
    byRuntime: sum(({ report }) => report.gaps),
    seconds: Math.round((performance.now() - begun) / 1000),
  });
  for (const { pod, written, records, entries, difference, report } of results) {
    assert.equal(difference.told, "", `${pod.metadata?.name}: files and records are equal`);
    if (entries !== undefined) {
      const lines = entries.map(({ line }) => line);
      assert.equal(compare(written, lines).told, "", `${pod.metadata?.name}: files and entries at Loki are equal`);
      const app = withoutLabels ? undefined : pod.metadata?.labels?.app;
      for (const entry of entries) assertLabels(entry, pod, "app", app);
    }
    assert.deepEqual(report.damaged, [], "every line is as it was printed");
    if (!killed) {
      assert.equal(report.gaps, 0, "no line is missing");
      assert.equal(report.complete, report.runs, "every run says how many lines there were");
    }
    for (const record of records) assertOrigin(record, pod, "app", withoutLabels);
  }
  await Promise.all(names.map((pod) => node.remove(pod)));
}

/** Waits until records of each pod arrive that were not there before. */
export async function flows(node: TestNode, uids: readonly string[]): Promise<void> {
  const before = uids.map((uid) => node.sink.of(uid).length);
  for (const [at, uid] of uids.entries())
    await node.wait(() => node.sink.of(uid).length > (before[at] ?? 0) + 200, `records of ${uid} arrive`);
}

interface LoadResult {
  readonly pod: V1Pod;
  /** What its files hold. */
  readonly written: readonly string[];
  readonly records: readonly Shipped[];
  readonly entries: readonly LokiEntry[] | undefined;
  /** Between what its files hold and what was accepted. */
  readonly difference: Difference;
  readonly report: LoadReport;
}

/** Has a load end, and compares what its files hold with what was accepted. */
async function finish(node: TestNode, name: string, pod: V1Pod): Promise<LoadResult> {
  const uid = pod.metadata?.uid ?? "";
  node.share(basename(stopFile(name)), "");
  const written = await node.wait(() => {
    const messages = messagesInFiles(NAMESPACE, name, uid, "app");
    return messages?.at(-1)?.startsWith("end ") && messages;
  }, `${name} has written its last line`);
  // Any surplus or lack that stays is told by the caller; waiting for equality would hide which.
  await node
    .wait(() => node.sink.of(uid).length >= written.length, `all ${written.length} lines of ${name} arrive`)
    .catch(() => {});
  const records = node.sink.of(uid);
  const difference = compare(
    written,
    records.map(({ message }) => message),
  );
  const entries = await node.atLoki(pod, "app", written.length);
  return { pod, written, records, entries, difference, report: checkLoad(written) };
}

/** Every record says where it comes from, and nothing else. */
export function assertOrigin(record: Shipped, { metadata }: V1Pod, container: string, withoutLabels = false): void {
  const { kubernetes } = record;
  const labels = withoutLabels
    ? kubernetes.labels
    : Object.fromEntries(
        Object.entries(metadata?.labels ?? {})
          .filter(([key]) => !key.includes("-hash"))
          .map(([key, value]) => [key.replaceAll(".", "_"), value]),
      );
  assert.deepEqual(
    {
      pod: kubernetes.pod.name,
      namespace: kubernetes.namespace,
      container: kubernetes.container.name,
      labels: kubernetes.labels,
    },
    { pod: metadata?.name, namespace: metadata?.namespace, container, labels },
    record.message.slice(0, 80),
  );
}
