/**
 * deploy/alerts.yaml and deploy/dashboard.json fit the metrics that there are. Whether the rules fire when they should is
 * tested by promtool (alerts.promtool.yaml), which `npm run test:node` runs.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { Metrics } from "../../agent/metrics.ts";
import { REPOSITORY } from "./kubernetes.ts";

const read = (path: string): string => readFileSync(join(REPOSITORY, path), "utf8");

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}
interface Panel {
  readonly id: number;
  readonly title: string;
  readonly targets: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
}

const rules = (parse(read("deploy/alerts.yaml")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const dashboard = JSON.parse(read("deploy/dashboard.json")) as {
  panels: Panel[];
  templating: { list: { name: string; query: string | { query: string } }[] };
};

/** Labels of each metric. */
const known = new Map<string, readonly string[]>();
const { registry } = new Metrics("0.0.0", () => {});
// prom-client's metrics have them, though its types do not say so.
for (const { name, labelNames } of registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[] }[])
  known.set(name, labelNames);
registry.clear();

/** Of a target, not of the agent: what Prometheus adds itself. */
const SCRAPED = ["job", "instance", "le"];

function check(expression: string, where: string): void {
  for (const [, name = "", selector = ""] of expression.matchAll(
    /\b((?:tailrace|process|nodejs)_\w+)(?:\{([^}]*)\})?/g,
  )) {
    const labels = known.get(name) ?? known.get(name.replace(/_(bucket|sum|count)$/, ""));
    assert.ok(labels, `${where}: there is no metric ${name}`);
    for (const [, label = ""] of selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g))
      assert.ok([...labels, ...SCRAPED].includes(label), `${where}: ${name} has no label ${label}`);
  }
}

test("every alert is about metrics that there are, says how bad it is, and has a test that makes it fire", () => {
  const tests = read("test/deploy/alerts.promtool.yaml");
  assert.ok(rules.length > 0);
  for (const { alert, expr, labels, annotations } of rules) {
    check(expr, alert);
    assert.match(labels.severity, /^(warning|critical)$/);
    assert.ok(annotations.summary);
    assert.match(tests, new RegExp(`alertname: ${alert}\\n\\s+exp_alerts:\\n`), `${alert} fires in a test`);
    assert.match(tests, new RegExp(`alertname: ${alert}, exp_alerts: \\[\\]`), `${alert} stays silent in a test`);
  }
});

test("docs/metrics.md names every alert", () => {
  const page = read("docs/metrics.md");
  for (const { alert } of rules) assert.ok(page.includes(`\`${alert}\``), alert);
});

test("every panel of the dashboard shows metrics that there are, from the data source that is chosen", () => {
  assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length);
  for (const { title, targets } of dashboard.panels) {
    assert.ok(targets.length > 0, title);
    for (const { expr, datasource } of targets) {
      check(expr, title);
      assert.equal(datasource.uid, "${datasource}");
      for (const [, variable = ""] of expr.matchAll(/\$(\w+)/g))
        assert.ok(
          variable.startsWith("__") || dashboard.templating.list.some(({ name }) => name === variable),
          `${title}: $${variable}`,
        );
    }
  }
});
