/** What happens to nodes, under load: nothing is lost, and what is sent again has the id it had. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertOrigin, flows, reports, throughEvent } from "./events.ts";
import { expectMessages, numbered, printNumbered } from "./expect.ts";
import { theNode } from "./fixture.ts";
import { checkLoad } from "./witness.ts";
import { loadPod, NAMESPACE, pod, shell } from "./writers.ts";

test("a rolling update under load loses nothing", async () => {
  const node = theNode();
  const former = await node.agentPod();
  await node.machine.ctr("images", "tag", "localhost/tailrace:test", "localhost/tailrace:next");
  await throughEvent(node, "rolling update", async () => {
    await node.kubectl("-n", "tailrace", "set", "image", "daemonset/tailrace", "tailrace=localhost/tailrace:next");
    await node.agentPod(former.metadata?.uid);
  });
});

test("an agent that is killed goes on where its backend had got to", async () => {
  const node = theNode();
  await throughEvent(node, "agent killed", async () => {
    const before = await node.agentPod();
    const id = before.status?.containerStatuses?.[0]?.containerID?.replace("containerd://", "") ?? "";
    await node.machine.ctr("tasks", "kill", "--signal", "SIGKILL", id);
    await node.wait(async () => {
      const now = (await node.agentPod()).status?.containerStatuses?.[0];
      return now?.containerID !== before.status?.containerStatuses?.[0]?.containerID;
    }, "kubelet has started it again");
  });
});

test("a pod that is deleted while it writes loses nothing", async () => {
  const node = theNode();
  await node.control.apply(loadPod("deleted"));
  const made = await node.podIn("deleted", "Running");
  const uid = made.metadata?.uid ?? "";
  await flows(node, [uid]);
  const begun = performance.now();
  const { repeats } = node.sink;
  await node.kubectl("-n", NAMESPACE, "delete", "pod", "deleted");
  const last = await node.wait(
    () => node.sink.messages(uid).find((message) => message.startsWith("end ")),
    "its last line arrives",
  );
  const count = Number(last.split(" ")[2]);
  await node.wait(() => node.sink.of(uid).length >= count + 2, "all its lines arrive").catch(() => {});
  const records = node.sink.of(uid);
  reports.push({
    event: "pod deleted",
    shipped: records.length,
    lost: count + 2 - records.length,
    repeated: node.sink.repeats - repeats,
    byRuntime: 0,
    seconds: Math.round((performance.now() - begun) / 1000),
  });
  assert.equal(records.length, count + 2, "its lines, and one at each end");
  assert.deepEqual(checkLoad(node.sink.messages(uid)), {
    lines: count + 2,
    gaps: 0,
    damaged: [],
    complete: 1,
    runs: 1,
  });
  for (const record of records) assertOrigin(record, made, "app");
});

test("a restart of kubelet loses nothing", async () => {
  const node = theNode();
  await throughEvent(node, "kubelet restart", async () => {
    await node.machine.kubelet.stop();
    node.machine.kubelet.start();
    await node.machine.ready();
  });
});

test("a restart of containerd loses nothing that it wrote down", async () => {
  const node = theNode();
  await throughEvent(
    node,
    "containerd restart",
    async () => {
      await node.machine.containerd.stop();
      await node.machine.startContainerd();
      await node.machine.ready();
    },
    { killed: true },
  );
});

test("an API server that is away stops neither reading nor delivery, and metadata goes on afterwards", async () => {
  const node = theNode();
  const restarts = "tailrace_kubernetes_watch_restarts_total";
  const address = (await node.agentPod()).status?.podIP;
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://${address}:9780/metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
  };
  await throughEvent(node, "API server away", async () => {
    const before = await metric(restarts);
    await node.control.stopApiServer();
    await node.wait(async () => (await metric(restarts)) >= before + 4, "the agent has tried four times");
    await node.control.startApiServer();
  });
  await node.machine.ready();
  // It asks again after a pause of up to half a minute; a pod that starts in it goes without labels after metadataTimeout.
  await node.wait(
    async () => (await node.kubectl("-n", "tailrace", "logs", "daemonset/tailrace")).includes("can be watched again"),
    "the agent watches again",
  );
  await node.control.apply(
    pod("after", { restartPolicy: "Never", containers: [shell("main", printNumbered("after", 10))] }),
  );
  await expectMessages(node, await node.podIn("after", "Succeeded"), "main", numbered("after", 10));
  await node.remove("after");
});

test("a node that loses its power loses no line that is on its disk", async () => {
  const node = theNode();
  await throughEvent(
    node,
    "power cut",
    async () => {
      await node.machine.crash();
      await node.machine.startContainerd();
      node.machine.kubelet.start();
      await node.machine.ready();
      await node.agentPod();
    },
    { killed: true },
  );
});
