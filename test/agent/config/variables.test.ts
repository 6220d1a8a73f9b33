import assert from "node:assert/strict";
import { test } from "node:test";
import { escapeVariables, expandVariables } from "../../../agent/config/variables.ts";
import { loadGood, problemsOf } from "../../support/config.ts";

const env = { NAME: "es", EMPTY: "", BRACES: "${NAME}}{" };

test("variables give their value, a default, or a complaint", () => {
  for (const [text, expected, complaint] of [
    ["plain", "plain"],
    ["$NAME $ {NAME}", "$NAME $ {NAME}"],
    ["${NAME}", "es"],
    ["a ${NAME} b ${NAME}", "a es b es"],
    ["${EMPTY}", ""],
    ["${EMPTY:-other}", "other"],
    ["${NOTHING:-other}", "other"],
    ["${NOTHING:-}", ""],
    ["${NAME:-other}", "es"],
    ["${NOTHING:-logs-{namespace}}!", "logs-{namespace}!"],
    ["${NAME:-logs-{namespace}}!", "es!"],
    ["${NOTHING:-${NAME}}", "es"],
    ["${NOTHING:-$${NAME}}", "${NAME}"],
    ["$${NAME}", "${NAME}"],
    ["a$${NAME}${NAME}", "a${NAME}es"],
    ["${BRACES}", "${NAME}}{"],
    ["${NOTHING}", "", /NOTHING is not set; set it, or give a default: \$\{NOTHING:-…\}/],
    ["${}", "", /not a variable's name/],
    ["${1A}", "", /not a variable's name/],
    ["${NAME-x}", "", /not a variable's name/],
    ["${NAME", "${NAME", /without its closing brace/],
  ] as const) {
    const complaints: string[] = [];
    assert.equal(
      expandVariables(text, env, (message) => complaints.push(message)),
      expected,
      text,
    );
    assert.equal(complaints.length, complaint === undefined ? 0 : 1, text);
    if (complaint !== undefined) assert.match(complaints.join(), complaint);
  }
});

test("an escaped text expands to itself", () => {
  for (const text of ["${NAME}", "$${NAME}", "a${", "plain"])
    assert.equal(
      expandVariables(escapeVariables(text), {}, () => assert.fail()),
      text,
    );
});

test("variables stand for numbers, booleans, sizes and choices too, and can't break out of their text", (context) => {
  const text = `logLevel: \${LEVEL:-debug}
clusterName: \${CLUSTER}
kubernetes: { enabled: "\${ENABLED}" }
outputs:
  - name: \${NAME}
    type: \${TYPE:-console}
    memory: \${MEMORY}
    batch: { maxRecords: "\${RECORDS}", maxWait: "\${WAIT}" }
`;
  const values = {
    CLUSTER: 'a"\nlogLevel: error',
    ENABLED: "false",
    NAME: "es",
    MEMORY: "8Mi",
    RECORDS: "5",
    WAIT: "2s",
  };
  const { config } = loadGood(context, text, values);
  assert.equal(config.logLevel, "debug");
  assert.equal(config.clusterName, values.CLUSTER);
  assert.equal(config.kubernetes.enabled, false);
  const [output] = config.outputs;
  assert.deepEqual(
    [output?.name, output?.type, output?.memory, output?.batch.maxRecords, output?.batch.maxWait],
    ["es", "console", 8 * 1024 ** 2, 5, 2000],
  );
});

test("a value whose variable is missing is one problem, and an empty one is checked like any other", (context) => {
  const text = 'outputs: [{ name: a, type: console, memory: "${M}" }]';
  assert.deepEqual(problemsOf(context, text), [
    "1:45: outputs[0].memory: the environment variable M is not set; set it, or give a default: ${M:-…}",
  ]);
  const empty = 'outputs: [{ name: a, type: elasticsearch, endpoints: ["${M:-}"] }]';
  assert.deepEqual(problemsOf(context, empty), [
    "1:55: outputs[0].endpoints[0]: the value is wrong; it must be a URL such as https://es:9200",
  ]);
});

test("keys and comments take no variables", (context) => {
  const text = 'outputs: [{ name: a, type: console }] # ${NOTHING}\n"${NOTHING}": 1\n';
  assert.equal(problemsOf(context, text).length, 1);
  assert.match(problemsOf(context, text).join(), /^2:1: \$\{NOTHING\}: unknown key/);
});
