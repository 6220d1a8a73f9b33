/** Whether what a backend has of a container is what the container printed: every message, byte by byte, in its order. */
import assert from "node:assert/strict";
import type { SampleContainer } from "./samples.ts";

/** What the comparison looks at, of an ECS document. */
export interface EcsDocument {
  readonly "@timestamp": string;
  readonly message: string;
  readonly stream: string;
  readonly log: { readonly offset: number; readonly file: { readonly path: string } };
  readonly kubernetes: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/** One container as its reader must find it. */
export type Printed = Pick<SampleContainer, "namespace" | "pod" | "uid" | "container" | "link" | "messages" | "lossy">;

/** @param documents of this container, each once, in any order. @throws with the first message that differs. */
export function assertArrived(
  { namespace, pod, uid, container, link, messages, lossy }: Printed,
  documents: readonly EcsDocument[],
): void {
  for (const document of documents) {
    assert.equal(document.error, undefined);
    assert.equal(document.kubernetes.namespace, namespace);
    assert.deepEqual(document.kubernetes.pod, { name: pod, uid });
    assert.deepEqual(document.kubernetes.container, { name: container });
    assert.deepEqual(document.kubernetes.node, { name: "node-a" });
  }
  for (const stream of ["stdout", "stderr"] as const) {
    const arrived = inOrder(documents.filter((document) => document.stream === stream)).map(({ message }) => message);
    const expected = messages[stream];
    if (!lossy) {
      // Not deepEqual: it would print megabytes.
      const at = expected.findIndex((message, i) => message !== arrived[i]);
      assert.equal(at, -1, `${stream} message ${at} of ${link}: ${String(arrived[at]).slice(0, 200)}`);
      assert.equal(arrived.length, expected.length);
      continue;
    }
    // The runtime has deleted the oldest files, and cut the first message that is left.
    const tail = expected.slice(expected.length - arrived.length);
    assert.deepEqual(arrived.slice(1), tail.slice(1));
    assert.ok(arrived.length === 0 || tail[0]?.endsWith(arrived[0] ?? ""));
  }
}

/** By time, with all its digits; runtimes never give two lines of a stream the same one, docker's parts aside. */
function inOrder(documents: readonly EcsDocument[]): EcsDocument[] {
  return documents
    .map((document, i) => ({ document, key: timeKey(document["@timestamp"]), i }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.document.log.offset - b.document.log.offset))
    .map(({ document }) => document);
}

function timeKey(time: string): string {
  return time
    .replace("Z", "")
    .padEnd(29, "0")
    .replace(/^(.{19})0/, "$1.");
}
