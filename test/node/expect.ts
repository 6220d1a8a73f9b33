/** What a pod printed, held against what was accepted of it. */
import assert from "node:assert/strict";
import type { V1Pod } from "@kubernetes/client-node";
import { assertOrigin } from "./events.ts";
import { assertLabels } from "./loki.ts";
import type { TestNode } from "./node.ts";
import { compare } from "./witness.ts";
import { CRASH_LINES } from "./writers.ts";

export const numbered = (word: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `${word} ${at}`);
export const printNumbered = (word: string, count: number): string =>
  `awk 'BEGIN { for (i = 0; i < ${count}; i++) print "${word} " i }'`;

/** Waits for the messages of a container and holds them to what is expected. */
export async function expectMessages(
  node: TestNode,
  made: V1Pod,
  container: string,
  expected: readonly string[],
): Promise<void> {
  const uid = made.metadata?.uid ?? "";
  const name = `${made.metadata?.name}/${container}`;
  await node
    .wait(() => node.sink.of(uid, container).length >= expected.length, `all records of ${name}`)
    .catch(() => {});
  assert.equal(compare(expected, node.sink.messages(uid, container)).told, "", name);
  for (const record of node.sink.of(uid, container)) assertOrigin(record, made, container);
  await expectAtLoki(node, made, container, expected);
}

/** Where there is a Loki: it has the same messages, under the pod's labels. */
export async function expectAtLoki(
  node: TestNode,
  made: V1Pod,
  container: string,
  expected: readonly string[],
): Promise<void> {
  const entries = (await node.atLoki(made, container, expected.length)) ?? [];
  if (node.loki === undefined) return;
  assert.equal(
    compare(
      expected,
      entries.map(({ line }) => line),
    ).told,
    "",
    `${made.metadata?.name}/${container} at Loki`,
  );
  for (const entry of entries) assertLabels(entry, made, container, made.metadata?.labels?.app);
}

/** Waits for the first runs of a pod made by `crashingPod`, and holds them to what they printed. */
export async function expectCrashes(node: TestNode, made: V1Pod, runs: number): Promise<void> {
  const uid = made.metadata?.uid ?? "";
  const expected = Array.from({ length: runs }, (_, run) => numbered(`crash ${run}`, CRASH_LINES)).flat();
  await node.wait(() => node.sink.of(uid).length >= expected.length, `${runs} runs arrive`).catch(() => {});
  assert.equal(compare(expected, node.sink.messages(uid).slice(0, expected.length)).told, "", made.metadata?.name);
  for (const record of node.sink.of(uid)) assertOrigin(record, made, "app");
}
