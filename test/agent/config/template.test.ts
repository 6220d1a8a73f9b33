import assert from "node:assert/strict";
import { test } from "node:test";
import { type Rows, STDERR } from "../../../agent/batch.ts";
import { parseTemplate, TemplateError } from "../../../agent/config/template.ts";
import type { Origin } from "../../../agent/pods/origin.ts";
import { origin, rowsOf } from "../../support/rows.ts";

const web: Origin = {
  ...origin,
  cluster: "prod",
  workload: "web",
  workloadKind: "statefulset",
  labels: { team: "a/b", "app.kubernetes.io/part-of": "shop" },
  annotations: { note: "hello" },
  namespaceLabels: { owner: "ops" },
};

/** One row at a time. */
function at(time: string, of: Origin = web): Rows {
  const rows = rowsOf(["hello"], of);
  rows.seconds[0] = Math.floor(Date.parse(time) / 1000);
  rows.offset[0] = 5_000_000_000;
  return rows;
}

const rendered: readonly (readonly [string, string])[] = [
  ["logs", "logs"],
  ["", ""],
  ["{cluster} {node} {namespace} {pod}", "prod node-a shop web-0"],
  ["{uid}", web.uid],
  ["{container}-{stream}", "app-stdout"],
  ["{workloadKind}/{workload}", "statefulset/web"],
  ["{app}", "web"],
  ["{offset}", "5000000000"],
  ["{label.team}", "a/b"],
  ["{label.app.kubernetes.io/part-of}", "shop"],
  ["{label.nothing}", "unknown"],
  ["{label.constructor}", "unknown"],
  ["{annotation.note} {namespaceLabel.owner}", "hello ops"],
  ["logs-{yyyy.MM.dd}", "logs-2026.11.24"],
  ["{yyyy-MM-dd}T{HH}", "2026-11-24T09"],
  ["{yyyy.MM} {yyyy.ww}", "2026.11 2026.48"],
];

test("placeholders are rendered from origin, row and time in UTC", () => {
  for (const [text, expected] of rendered)
    assert.equal(parseTemplate(text).render(at("2026-11-24T09:59:59Z"), 0), expected, text);
});

test("{app} is the recommended label, else app, else the workload, else the container", () => {
  const { render } = parseTemplate("{app}");
  const app = (labels: Record<string, string>, workload: string): string =>
    render(at("2026-11-24T09:00:00Z", { ...web, labels, workload }), 0);
  assert.equal(app({ "app.kubernetes.io/name": "one", app: "two" }, "three"), "one");
  assert.equal(app({ app: "two" }, "three"), "two");
  assert.equal(app({}, "three"), "three");
  assert.equal(app({}, ""), "app");
});

test("weeks are those of ISO 8601, at every hour and around every kind of new year", () => {
  const { render } = parseTemplate("{yyyy.ww}");
  for (const [time, week] of [
    ["2021-01-03T23:59:59Z", "2020.53"],
    ["2021-01-04T00:00:00Z", "2021.01"],
    ["2021-01-07T22:00:00Z", "2021.01"],
    ["2024-12-30T00:00:00Z", "2025.01"],
    ["2026-12-31T23:59:59Z", "2026.53"],
    ["2027-01-01T00:00:00Z", "2026.53"],
    ["1969-12-31T23:59:59Z", "1970.01"],
  ] as const)
    assert.equal(render(at(time), 0), week, time);
});

test("rows of one batch each get their own stream, hour and offset", () => {
  const rows = rowsOf(["a", "b", "c", "d"], web);
  rows.seconds.set([3599, 3600, 3599, 7200]);
  rows.flags.set([0, STDERR, STDERR, 0]);
  const all = (text: string): string[] => {
    const { render } = parseTemplate(text);
    return [0, 1, 2, 3].map((row) => render(rows, row));
  };
  assert.deepEqual(all("{stream}-{HH}"), ["stdout-00", "stderr-01", "stderr-00", "stdout-02"]);
  assert.deepEqual(all("{offset}"), ["0", "100", "200", "300"]);
});

test("a pod's news and another way of cleaning reach the next row", () => {
  const { render } = parseTemplate("{label.team}");
  const rows = at("2026-11-24T09:00:00Z");
  assert.equal(render(rows, 0), "a/b");
  assert.equal(render(at("2026-11-24T09:00:00Z", { ...web, labels: { team: "c" } }), 0), "c");
  assert.equal(
    render(rows, 0, (value) => value.replace("/", "_")),
    "a_b",
  );
  assert.equal(render(rows, 0), "a/b");
});

test("values are cleaned, the text around them is not, and nothing ends up empty", () => {
  const { render } = parseTemplate("/data/{label.team}/{cluster}");
  const rows = at("2026-11-24T09:00:00Z", { ...web, cluster: "" });
  assert.equal(
    render(rows, 0, (value) => value.replaceAll("/", "")),
    "/data/ab/unknown",
  );
  assert.equal(
    render(rows, 0, () => ""),
    "/data/unknown/unknown",
  );
});

test("a template knows whether its text depends on the row, or on anything", () => {
  const kind = (text: string) => {
    const { isConstant, perRow } = parseTemplate(text);
    return { isConstant, perRow };
  };
  assert.deepEqual(kind("logs"), { isConstant: true, perRow: false });
  assert.deepEqual(kind("{namespace}"), { isConstant: false, perRow: false });
  for (const text of ["{stream}", "{offset}", "{yyyy.MM.dd}", "{namespace}-{HH}"])
    assert.deepEqual(kind(text), { isConstant: false, perRow: true }, text);
});

test("what is no placeholder is refused with a sentence that names the nearest", () => {
  for (const [text, message] of [
    ["{namespce}", /no placeholder \{namespce\}; did you mean \{namespace\}\?; allowed are \{cluster\} /],
    ["{yyyy.mm.dd}", /did you mean \{yyyy\.MM\.dd\}\?/],
    ["{labels.team}", /did you mean \{label\.team\}\?/],
    ["{label.}", /no placeholder \{label\.\}/],
    ["{}", /no placeholder \{\}; allowed are /],
    ["{constructor}", /no placeholder \{constructor\}/],
    ["{namespace", /a brace is without its partner/],
    ["namespace}", /a brace is without its partner/],
    ["{fields.user}", /did you mean \{field\.user\}\?/],
    ["{field.}", /no placeholder \{field\.\}/],
  ] as const)
    assert.throws(
      () => parseTemplate(text),
      (error) => error instanceof TemplateError && message.test(error.message),
      text,
    );
});
