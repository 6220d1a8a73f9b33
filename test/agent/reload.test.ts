/** What a changed configuration means, case by case. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { changeText } from "../../agent/config/difference.ts";
import type { Config } from "../../agent/config/schema.ts";
import { planReload } from "../../agent/reload.ts";
import { type Context, load } from "../support/config.ts";

const BEFORE = `
nodeName: node-a
dataDir: /state
outputs:
  - { name: es, type: elasticsearch, endpoints: ["http://es:9200"], auth: { apiKey: "id:old" } }
  - { name: screen, type: console }
`;

/** What is replaced by what, and what of the plan differs from nothing to do. */
const CASES: Record<string, { from: string | RegExp; to: string; plan: Record<string, unknown>; changes?: string[] }> =
  {
    "nothing but white space": { from: "type: console", to: "type:   console", plan: {} },
    "the order of outputs": { from: /( {2}- .*\n)( {2}- .*\n)/, to: "$2$1", plan: {} },
    "a default that is written out": { from: "type: console", to: "type: console, memory: 32MiB", plan: {} },
    "one output": {
      from: "type: console",
      to: "type: console, batch: { maxWait: 5s }",
      plan: { rebuilt: ["screen"] },
      changes: ["outputs[screen].batch.maxWait: 1s -> 5s"],
    },
    "a secret": {
      from: "id:old",
      to: "id:new",
      plan: { rebuilt: ["es"] },
      changes: ["outputs[es].auth.apiKey: *** -> ***"],
    },
    "a secret that moves into a file": {
      from: '"id:old"',
      to: "{ file: /key }",
      plan: { rebuilt: ["es"] },
      changes: ['outputs[es].auth.apiKey: *** -> {"file":"/key"}'],
    },
    "an output's name": {
      from: "name: screen",
      to: "name: console",
      plan: { removed: ["screen"], added: ["console"], pods: true },
      changes: ["outputs[screen].type: console -> (none)", "outputs[console].type: (none) -> console"],
    },
    "an output's type": {
      from: "type: console",
      to: 'type: file, path: "/copy"',
      plan: { rebuilt: ["screen"] },
    },
    "how lines are read": {
      from: "outputs:",
      to: "source: { maxRecordBytes: 2MiB }\noutputs:",
      plan: { rebuilt: ["es", "screen"] },
      changes: ["source.maxRecordBytes: 1MiB -> 2MiB"],
    },
    "which files are read": {
      from: "outputs:",
      to: 'source: { exclude: ["/x"] }\noutputs:',
      plan: { files: true },
      changes: ['source.exclude: [] -> ["/x"]'],
    },
    "what is asked of the API server": {
      from: "outputs:",
      to: "kubernetes: { annotations: [team] }\noutputs:",
      plan: { pods: true },
      changes: ['kubernetes.annotations: [] -> ["team"]'],
    },
    "the cluster's name": {
      from: "outputs:",
      to: "clusterName: prod\noutputs:",
      plan: { pods: true },
      changes: ['clusterName: "" -> prod'],
    },
    "what is looked up when it is needed": {
      from: "outputs:",
      to: "logLevel: debug\nshutdownTimeout: 5s\noutputs:",
      plan: {},
      changes: ["logLevel: info -> debug", "shutdownTimeout: 25s -> 5s"],
    },
    "what only a restart changes": {
      from: "dataDir: /state",
      to: 'dataDir: /other\nadmin: { uiListen: "127.0.0.1:1" }',
      plan: { restart: ["dataDir", "admin.uiListen"] },
    },
  };

function configOf(context: Context, text: string): Config {
  const loaded = load(context, text, {}, false);
  assert.ok("config" in loaded, JSON.stringify(loaded));
  return loaded.config;
}

for (const [name, { from, to, plan: expected, changes = [] }] of Object.entries(CASES))
  test(`a change of ${name}`, (context) => {
    const before = configOf(context, BEFORE);
    const text = BEFORE.replace(from, to);
    assert.notEqual(text, BEFORE);
    const { config, changes: actual, ...plan } = planReload(before, configOf(context, text));
    assert.deepEqual(plan, {
      ...{ restart: [], added: [], removed: [], rebuilt: [], pods: false, files: false },
      ...expected,
    });
    if (changes.length > 0) assert.deepEqual(actual.map(changeText), changes);
    assert.deepEqual([config.dataDir, config.admin], [before.dataDir, before.admin]);
  });
