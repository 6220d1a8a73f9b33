/** What the pages for people say is so: the example is valid, scripts and linked files exist, every metric is listed. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "../../agent/config/load.ts";
import { Metrics } from "../../agent/metrics.ts";
import { REPOSITORY } from "./kubernetes.ts";

const read = (name: string): string => readFileSync(join(REPOSITORY, name), "utf8");

const PAGES = [
  "README.md",
  "ARCHITECTURE.md",
  "CHANGELOG.md",
  "docs/elasticsearch.md",
  "docs/loki.md",
  "docs/victorialogs.md",
  "docs/operations.md",
  "docs/metrics.md",
  "docs/delivery.md",
  "docs/processors.md",
];

/** What prom-client's metrics have, though its types do not say so. */
interface Described {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

test("docs/metrics.md has one row for each metric, with its type, labels and meaning", () => {
  const { registry } = new Metrics("0.0.0", () => {});
  const metrics = registry.getMetricsAsArray() as unknown as Described[];
  const expected = metrics
    .filter(({ name }) => name.startsWith("tailrace_"))
    .map((metric) => {
      const labels = metric.labelNames.map((label) => `\`${label}\``).join(" ");
      return `| \`${metric.name}\` | ${metric.constructor.name.toLowerCase()} | ${labels} | ${metric.help} |`;
    });
  registry.clear();
  const rows = read("docs/metrics.md").split("\n");
  assert.deepEqual(
    rows.filter((line) => line.startsWith("| `")),
    expected,
  );
});

test("the README's configuration is valid", async () => {
  const example = /```yaml\n([\s\S]*?)```/.exec(read("README.md"))?.[1] ?? "";
  const folder = await mkdtemp(join(tmpdir(), "tailrace-readme-"));
  try {
    const file = join(folder, "config.yaml");
    writeFileSync(file, example);
    const loaded = loadConfig(file, { env: {}, hostname: "node-a", checkFiles: false });
    assert.deepEqual("problems" in loaded ? loaded.problems : [], []);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("every npm script that a page or .ci/run names exists", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  for (const page of [...PAGES, "Dockerfile", ".ci/run"])
    for (const [, name = ""] of read(page).matchAll(/\bnpm run ([a-z-]+)/g))
      assert.ok(name in scripts, `${page}: ${name}`);
});

test("every test that docs/delivery.md names exists", () => {
  const folder = join(REPOSITORY, "test");
  const tests = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => readFileSync(join(folder, name), "utf8"))
    .join("\n");
  // What is longer than a metric's name in backticks is a test.
  for (const line of read("docs/delivery.md").split("\n"))
    for (const [i, text] of line.split("`").entries())
      if (i % 2 === 1 && text.includes(" ") && text.length > 20)
        assert.ok(tests.includes(text), `no test is called: ${text}`);
});

test("every file that a page links to exists", () => {
  for (const page of PAGES)
    for (const [, link = ""] of read(page).matchAll(/\]\(([^):#]+)\)/g))
      assert.ok(existsSync(join(REPOSITORY, dirname(page), link)), `${page}: ${link}`);
});
