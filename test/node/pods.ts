/** Pods of all kinds that print known bytes: every byte arrives, with its pod's labels. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { CoreV1EventList } from "@kubernetes/client-node";
import { assertOrigin } from "./events.ts";
import { expectCrashes, expectMessages, numbered, printNumbered } from "./expect.ts";
import { figures, theNode } from "./fixture.ts";
import { compare } from "./witness.ts";
import { crashingPod, loadPod, NAMESPACE, pod, podSpec, shell, staticPod } from "./writers.ts";

test("applying the manifests brings a ready agent to a tainted node, whose first record is soon there", async () => {
  const node = theNode();
  await node.control.apply(loadPod("early"));
  await node.podIn("early", "Running");
  await node.applyAgent();
  await node.agentPod();
  await node.wait(() => node.sink.total > 0, "a record is accepted");
  const started = (await node.metric("process_start_time_seconds")) * 1000;
  figures["start of the process to the first record"] = `${Math.round(node.sink.firstAt - started)} ms`;
  assert.equal(await node.ask("/healthz"), "ok\n");
  assert.equal(await node.ask("/readyz"), "ok\n");
  assert.equal(await node.metric("tailrace_kubernetes_synced"), 1);
  await node.remove("early");
});

/** Text that is hard to carry: what the runtime splits within a character, blanks at both ends, bytes that are none. */
function hardText(): Buffer {
  const lines: (string | Buffer)[] = [
    "",
    " both ends ",
    "tab\tinside",
    'quote " and \\ backslash',
    "\u001b[31mred\u001b[0m",
  ];
  for (const length of [1, 16383, 16384, 16385, 32768, 300_000]) lines.push("x".repeat(length));
  for (const shift of [0, 1, 2, 3]) lines.push(`${"y".repeat(shift)}${"🐢".repeat(9000)}`);
  lines.push(Buffer.concat([Buffer.from("broken "), Buffer.from([0xff, 0xc3, 0x28, 0xf0, 0x9f]), Buffer.from(" end")]));
  lines.push(randomBytes(3000).toString("base64"), "last");
  return Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from("\n")]));
}

/** Messages as records must have them. */
const linesOf = (bytes: Buffer): string[] => {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0x0a, at);
    lines.push(bytes.subarray(at, end).toString());
    at = end + 1;
  }
  return lines;
};

test("every byte of long, odd and broken lines arrives, of both streams", async () => {
  const node = theNode();
  const text = hardText();
  const file = node.share("hard.txt", text);
  await node.control.apply(
    pod("hard", { restartPolicy: "Never", containers: [shell("out", `cat ${file}`), shell("err", `cat ${file} >&2`)] }),
  );
  const made = await node.podIn("hard", "Succeeded");
  for (const [container, stream] of [
    ["out", "stdout"],
    ["err", "stderr"],
  ] as const) {
    await expectMessages(node, made, container, linesOf(text));
    for (const record of node.sink.of(made.metadata?.uid ?? "", container)) assert.equal(record.stream, stream);
  }
  await node.remove("hard");
});

test("init containers, a quick Job and a static pod are not missed, and have their labels", async () => {
  const node = theNode();
  await node.control.apply(
    pod("initial", {
      restartPolicy: "Never",
      initContainers: [shell("first", printNumbered("first", 300)), shell("second", printNumbered("second", 300))],
      containers: [shell("main", printNumbered("main", 300))],
    }),
    {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name: "quick", namespace: NAMESPACE },
      spec: {
        template: {
          metadata: { labels: { app: "quick" } },
          spec: podSpec({ restartPolicy: "Never", containers: [shell("main", printNumbered("quick", 50))] }),
        },
      },
    },
  );
  node.machine.addStaticPod(
    "fixed",
    staticPod("fixed", `${printNumbered("fixed", 200)}; while true; do sleep 1; done`),
  );
  const initial = await node.podIn("initial", "Succeeded");
  for (const container of ["first", "second", "main"])
    await expectMessages(node, initial, container, numbered(container, 300));
  const quick = await node.wait(
    async () => (await node.control.pods(NAMESPACE, "app=quick")).find(({ status }) => status?.phase === "Succeeded"),
    "the Job is done",
  );
  await expectMessages(node, quick, "main", numbered("quick", 50));
  const mirror = await node.wait(
    async () => (await node.control.pods(NAMESPACE, "app=fixed")).find(({ status }) => status?.phase === "Running"),
    "the static pod runs",
  );
  // Its folder is named by the hash of its manifest, not by the uid that the API server knows.
  const hash = mirror.metadata?.annotations?.["kubernetes.io/config.mirror"] ?? "";
  await node.wait(() => node.sink.of(hash).length >= 200, "all records of the static pod").catch(() => {});
  assert.equal(compare(numbered("fixed", 200), node.sink.messages(hash)).told, "");
  for (const record of node.sink.of(hash)) assertOrigin(record, mirror, "app");
  node.machine.removeStaticPod("fixed");
  await node.remove("initial");
  await node.kubectl("-n", NAMESPACE, "delete", "job", "quick");
});

test("a wrong annotation is told by an Event on its pod, and costs no record", async () => {
  const node = theNode();
  const { metadata, ...rest } = pod("mistaken", {
    restartPolicy: "Never",
    containers: [shell("main", printNumbered("mistaken", 20))],
  });
  await node.control.apply({ ...rest, metadata: { ...metadata, annotations: { "tailrace.io/parse": "jsn" } } });
  const made = await node.podIn("mistaken", "Succeeded");
  await expectMessages(node, made, "main", numbered("mistaken", 20));
  const selector = `involvedObject.uid=${made.metadata?.uid},reason=LogAnnotationIgnored`;
  const path = `/api/v1/namespaces/${NAMESPACE}/events?fieldSelector=${encodeURIComponent(selector)}`;
  const event = await node.wait(async () => (await node.control.get<CoreV1EventList>(path))?.items[0], "the Event");
  assert.equal(event.type, "Warning");
  assert.match(event.message ?? "", /^annotation tailrace\.io\/parse is ignored: /);
  await node.remove("mistaken");
});

test("a container that crashes again and again loses no run, though kubelet keeps but the last", async () => {
  const node = theNode();
  await node.control.apply(crashingPod("crash"));
  const made = await node.wait(async () => {
    const found = await node.control.pod(NAMESPACE, "crash");
    return (found?.status?.containerStatuses?.[0]?.restartCount ?? 0) >= 3 && found;
  }, "it has restarted three times");
  await expectCrashes(node, made, 4);
  await node.remove("crash");
});
