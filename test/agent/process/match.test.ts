import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import picomatch from "picomatch";
import { STDERR } from "../../../agent/batch.ts";
import { type Conditions, compileMatch, globTest, namedIn, wanted } from "../../../agent/process/match.ts";
import { type SeverityName, severityLevel } from "../../../agent/process/severity.ts";
import { origin, rowsOf } from "../../support/rows.ts";

const of = { ...origin, labels: { app: "web", "app.kubernetes.io/name": "shop/web" }, annotations: { team: "blue" } };

interface Row {
  readonly message?: string;
  readonly stderr?: boolean;
  readonly severity?: SeverityName;
}

function matches(
  conditions: Conditions,
  { message = "", stderr = false, severity = "" }: Row = {},
): boolean | undefined {
  const rows = rowsOf([message], of);
  if (stderr) rows.flags[0] = STDERR;
  if (severity !== "") rows.severities()[0] = severityLevel(severity);
  const want = wanted(compileMatch(conditions), rows);
  return typeof want === "boolean" ? want : want(0);
}

test("conditions on the origin take names, globs, lists, patterns and negations", () => {
  const cases: [Conditions, boolean][] = [
    [{}, true],
    [{ namespaces: ["shop"] }, true],
    [{ namespaces: ["kube-*", "sh*"] }, true],
    [{ namespaces: ["kube-*"] }, false],
    [{ namespaces: ["!kube-*"] }, true],
    [{ namespaces: ["!kube-*", "!shop"] }, false],
    [{ namespaces: ["*", "!shop"] }, false],
    [{ namespaces: ["/^s.o/"] }, true],
    [{ namespaces: ["!/^s.o/"] }, false],
    [{ pods: ["web-?"], containers: ["{app,side}"] }, true],
    [{ pods: ["web-0"], containers: ["side"] }, false],
    [{ labels: { app: ["web"] } }, true],
    [{ labels: { "app.kubernetes.io/name": ["shop*"] } }, true],
    [{ labels: { app: ["api"] } }, false],
    [{ labels: { tier: ["*"] } }, false],
    [{ labels: { tier: ["!front"] } }, true],
    [{ labels: { constructor: ["*"] } }, false],
    [{ annotations: { team: ["blue", "green"] } }, true],
  ];
  for (const [conditions, expected] of cases) assert.equal(matches(conditions), expected, JSON.stringify(conditions));
});

test("conditions on rows look at stream, severity and message", () => {
  const cases: [Conditions, Row, boolean][] = [
    [{ stream: ["stderr"] }, { stderr: true }, true],
    [{ stream: ["!stderr"] }, { stderr: true }, false],
    [{ severity: [">=warn"] }, { severity: "error" }, true],
    [{ severity: [">=warn"] }, { severity: "info" }, false],
    [{ severity: ["<info"] }, { severity: "debug" }, true],
    [{ severity: ["<info"] }, {}, false],
    [{ severity: [">=trace"] }, {}, false],
    [{ severity: ["unknown"] }, {}, true],
    [{ severity: ["debug", "error"] }, { severity: "error" }, true],
    [{ severity: ["!debug"] }, {}, true],
    [{ message: ["/health/"] }, { message: "GET /health" }, true],
    [{ message: ["!/health/"] }, { message: "GET /health" }, false],
    [{ message: ["/ERR/i", "/fail/"] }, { message: "an error" }, true],
    [{ namespaces: ["kube-*"], message: ["/./"] }, { message: "x" }, false],
  ];
  for (const [conditions, row, expected] of cases)
    assert.equal(matches(conditions, row), expected, JSON.stringify([conditions, row]));
});

test("what depends on the origin alone is decided once for each", () => {
  const match = compileMatch({ namespaces: ["shop"] });
  assert.equal(match?.ofOrigin(of), true);
  assert.equal(match?.ofOrigin({ ...of, namespace: "other" }), false);
  assert.equal(compileMatch({ namespaces: ["shop"], stream: ["stdout"] })?.ofOrigin(of), undefined);
  assert.equal(compileMatch({ namespaces: ["other"], stream: ["stdout"] })?.ofOrigin(of), false);
});

test("labels and annotations count whether they are attached or not", () => {
  const hidden = { ...of, named: { labels: { tier: "front" }, annotations: {} } };
  assert.equal(compileMatch({ labels: { tier: ["front"] } })?.ofOrigin(hidden), true);
  const processors = [
    { drop: { match: { labels: { tier: ["x"] } } } },
    { keep: { match: { annotations: { a: ["y"] } } } },
  ];
  assert.deepEqual(namedIn(processors), { labels: new Set(["tier"]), annotations: new Set(["a"]) });
});

test("globs of stars mean what picomatch takes them for, in linear time", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "-", "/"), maxLength: 12 });
  // Not dots: picomatch takes "." and ".." for folders.
  const glob = fc.string({ unit: fc.constantFrom("a", "b", "-", "*"), minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(glob, text, (glob, text) => {
      fc.pre(text !== "");
      assert.equal(globTest(glob)(text), picomatch(glob, { bash: true, dot: true, nonegate: true })(text), glob);
    }),
    { numRuns: 2000 },
  );
  assert.equal(globTest("*a*a*a*a*a*a*a*a*b")("a".repeat(200_000)), false);
});
