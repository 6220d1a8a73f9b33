import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { effectiveYaml } from "../../../agent/config/effective.ts";
import { loadGood } from "../../support/config.ts";
import { temporaryFolder } from "../../support/program.ts";

/** Every default of the contract, in units that people write. */
const DEFAULTS = `nodeName: host-1
clusterName: ""
dataDir: /var/lib/tailrace
logLevel: info
shutdownTimeout: 25s
source:
  include:
    - /var/log/containers/*.log
  exclude: []
  roots:
    - /var/log/pods
    - /var/log/containers
    - /var/lib/docker/containers
  startAt: beginning
  format: auto
  maxRecordBytes: 1MiB
  partialTimeout: 5s
  hold:
    maxBytes: 2GiB
kubernetes:
  enabled: true
  kubeconfig: ""
  labels:
    - "*"
  annotations: []
  namespaceLabels: []
  metadataTimeout: 5s
  annotationPrefix: tailrace.io
  podSettings:
    allow:
      - exclude
      - multiline
      - parse
      - outputs
      - sample
  events: false
processors: []
outputs:
  - name: es
    type: elasticsearch
    match: {}
    processors: []
    memory: 32MiB
    maxBacklog: 0
    batch:
      maxBytes: 4MiB
      maxRecords: 20000
      maxWait: 1s
    request:
      timeout: 90s
      concurrency: 2
      compression: gzip
      headers: {}
    retry:
      initialDelay: 500ms
      maxDelay: 30s
    deadLetter:
      maxBytes: 64MiB
    tls:
      caFile: ""
      certFile: ""
      keyFile: ""
      serverName: ""
      insecureSkipVerify: false
    auth: {}
    endpoints:
      - https://es:9200
    index: logs-kubernetes.container_logs-default
    op: create
    pipeline: ""
    schema: ecs
    dedupe: true
    setupTemplate: true
admin:
  listen: 0.0.0.0:9780
  uiListen: 127.0.0.1:9781
`;

test("the effective configuration has every default", (context) => {
  const { config } = loadGood(context, "outputs: [{ name: es, type: elasticsearch, endpoints: [https://es:9200/] }]");
  assert.equal(effectiveYaml(config), DEFAULTS);
});

test("what is printed is loaded as the same again, whatever the values are", (context) => {
  const token = join(temporaryFolder(context), "token $${x}");
  writeFileSync(token, "hunter2");
  const text = `nodeName: "5"
clusterName: "$\${NOT_A_VARIABLE} 'quoted' \\"twice\\" # {x}\\n: \\u2028"
shutdownTimeout: 1500ms
source: { maxRecordBytes: 123457, include: ["*", "!x", "yes"], partialTimeout: 90m }
outputs:
  - name: es
    type: elasticsearch
    endpoints: [https://es:9200]
    index: "logs-{namespace}-{yyyy.MM.dd}"
    memory: 3MB
    batch: { maxWait: 0 }
    deadLetter: { maxBytes: 0 }
    auth: { username: u, password: hunter2 }
    request: { headers: { timeout: hunter2, name: { file: ${JSON.stringify(token.replaceAll("${", () => "$${"))} } } }
  - { name: copy, type: file, path: "/data/{pod}.ndjson", rotate: { maxBytes: 1GB, maxFiles: 1 } }
  - { name: "-_.9", type: console, format: json }
`;
  const { config } = loadGood(context, text);
  const printed = effectiveYaml(config);
  assert.doesNotMatch(printed, /hunter2/);
  assert.match(printed, /password: "\*\*\*"/);
  const again = loadGood(context, printed).config;
  assert.deepEqual(JSON.parse(JSON.stringify(again)), JSON.parse(JSON.stringify(config)));
  assert.equal(effectiveYaml(again), printed);
  assert.equal(again.clusterName, "${NOT_A_VARIABLE} 'quoted' \"twice\" # {x}\n: \u2028");
});
