/** What of a configuration and of a pod's own settings becomes of rows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DROPPED, STDERR } from "../../../agent/batch.ts";
import type { Origin } from "../../../agent/pods/origin.ts";
import { containerSettings, SETTINGS } from "../../../agent/pods/settings.ts";
import { ProcessorChain } from "../../../agent/process/chain.ts";
import { fieldsOf, messagesOf } from "../../support/fields.ts";
import { planOf } from "../../support/plan.ts";
import { origin, rowsOf } from "../../support/rows.ts";

function withSettings(annotations: Record<string, string>): Origin {
  const rules = { prefix: "tailrace.io", allow: SETTINGS, outputs: ["out", "other"] };
  return { ...origin, settings: containerSettings(annotations, origin.container, rules) };
}

test("an origin of which a rule drops everything is refused by the rule's name", (context) => {
  const plan = planOf(
    context,
    "[{ severity: {} }, { drop: { match: { namespaces: kube-* } } }, { keep: { match: { pods: web-* } } }]",
    "match: { containers: '!sidecar' }",
  );
  for (const [of, expected] of [
    [origin, undefined],
    [{ ...origin, namespace: "kube-system" }, "drop"],
    [{ ...origin, pod: "db-0" }, "keep"],
    [{ ...origin, container: "sidecar" }, "match"],
    [withSettings({ "tailrace.io/exclude": "true" }), "exclude"],
    [withSettings({ "tailrace.io/exclude": "stderr" }), undefined],
    [withSettings({ "tailrace.io/outputs": "other" }), "outputs"],
    [withSettings({ "tailrace.io/outputs": "other,out" }), undefined],
  ] as const)
    assert.equal(plan.refusal(of), expected);
  // What depends on rows refuses no container.
  assert.equal(planOf(context, "[{ drop: { match: { namespaces: shop, message: /x/ } } }]").refusal(origin), undefined);
});

test("an output's match comes between the common processors and its own", (context) => {
  const plan = planOf(
    context,
    "[{ json: { messageKey: m } }]",
    "match: { message: /^keep/ }, processors: [{ redact: { patterns: [/keep/] } }]",
  );
  const rows = rowsOf(['{"m":"keep 1"}', '{"m":"other"}']);
  new ProcessorChain(plan).process(rows, 0, 0);
  assert.deepEqual(messagesOf(rows), ["[REDACTED] 1", "other"]);
  assert.deepEqual([...rows.drops.keys()], ["match"]);
  assert.equal((rows.flags[1] as number) & DROPPED, DROPPED);
});

test("a pod's parse takes the place of json and parse, and none leaves messages as they are", (context) => {
  const plan = planOf(context, "[{ json: {} }, { parse: { format: logfmt, into: c } }]");
  for (const [annotations, expected] of [
    [{}, [["a", "1"]]],
    [{ "tailrace.io/parse": "logfmt" }, []],
    [{ "tailrace.io/parse": "json" }, [["a", "1"]]],
    [{ "tailrace.io/parse": "none" }, []],
  ] as const) {
    const rows = rowsOf(['{"a":1}'], withSettings(annotations));
    new ProcessorChain(plan).process(rows, 0, 0);
    assert.deepEqual(fieldsOf(rows, 0), expected, JSON.stringify(annotations));
  }
});

test("a pod's exclude of one stream, its outputs and its sample drop rows by name", (context) => {
  const plan = planOf(context, "[]");
  for (const [annotations, expected] of [
    [{ "tailrace.io/exclude": "stderr" }, [["exclude", 1]]],
    [{ "tailrace.io/exclude": "true" }, [["exclude", 2]]],
    [{ "tailrace.io/outputs": "other" }, [["outputs", 2]]],
    [{ "tailrace.io/sample": "0" }, [["sample", 2]]],
    [{ "tailrace.io/sample": "1" }, []],
  ] as const) {
    const rows = rowsOf(["a", "b"], withSettings(annotations));
    rows.flags[1] = STDERR;
    new ProcessorChain(plan).process(rows, 0, 0);
    assert.deepEqual(
      [...rows.drops].map(([name, { rows }]) => [name, rows]),
      expected,
      JSON.stringify(annotations),
    );
  }
});

test("settings that change give back what the former chain holds, before any later row", (context) => {
  const chain = new ProcessorChain(planOf(context, "[{ multiline: { start: /^S/ } }]"));
  const first = rowsOf(["S a", " b"]);
  chain.process(first, 0, Number.NEGATIVE_INFINITY);
  assert.deepEqual(messagesOf(first), []);
  assert.equal(chain.pendingBytes, 85);
  const second = rowsOf([" c", "S d"], withSettings({ "tailrace.io/multiline": "java" }));
  chain.process(second, 0, Number.NEGATIVE_INFINITY);
  assert.deepEqual(messagesOf(second), ["S a\n b\n c", "S d"]);
  assert.equal(chain.pendingBytes, 0);
  // From now on the pod's own preset joins.
  const third = rowsOf(["e", "f", "java.lang.Error: x", "\tat a.b(C.java:1)"], second.origin);
  chain.process(third, 0, Number.POSITIVE_INFINITY);
  assert.deepEqual(messagesOf(third), ["e", "f", "java.lang.Error: x\n\tat a.b(C.java:1)"]);
});

test("without processors nothing is made for a batch", (context) => {
  const rows = rowsOf(["a"]);
  new ProcessorChain(planOf(context, "[]")).process(rows, 0, 0);
  assert.equal(rows.severity, undefined);
  assert.equal(rows.fields, undefined);
  assert.equal(rows.drops.size, 0);
});

test("what parsers left untouched is counted, also across chains", (context) => {
  const chain = new ProcessorChain(planOf(context, "[{ json: {} }]"));
  chain.process(rowsOf(["a", "{}"]), 0, 0);
  chain.process(rowsOf(["b"], withSettings({ "tailrace.io/parse": "logfmt" })), 0, 0);
  chain.process(rowsOf(["c"], withSettings({ "tailrace.io/parse": "json" })), 0, 0);
  assert.ok((chain.counts.get("json unmatched") ?? 0) >= 2);
});
