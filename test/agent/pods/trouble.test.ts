/** The reflector where the server is down, refuses, or is none. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { findCluster } from "../../../agent/pods/cluster.ts";
import { add, Copy } from "../../support/copy.ts";
import { temporaryFolder, until } from "../../support/program.ts";

test("an answer that is not the API server's is an error that passes", async (context) => {
  const copy = await Copy.start(context, (server) => {
    add("a")(server);
    server.refuse("list", 200);
  });
  await copy.holds("a");
  assert.match(copy.complaints[0] ?? "", /is it the API server that answers/);
});

test("a server that is down is asked until it is up, and the copy stays as it is", async (context) => {
  const copy = await Copy.start(context, add("a"));
  await copy.watching();
  await copy.server.stop();
  await until(() => copy.complaints.length > 0, "it complains");
  assert.ok(copy.uids.has("a"));
  await copy.server.start();
  await copy.watching();
  add("b")(copy.server);
  await copy.holds("a", "b");
  assert.equal(copy.complaints.length, 1);
  assert.match(copy.complaints[0] ?? "", /logs are shipped all the same.*ECONNREFUSED/);
  assert.match(String(copy.log.lines.findLast(({ level }) => level === "info")?.msg), /can be watched again/);
});

test("a token that was rotated is read again at once", async (context) => {
  const folder = temporaryFolder(context);
  const token = join(folder, "token");
  writeFileSync(token, "old");
  const path = join(folder, "kubeconfig");
  const copy = await Copy.start(
    context,
    (server) => {
      server.token = "old";
      writeFileSync(
        path,
        `{ current-context: x, contexts: [{ name: x, context: { cluster: c, user: u } }],
           clusters: [{ name: c, cluster: { server: "${server.url}" } }], users: [{ name: u, user: { tokenFile: token } }] }`,
      );
    },
    {
      cluster: () => {
        const cluster = findCluster(path, {});
        assert.ok(typeof cluster !== "string");
        return cluster;
      },
    },
  );
  await copy.watching();
  writeFileSync(token, "new\n");
  copy.server.token = "new";
  copy.server.endWatches("cleanly");
  add("b")(copy.server);
  await copy.holds("b");
  assert.deepEqual(
    copy.server.asked.slice(-2).map(({ headers }) => headers.authorization),
    ["Bearer old", "Bearer new"],
  );
  assert.deepEqual(copy.complaints, []);
});

test("a token that the server refuses is tried until there is one that it takes", async (context) => {
  let token = "bad";
  const copy = await Copy.start(
    context,
    (server) => {
      add("a")(server);
      server.token = "good";
    },
    {
      cluster: ({ url }) => ({
        access: async () => ({ server: url, headers: { authorization: `Bearer ${token}` }, tls: {} }),
      }),
    },
  );
  await until(() => copy.complaints.length > 0, "it complains");
  assert.match(copy.complaints[0] ?? "", /Unauthorized/);
  token = "good";
  await copy.holds("a");
});

for (const verb of ["list", "watch"] as const)
  test(`a ClusterRole without ${verb} is named in one line, and looked at again until it is mended`, async (context) => {
    const copy = await Copy.start(context, (server) => {
      add("a")(server);
      server.forbid(verb, "pods");
    });
    await until(() => copy.reflector.forbidden && copy.server.count(verb) >= 3, "it asks again and again");
    assert.equal(copy.complaints.length, 1);
    assert.match(copy.complaints[0] ?? "", new RegExp(`may not ${verb} pods: its ClusterRole must allow`));
    copy.server.allowAll();
    await copy.watching();
    await copy.holds("a");
    assert.ok(!copy.reflector.forbidden);
  });

test("rights that a server has not read yet, since it has just started, are not taken for missing", async (context) => {
  const copy = await Copy.start(context, add("a"));
  await copy.watching();
  await copy.server.stop();
  add("b")(copy.server);
  copy.server.refuse("watch", 403);
  copy.server.refuse("list", 403, { times: 2 });
  const missing: boolean[] = [];
  copy.server.onAsked = () => missing.push(copy.reflector.forbidden);
  await copy.server.start();
  await copy.holds("a", "b");
  await copy.watching();
  // A watch and two lists that are refused, and a list and a watch that are not.
  assert.deepEqual(missing, [false, false, false, false, false]);
});

test("rights that are taken away are missed after a few tries, and told", async (context) => {
  const copy = await Copy.start(context, add("a"));
  await copy.watching();
  copy.server.forbid("watch", "pods");
  copy.server.forbid("list", "pods");
  copy.server.endWatches("cleanly");
  await until(() => copy.reflector.forbidden, "it says so");
  assert.ok(copy.log.lines.some(({ level, status }) => level === "error" && status === 403));
});

for (const status of [429, 503])
  test(`${status} is waited out for as long as the server asks`, async (context) => {
    const times: number[] = [];
    const copy = await Copy.start(context, (server) => {
      add("a")(server);
      server.refuse("list", status, { retryAfterSeconds: 1 });
      server.onAsked = () => times.push(performance.now());
    });
    await copy.holds("a");
    assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 999);
  });

test("a watch that is refused for the moment keeps its version", async (context) => {
  const copy = await Copy.start(context, (server) => server.refuse("watch", 429, { times: 3 }));
  await copy.watching();
  assert.equal(copy.server.count("list"), 1);
});

test("it stops at once, whatever it waits for", async (context) => {
  const copy = await Copy.start(context, () => {}, { pace: { forbiddenMs: 600_000 } });
  await copy.watching();
  copy.server.forbid("watch", "pods");
  copy.server.endWatches("cleanly");
  await until(() => copy.reflector.forbidden, "it waits for ten minutes");
});
