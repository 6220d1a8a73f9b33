import assert from "node:assert/strict";
import { test } from "node:test";
import { add, Copy } from "../../support/copy.ts";
import { fakePod, HeldClock, NODE } from "../../support/pods.ts";
import { until } from "../../support/program.ts";

test("only this node's pods are asked for: a list from the cache, then a watch with bookmarks", async (context) => {
  const copy = await Copy.start(context, (server) => {
    add("a")(server);
    server.apply("pods", fakePod({ uid: "elsewhere", node: "node-2" }));
  });
  await copy.watching();
  await copy.holds("a");
  const [list, watch] = copy.server.asked;
  const fieldSelector = `spec.nodeName=${NODE}`;
  assert.deepEqual(Object.fromEntries(list?.query ?? []), { limit: "500", resourceVersion: "0", fieldSelector });
  const { timeoutSeconds, ...query } = Object.fromEntries(watch?.query ?? []);
  assert.deepEqual(query, { watch: "1", allowWatchBookmarks: "true", resourceVersion: "1002", fieldSelector });
  assert.ok(Number(timeoutSeconds) >= 261 && Number(timeoutSeconds) <= 319, timeoutSeconds);
});

test("a watch brings what is added, changed and deleted", async (context) => {
  const copy = await Copy.start(context, add("a"));
  await copy.watching();
  add("a", "b")(copy.server);
  await copy.holds("a", "b");
  copy.server.delete("pods", "a");
  await copy.holds("b");
  assert.equal(copy.reflector.events, 3);
});

test("a list of many pages is read to its end", async (context) => {
  const copy = await Copy.start(context, (server) => {
    server.pageObjects = 2;
    add("a", "b", "c", "d", "e")(server);
  });
  await copy.watching();
  await copy.holds("a", "b", "c", "d", "e");
  assert.equal(copy.server.count("list"), 3);
});

test("a list whose continuation has expired begins again", async (context) => {
  const copy = await Copy.start(context, (server) => {
    server.pageObjects = 1;
    add("a", "b")(server);
    server.onAsked = () => server.count("list") === 2 && server.compact();
  });
  await copy.watching();
  await copy.holds("a", "b");
  assert.equal(copy.server.count("list"), 4);
});

test("a slow list is waited for", async (context) => {
  let open = () => {};
  const copy = await Copy.start(context, (server) => {
    add("a")(server);
    server.listGate = new Promise((resolve) => {
      open = resolve;
    });
  });
  await until(() => copy.server.count("list") === 1, "it asks");
  assert.equal(copy.synced, 0);
  open();
  await copy.holds("a");
});

test("a watch that ends goes on from the last version, which bookmarks move too, without a list", async (context) => {
  const copy = await Copy.start(context, add("a"));
  await copy.watching();
  copy.server.passTime();
  copy.server.bookmark();
  copy.server.endWatches("cleanly");
  await copy.watching();
  assert.equal(copy.server.asked.at(-1)?.query.get("resourceVersion"), "1101");
  add("b")(copy.server);
  await copy.holds("a", "b");
  assert.equal(copy.server.count("list"), 1);
  assert.equal(copy.reflector.restarts, 1);
  assert.equal(copy.reflector.events, 1);
  assert.deepEqual(copy.complaints, []);
});

test("watches that end at once are not repeated at once", async (context) => {
  const waits: number[] = [];
  let last = Number.NaN;
  const copy = await Copy.start(
    context,
    (server) => {
      server.onAsked = ({ verb }) => {
        if (verb === "list") return;
        if (!Number.isNaN(last)) waits.push(performance.now() - last);
        last = performance.now();
        setImmediate(() => server.endWatches("cleanly"));
      };
    },
    { pace: { steadyMs: 60_000, initialDelayMs: 64, maxDelayMs: 64 } },
  );
  await until(() => copy.reflector.restarts >= 12, "twelve more watches");
  // Twelve delays between 0 and 64 ms: that their sum is below 64 ms happens once in 10^9 runs.
  assert.ok(waits.reduce((sum, wait) => sum + wait, 0) > 64);
  assert.equal(copy.server.count("list"), 1);
});

for (const how of ["abruptly", "inside an event"] as const)
  test(`a watch that breaks off ${how} goes on where it was`, async (context) => {
    const copy = await Copy.start(context, add("a"));
    await copy.watching();
    copy.server.endWatches(how);
    add("b")(copy.server);
    await copy.holds("a", "b");
    assert.equal(copy.server.count("list"), 1);
    assert.deepEqual(copy.complaints, []);
  });

test("a half-open connection is given up when the watch outlives its time", async (context) => {
  const copy = await Copy.start(context, add("a"), { pace: { watchMs: 500, graceMs: 100 } });
  await copy.watching();
  copy.server.deafenWatches();
  add("b")(copy.server);
  await copy.holds("a", "b");
  assert.equal(copy.server.count("list"), 1);
});

test("a list that never comes is given up and asked for again", async (context) => {
  const copy = await Copy.start(
    context,
    (server) => {
      add("a")(server);
      server.listGate = new Promise(() => {});
    },
    { pace: { listMs: 100 } },
  );
  await until(() => copy.server.count("list") === 2, "it asks again");
  copy.server.listGate = undefined;
  await copy.holds("a");
});

for (const form of ["a status", "an event"])
  test(`a version that has expired (410 as ${form}) is followed by a list, and what vanished meanwhile is removed`, async (context) => {
    const copy = await Copy.start(context, (server) => {
      server.goneAsStatus = form === "a status";
      add("stays", "goes")(server);
    });
    await copy.watching();
    await copy.server.stop();
    copy.server.delete("pods", "goes");
    add("comes")(copy.server);
    copy.server.compact();
    assert.ok(copy.uids.has("goes"), "until it knows better it keeps what it has");
    await copy.server.start();
    await copy.holds("stays", "comes");
    await copy.watching();
    // Not from the cache: that may be older than what has expired.
    const list = copy.server.asked.findLast(({ verb }) => verb === "list");
    assert.equal(list?.query.has("resourceVersion"), false);
  });

test("a version that the server has never had is noticed by a watch that stays silent", async (context) => {
  const clock = new HeldClock();
  const copy = await Copy.start(context, add("a"), { clock });
  await copy.watching();
  clock.now += 290_000;
  copy.server.endWatches("cleanly");
  await until(() => copy.server.count("list") === 2, "it lists again");
});

for (const line of ['{"type":"MODIFIED","object":{"meta', '{"type":"ADDED"}', '{"type":"ADDED","object":{}}'])
  test(`nonsense in a watch is followed by a list: ${line}`, async (context) => {
    const copy = await Copy.start(context, add("a"));
    await copy.watching();
    copy.server.sendLine(line);
    await until(() => copy.server.count("list") === 2, "it lists again");
    await copy.watching();
    add("b")(copy.server);
    await copy.holds("a", "b");
  });
