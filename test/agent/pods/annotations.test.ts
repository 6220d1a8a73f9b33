/** Pods' own settings from the API server to origins, logs and Events. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fakePod, logOf, startFixture } from "../../support/pods.ts";
import { until } from "../../support/program.ts";

test("a pod's settings are in its containers' origins, and taken up when they change", async (context) => {
  const annotations = { "tailrace.io/sample": "0.5", "tailrace.io/exclude.side": "true" };
  const { server, pods } = await startFixture(context, {
    prepare: (s) => s.apply("pods", fakePod({ uid: "u1", annotations })),
  });
  const log = logOf("u1");
  await until(() => server.watches === 1 && pods.settled(log), "the pod is known");
  assert.equal(pods.origin(log).settings?.sample, 0.5);
  assert.equal(pods.origin(log).settings?.exclude, undefined);
  server.apply("pods", fakePod({ uid: "u1", annotations: { "fluentbit.io/exclude": "true" } }));
  await until(() => pods.origin(log).settings?.exclude === "all", "the exclusion");
  server.apply("pods", fakePod({ uid: "u1" }));
  await until(() => pods.origin(log).settings === undefined, "no settings");
});

test("labels that conditions name are known though they are not attached", async (context) => {
  const { pods } = await startFixture(context, {
    named: ["tier"],
    kubernetes: { labels: ["app"] },
    prepare: (s) => s.apply("pods", fakePod({ uid: "u1", labels: { app: "web", tier: "front", other: "x" } })),
  });
  await until(() => pods.settled(logOf("u1")), "the pod is known");
  const origin = pods.origin(logOf("u1"));
  assert.deepEqual(origin.labels, { app: "web" });
  assert.deepEqual(origin.named, { labels: { tier: "front" }, annotations: {} });
});

test("a wrong annotation is ignored and told once for each way it is wrong, in the log and in the list", async (context) => {
  const wrong = { "tailrace.io/multiline": "jaba" };
  const { server, pods, log } = await startFixture(context, {
    prepare: (s) => s.apply("pods", fakePod({ uid: "u1", annotations: wrong })),
  });
  await until(() => server.watches === 1 && pods.settled(logOf("u1")), "the pod is known");
  const told = () => log.lines.filter(({ msg }) => msg === "a pod's annotation is wrong, and ignored");
  assert.equal(pods.origin(logOf("u1")).settings, undefined);
  assert.deepEqual(
    told().map(({ namespace, pod, annotation, value, reason }) => ({ namespace, pod, annotation, value, reason })),
    [
      {
        namespace: "shop",
        pod: "web-0",
        annotation: "tailrace.io/multiline",
        value: "jaba",
        reason: "allowed are java, python, go, node, ruby, dotnet, php; did you mean java?",
      },
    ],
  );
  assert.deepEqual(
    pods.wrongAnnotations().map(({ pod, annotation }) => [pod, annotation]),
    [["web-0", "tailrace.io/multiline"]],
  );
  server.apply("pods", fakePod({ uid: "u1", annotations: wrong, labels: { app: "web", v: "2" } }));
  await until(() => pods.origin(logOf("u1")).labels.v === "2", "news about something else");
  assert.equal(told().length, 1);
  server.apply("pods", fakePod({ uid: "u1", annotations: { "tailrace.io/multiline": "java" } }));
  await until(() => pods.origin(logOf("u1")).settings?.multiline === "java", "it is corrected");
  assert.deepEqual(pods.wrongAnnotations(), []);
  assert.equal(server.events.length, 0);
});

test("where that is wanted, an Event on the pod tells its owner", async (context) => {
  const { server, pods } = await startFixture(context, {
    kubernetes: { events: true },
    prepare: (s) => s.apply("pods", fakePod({ uid: "u1", annotations: { "tailrace.io/sample": "half" } })),
  });
  await until(() => server.events.length === 1, "the event");
  const [event] = server.events;
  assert.deepEqual(event?.involvedObject, {
    apiVersion: "v1",
    kind: "Pod",
    namespace: "shop",
    name: "web-0",
    uid: "u1",
  });
  assert.equal(event?.type, "Warning");
  assert.equal(event?.reason, "LogAnnotationIgnored");
  assert.match(String(event?.message), /^annotation tailrace\.io\/sample is ignored: it must be a number from 0 to 1/);
  await until(() => pods.synced, "pods go on");
});

test("without the right to create events everything else goes on, and one line says what is missing", async (context) => {
  const { server, pods, log } = await startFixture(context, {
    kubernetes: { events: true },
    prepare: (s) => {
      s.eventsForbidden = true;
      for (const name of ["a", "b"])
        s.apply("pods", fakePod({ uid: name, name, annotations: { "tailrace.io/sample": "half" } }));
    },
  });
  const told = () => log.lines.filter(({ msg }) => String(msg).includes('verb "create" on the resource "events"'));
  await until(() => told().length === 1, "the line");
  assert.equal(server.events.length, 0);
  assert.ok(pods.synced);
});
