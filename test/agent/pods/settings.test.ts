import assert from "node:assert/strict";
import { test } from "node:test";
import { annotationProblems, containerSettings, SETTINGS, type SettingsRules } from "../../../agent/pods/settings.ts";

const rules: SettingsRules = { prefix: "tailrace.io", allow: SETTINGS, outputs: ["es", "loki"] };

const settings = (annotations: Record<string, string>, container = "app", of = rules): unknown => {
  const { key: _, ...found } = containerSettings(annotations, container, of) ?? { key: "" };
  return found;
};

test("a pod's annotations set how its logs are treated, for all containers or one", () => {
  for (const [annotations, expected] of [
    [{}, {}],
    [{ "tailrace.io/exclude": "true" }, { exclude: "all" }],
    [{ "tailrace.io/exclude": "stderr" }, { exclude: "stderr" }],
    [{ "tailrace.io/exclude": "false" }, {}],
    [{ "tailrace.io/exclude": "true", "tailrace.io/exclude.app": "false" }, {}],
    [{ "tailrace.io/exclude.side": "true" }, {}],
    [{ "tailrace.io/multiline": "java", "tailrace.io/multiline.app": "python" }, { multiline: "python" }],
    [{ "tailrace.io/parse": " json " }, { parse: "json" }],
    [{ "tailrace.io/parse": "none" }, { parse: "none" }],
    [{ "tailrace.io/outputs": "loki, es,loki" }, { outputs: ["es", "loki"] }],
    [{ "tailrace.io/sample": "0.1" }, { sample: 0.1 }],
    [{ "tailrace.io/sample": "1" }, { sample: 1 }],
    [{ "fluentbit.io/exclude": "true" }, { exclude: "all" }],
    [{ "fluentbit.io/exclude_stdout": "true" }, { exclude: "stdout" }],
    [{ "fluentbit.io/exclude_stderr-app": "true" }, { exclude: "stderr" }],
    [{ "fluentbit.io/exclude-side": "true" }, {}],
    [{ "fluentbit.io/exclude": "yes" }, {}],
  ] as const)
    assert.deepEqual(settings(annotations), expected, JSON.stringify(annotations));
});

test("a wrong value is as if it were not there, also where one for all containers is right", () => {
  for (const annotations of [
    { "tailrace.io/multiline": "jav" },
    { "tailrace.io/sample": "2" },
    { "tailrace.io/sample": "-0" },
    { "tailrace.io/sample": "0x1" },
    { "tailrace.io/sample": "NaN" },
    { "tailrace.io/outputs": "es,kafka" },
    { "tailrace.io/outputs": "" },
    { "tailrace.io/exclude": "True" },
  ])
    assert.deepEqual(settings(annotations), {}, JSON.stringify(annotations));
  assert.deepEqual(settings({ "tailrace.io/parse.app": "xml", "tailrace.io/parse": "klog" }), { parse: "klog" });
});

test("the operator's prefix counts, and only what the operator allows", () => {
  const annotations = { "logs.corp/exclude": "true", "logs.corp/sample": "0.5", "tailrace.io/sample": "0.1" };
  assert.deepEqual(settings(annotations, "app", { ...rules, prefix: "logs.corp", allow: ["sample"] }), { sample: 0.5 });
  assert.deepEqual(settings({ "fluentbit.io/exclude": "true" }, "app", { ...rules, allow: [] }), {});
});

test("every problem names the annotation, what is wrong and the nearest allowed value", () => {
  const problems = annotationProblems(
    {
      "tailrace.io/multiline": "jva",
      "tailrace.io/exclud": "true",
      "tailrace.io/sample": "10%",
      "tailrace.io/outputs": "es,lokki",
      "tailrace.io/exclude.app": "true",
      "tailrace.io/exclude.sidecar": "true",
      "other.io/exclude": "x",
    },
    ["app", "side"],
    rules,
  );
  assert.deepEqual(
    problems.map(({ annotation, message }) => `${annotation}: ${message}`),
    [
      "tailrace.io/multiline: allowed are java, python, go, node, ruby, dotnet, php; did you mean java?",
      "tailrace.io/exclud: there is no such setting; did you mean exclude?",
      'tailrace.io/sample: it must be a number from 0 to 1, such as "0.1"',
      "tailrace.io/outputs: allowed are es, loki; did you mean loki?",
      "tailrace.io/exclude.sidecar: the pod has no container sidecar; it has app, side",
    ],
  );
  const forbidden = annotationProblems({ "tailrace.io/sample": "1" }, [], { ...rules, allow: ["exclude"] });
  assert.deepEqual(
    forbidden.map(({ message }) => message),
    ["the operator does not allow it; allowed are exclude"],
  );
});

test("equal settings have equal keys", () => {
  const key = (annotations: Record<string, string>) => containerSettings(annotations, "app", rules)?.key;
  assert.equal(key({ "tailrace.io/outputs": "es,loki" }), key({ "tailrace.io/outputs": "loki,es", unrelated: "x" }));
  assert.notEqual(key({ "tailrace.io/sample": "0.1" }), key({ "tailrace.io/sample": "0.2" }));
});
