/** What happens to nodes, under load: nothing is lost, and what is sent again has the id it had. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { assertOrigin, flows, reports, throughEvent } from "./events.ts";
import { expectAtLoki, expectCrashes, expectMessages, numbered, printNumbered } from "./expect.ts";
import { figures, theNode } from "./fixture.ts";
import { NODE } from "./network.ts";
import { checkLoad, runsInFiles, type Shipped, uidInFiles } from "./witness.ts";
import { crashingPod, loadPod, NAMESPACE, pod, shell, staticPod } from "./writers.ts";

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
  await expectAtLoki(node, made, "app", node.sink.messages(uid));
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

/** As long as the upgrade of a control plane that has but one server. */
const OUTAGE_MS = 120_000;
/** Pods that are made as soon as the server is back. */
const AFTERWARDS = ["after-0", "after-1", "after-2"];
/** What kubelet calls its pod "alone". */
const ALONE = `alone-${NODE}`;
const TICK = 'n=0; while true; do echo "tick $n"; n=$((n + 1)); usleep 200000; done';

test("an API server that is away for minutes stops neither reading nor delivery, and what starts afterwards has its labels", async () => {
  const node = theNode();
  const address = (await node.agentPod()).status?.podIP;
  const restarts = async (): Promise<number> => {
    const text = await (await fetch(`http://${address}:9780/metrics`)).text();
    return Number(/^tailrace_kubernetes_watch_restarts_total (\d+)$/m.exec(text)?.[1]);
  };
  const ticks = (): Shipped[] => node.sink.of(uidInFiles(NAMESPACE, ALONE));
  await node.control.apply(crashingPod("unsteady"));
  const unsteady = await node.wait(() => node.control.pod(NAMESPACE, "unsteady"), "the pod is there");
  const uid = unsteady.metadata?.uid ?? "";
  const runs = (): number => runsInFiles(NAMESPACE, "unsteady", uid, "app");
  await throughEvent(
    node,
    "API server away",
    async () => {
      await node.wait(() => runs() > 0, "it has crashed");
      const before = { restarts: await restarts(), runs: runs() };
      await node.control.stopApiServer();
      const back = Date.now() + OUTAGE_MS;
      node.machine.addStaticPod("alone", staticPod("alone", TICK));
      await node.wait(() => ticks().length > 0, "a pod that only kubelet knows is read");
      await node.wait(() => runs() > before.runs, "a container that crashes has started anew");
      // How long it is away is what is tried here; nothing is waited for.
      await setTimeout(back - Date.now());
      figures["requests while the API server was away for two minutes"] = String((await restarts()) - before.restarts);
      await node.control.startApiServer();
      // At once, while the agent's back-off is at its longest.
      for (const name of AFTERWARDS)
        await node.control.apply(
          pod(name, { restartPolicy: "Never", containers: [shell("main", printNumbered(name, 10))] }),
        );
    },
    { pauseMs: 500 },
  );
  for (const name of AFTERWARDS)
    await expectMessages(node, await node.podIn(name, "Succeeded"), "main", numbered(name, 10));
  // With nobody to ask its records carry what the path tells; once somebody knows it, all of them have its labels.
  const mirror = await node.wait(() => node.control.pod(NAMESPACE, ALONE), "the API server knows the static pod");
  await node.wait(() => ticks().at(-1)?.kubernetes.labels !== undefined, "the agent knows it too");
  const ticked = [...ticks()];
  const known = ticked.findIndex(({ kubernetes }) => kubernetes.labels !== undefined);
  for (const [at, record] of ticked.entries()) assertOrigin(record, mirror, "app", at < known);
  assert.deepEqual(
    ticked.map(({ message }) => message),
    numbered("tick", ticked.length),
  );
  await expectCrashes(node, unsteady, runs() - 1);
  node.machine.removeStaticPod("alone");
  await Promise.all([...AFTERWARDS, "unsteady"].map((name) => node.remove(name)));
  await node.machine.ready();
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
