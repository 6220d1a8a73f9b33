import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { formatProblem, loadConfig } from "../../../agent/config/load.ts";
import { load, loadGood, problemsOf } from "../../support/config.ts";
import { temporaryFolder } from "../../support/program.ts";

const CONSOLE = "outputs: [{ name: a, type: console }]\n";
/** An output of two lines, so that what is appended stands in line 4 of the file. */
const ES = "outputs:\n  - { name: a, type: console }\n  - name: es\n    type: elasticsearch\n";
const ES_AT = `${ES}    endpoints: [http://es:9200]\n`;

/** Each: the file, and its problems as LINE:COLUMN: path: message. */
const WRONG: Readonly<Record<string, readonly [string, readonly string[]]>> = {
  "an empty file": ["", ["1:1: outputs: missing; it must be a list"]],
  "only a comment": ["# nothing\n", ["1:1: outputs: missing; it must be a list"]],
  "no mapping": ["hello\n", ['1:1: "hello" is wrong; it must be a mapping']],
  "a list": ["- a\n", ["1:1: a list is wrong; it must be a mapping"]],
  "no outputs": ["outputs: []\n", ["1:10: outputs: empty; it must have at least one item"]],
  "an unknown key": [
    `${CONSOLE}colour: red\n`,
    [
      "2:1: colour: unknown key; allowed are nodeName, clusterName, dataDir, logLevel, shutdownTimeout, source, kubernetes, processors, outputs, admin",
    ],
  ],
  "a typo at the top": [`clusterNmae: a\n${CONSOLE}`, ['1:1: clusterNmae: unknown key; did you mean "clusterName"?']],
  "a typo below": [
    `${ES}    endpoint: [http://es:9200]\n`,
    [
      "3:5: outputs[1].endpoints: missing; it must be a list",
      '5:5: outputs[1].endpoint: unknown key; did you mean "endpoints"?',
    ],
  ],
  "a key of another type": [
    "outputs: [{ name: a, type: console, index: x }]",
    [
      "1:37: outputs[0].index: unknown key; allowed are name, match, processors, memory, maxBacklog, batch, request, retry, deadLetter, tls, auth, type, format",
    ],
  ],
  "a type that does not exist": [
    "outputs:\n  - name: a\n    type: splunk\n",
    ['3:11: outputs[0].type: "splunk" is wrong; allowed are elasticsearch, loki, stackdriver, console, file'],
  ],
  "what Loki would not take": [
    'outputs:\n  - name: a\n    type: loki\n    endpoint: http://loki\n    labels: { a-b: "{pod}", pod: "{pod}" }\n    structuredMetadata: { pod: x, __x: y }\n',
    [
      "5:15: outputs[0].labels.a-b: not a key that is allowed here; it must be made of letters, digits and _, without a digit in front: a name in Loki",
      "6:32: outputs[0].structuredMetadata.pod: there is a label of this name, and Loki would rename one of them",
      "6:35: outputs[0].structuredMetadata.__x: not a key that is allowed here; it must not begin with __ or be nothing but _, which Loki keeps for itself",
    ],
  ],
  "no label, or too many for Loki": [
    `outputs:\n  - { name: a, type: loki, endpoint: "http://loki", labels: {} }\n  - { name: b, type: loki, endpoint: "http://loki", labels: { ${Array.from({ length: 16 }, (_, i) => `l${i}: x`).join(", ")} } }\n`,
    [
      "2:61: outputs[0].labels: no label; Loki needs at least one",
      "3:61: outputs[1].labels: 16 labels; Loki takes at most 15: move some to structuredMetadata",
    ],
  ],
  "a type with a typo": [
    "outputs:\n  - name: a\n    type: consoel\n",
    [
      '3:11: outputs[0].type: "consoel" is wrong; allowed are elasticsearch, loki, stackdriver, console, file; did you mean "console"?',
    ],
  ],
  "no type": [
    "outputs:\n  - name: a\n",
    ["2:5: outputs[0].type: missing; allowed are elasticsearch, loki, stackdriver, console, file"],
  ],
  "a wrong type": [
    `source:\n  include: /var/log/*.log\n${CONSOLE}`,
    ['2:12: source.include: "/var/log/*.log" is wrong; it must be a list'],
  ],
  "a number for a text": [
    `clusterName: 5\n${CONSOLE}`,
    ["1:14: clusterName: 5 is wrong; it must be a text, so put it in quotes"],
  ],
  "a value that was left out": [`source:\n${CONSOLE}`, ["1:8: source: empty; it must be a mapping"]],
  "a choice with a typo": [
    `logLevel: warning\n${CONSOLE}`,
    ['1:11: logLevel: "warning" is wrong; allowed are debug, info, warn, error'],
  ],
  "a size": [
    `source: { maxRecordBytes: 4mb }\n${CONSOLE}`,
    [
      '1:27: source.maxRecordBytes: "4mb" is wrong; it must be a size: bytes, or a number with KB, MB, GB, KiB, MiB, GiB, Ki, Mi or Gi, such as 4MiB',
    ],
  ],
  "a size that is too small": [
    `source: { maxRecordBytes: 1 }\n${CONSOLE}`,
    ["1:27: source.maxRecordBytes: 1 is wrong; it must be at least 1KiB"],
  ],
  "a duration": [
    `shutdownTimeout: 25\n${CONSOLE}`,
    ["1:18: shutdownTimeout: 25 is wrong; it must be a duration with its unit, such as 250ms, 10s, 5m or 1h"],
  ],
  "a duration beyond every timer": [
    `shutdownTimeout: 600h\n${CONSOLE}`,
    ['1:18: shutdownTimeout: "600h" is wrong; it must be at most 596h'],
  ],
  "a boolean": [
    `kubernetes: { enabled: yes }\n${CONSOLE}`,
    ['1:24: kubernetes.enabled: "yes" is wrong; it must be true or false'],
  ],
  "a count": [
    "outputs: [{ name: a, type: console, batch: { maxRecords: 0 } }]",
    ["1:58: outputs[0].batch.maxRecords: 0 is wrong; it must be a whole number from 1 to 1000000"],
  ],
  "a name": [
    "outputs: [{ name: ../a, type: console }]",
    [
      '1:19: outputs[0].name: "../a" is wrong; it must be 1 to 63 letters, digits, dots, dashes or underscores, without a dot in front',
    ],
  ],
  "a name twice": [
    "outputs:\n  - { name: a, type: console }\n  - { name: a, type: console }\n",
    ["3:13: outputs[1].name: another output is named a; names must be unique"],
  ],
  "an address": [
    `admin: { listen: 9780, uiListen: "127.0.0.1:99999" }\n${CONSOLE}`,
    [
      "1:18: admin.listen: 9780 is wrong; it must be HOST:PORT, such as 0.0.0.0:9780 or [::1]:9780",
      '1:34: admin.uiListen: "127.0.0.1:99999" is wrong; it must be HOST:PORT, such as 0.0.0.0:9780 or [::1]:9780',
    ],
  ],
  "an endpoint": [
    `${ES}    endpoints: [es:9200]\n`,
    ['5:17: outputs[1].endpoints[0]: "es:9200" is wrong; it must be a URL such as https://es:9200'],
  ],
  "a template": [
    "outputs:\n  - { name: a, type: file, path: '/x/{pods}' }\n",
    [
      '2:34: outputs[0].path: "/x/{pods}" is wrong; there is no placeholder {pods}; did you mean {pod}?; allowed are {cluster} {node} {namespace} {pod} {uid} {container} {workload} {workloadKind} {app} {stream} {offset} {severity} {label.NAME} {annotation.NAME} {namespaceLabel.NAME} {field.NAME} {yyyy.MM.dd} {yyyy-MM-dd} {yyyy.MM} {yyyy.ww} {HH}',
    ],
  ],
  "a batch beyond the memory": [
    "outputs:\n  - { name: a, type: console, memory: 1MiB, batch: { maxBytes: 2MiB } }\n",
    ["2:64: outputs[0].batch.maxBytes: more than the output's memory of 1MiB; lower it, or raise memory"],
  ],
  "half of a client certificate": [
    `${ES_AT}    tls: { certFile: /a.pem }\n`,
    ["6:10: outputs[1].tls: certFile and keyFile go together; give both or none"],
  ],
  "half of basic authentication": [
    `${ES_AT}    auth: { username: u }\n`,
    ["6:11: outputs[1].auth: username and password go together; give both or none"],
  ],
  "two kinds of credentials": [
    `${ES_AT}    auth: { username: u, password: p, apiKey: k }\n`,
    [
      "6:11: outputs[1].auth: more than one kind of credentials; allowed are username and password, or apiKey, or bearerToken",
    ],
  ],
  "a header's name": [
    `${ES_AT}    request: { headers: { "a b": c } }\n`,
    ["6:27: outputs[1].request.headers.a b: not a key that is allowed here; it must be the name of an HTTP header"],
  ],
  "a file of a secret that is missing": [
    `${ES_AT}    auth: { apiKey: { file: /nowhere/key } }\n`,
    [
      "6:29: outputs[1].auth.apiKey.file: can't be read (ENOENT: no such file or directory, stat '/nowhere/key'); mount the file there, or correct the path",
    ],
  ],
  "a certificate that is missing": [
    `${ES_AT}    tls: { caFile: /nowhere/ca.pem }\n`,
    [
      "6:20: outputs[1].tls.caFile: can't be read (ENOENT: no such file or directory, open '/nowhere/ca.pem'); mount the file there, or correct the path",
    ],
  ],
  "a project's name in place of its ID": [
    "outputs:\n  - { name: a, type: stackdriver, projectId: My Project }\n",
    [
      '2:46: outputs[0].projectId: "My Project" is wrong; it must be the ID of a project, not its name or number: 6 to 30 lower-case letters, digits or dashes',
    ],
  ],
  "a credentials file that is missing": [
    "outputs:\n  - { name: a, type: stackdriver, credentialsFile: /nowhere/key.json }\n",
    [
      "2:52: outputs[0].credentialsFile: can't be read (ENOENT: no such file or directory, open '/nowhere/key.json'); mount the file there, or correct the path",
    ],
  ],
  "a key twice, and what else is wrong": [
    `logLevel: loud\nclusterName: a\nclusterName: b\n${CONSOLE}`,
    [
      '1:11: logLevel: "loud" is wrong; allowed are debug, info, warn, error',
      "3:1: clusterName: a key that was given already; keep one of the two",
    ],
  ],
  "wrong syntax": ["outputs:\n\t- name: a\n", ["2:1: not valid YAML: Tabs are not allowed as indentation"]],
  "a variable among brackets, unquoted": [
    "outputs:\n  - { name: ${NAME}, type: console }\n",
    ["2:14: not valid YAML: Unexpected flow-map-start at node end; a value with ${…} must be in quotes here"],
  ],
  "two documents": ["a: 1\n---\nb: 2\n", ["2:1: not valid YAML: a file holds one document, without ---"]],
  "an alias without anchor": [
    `clusterName: *abc\n${CONSOLE}`,
    ["1:14: an alias without its anchor; a text that begins with * needs quotes"],
  ],
  "a tag": [
    `clusterName: !abc\n${CONSOLE}`,
    ["1:14: tags such as !name mean nothing here; a text that begins with ! needs quotes"],
  ],
  "aliases that explode": [
    `a: &a [${"x,".repeat(9)}x]\nb: &b [${"*a,".repeat(9)}*a]\nc: &c [${"*b,".repeat(9)}*b]\nd: [*c, *c]\n`,
    ["1:1: aliases that expand to too much; write the values out"],
  ],
  "an alias of its own parent": ["outputs: &a [*a]\n", ["1:14: outputs[0]: a list is wrong; it must be a mapping"]],
  "a mistake behind an alias": [
    "outputs: [&a { name: a, type: console, memry: 1MiB }, { <<: *a, name: b }]\n",
    [
      '1:40: outputs[0].memry: unknown key; did you mean "memory"?',
      '1:55: outputs[1].memry: unknown key; did you mean "memory"?',
    ],
  ],
  "__proto__ as a key": [
    `{ "__proto__": { "a": 1 }, ${CONSOLE.trim()} }`,
    [
      "1:3: __proto__: unknown key; allowed are nodeName, clusterName, dataDir, logLevel, shutdownTimeout, source, kubernetes, processors, outputs, admin",
    ],
  ],
  "Windows' line ends and a byte order mark": [
    `\ufeffcolor: 1\r\nsource: { startat: end }\r\n${CONSOLE}`,
    [
      "1:1: color: unknown key; allowed are nodeName, clusterName, dataDir, logLevel, shutdownTimeout, source, kubernetes, processors, outputs, admin",
      '2:11: source.startat: unknown key; did you mean "startAt"?',
    ],
  ],
  JSON: [
    '{\n\t"outputs": [\n\t\t{ "name": "a", "type": "console", "memory": "1XB" }\n\t]\n}',
    [
      '3:47: outputs[0].memory: "1XB" is wrong; it must be a size: bytes, or a number with KB, MB, GB, KiB, MiB, GiB, Ki, Mi or Gi, such as 4MiB',
    ],
  ],
};

for (const [name, [text, expected]] of Object.entries(WRONG))
  test(`a configuration is refused at its place: ${name}`, (context) => {
    assert.deepEqual(problemsOf(context, text), expected);
  });

test("keys of what does not exist yet are refused as unknown", (context) => {
  const text = `source: {}
outputs:
  - { name: a, type: elasticsearch, endpoints: [http://es], ilmPolicy: logs }
  - { name: b, type: kafka }
`;
  assert.deepEqual(
    problemsOf(context, text).map((problem) => problem.replace(/; .*/, "")),
    ["3:61: outputs[0].ilmPolicy: unknown key", '4:22: outputs[1].type: "kafka" is wrong'],
  );
});

test("all problems are told at once, also checks of several settings beside a wrong one", (context) => {
  const text = `logLevel: loud
outputs:
  - name: a
    type: elasticsearch
    endpoints: []
    index: "{nope}"
    pipeline: 5
    auth: { username: u, token: x }
    tls: { keyFile: k, insecureSkipVerify: maybe }
  - { name: a, type: console, batch: { maxWait: soon } }
clusterName: \${CLUSTER}
`;
  assert.deepEqual(
    problemsOf(context, text).map((problem) => problem.replace(/; .*/, "")),
    [
      '1:11: logLevel: "loud" is wrong',
      "5:16: outputs[0].endpoints: empty",
      '6:12: outputs[0].index: "{nope}" is wrong',
      "7:15: outputs[0].pipeline: 5 is wrong",
      "8:11: outputs[0].auth: username and password go together",
      "8:26: outputs[0].auth.token: unknown key",
      "9:10: outputs[0].tls: certFile and keyFile go together",
      '9:44: outputs[0].tls.insecureSkipVerify: "maybe" is wrong',
      "10:13: outputs[1].name: another output is named a",
      '10:49: outputs[1].batch.maxWait: "soon" is wrong',
      "11:14: clusterName: the environment variable CLUSTER is not set",
    ],
  );
});

test("a problem is printed with its file, line, column, path and sentence", () => {
  const problem = { file: "/etc/a.yaml", line: 3, column: 7, path: "outputs[0].name", message: "missing; give one" };
  assert.equal(formatProblem(problem), "/etc/a.yaml:3:7: outputs[0].name: missing; give one");
  assert.equal(formatProblem({ ...problem, path: "" }), "/etc/a.yaml:3:7: missing; give one");
});

test("a file that can't be read is a problem at its first line", (context) => {
  const folder = temporaryFolder(context);
  for (const [file, reason] of [
    [join(folder, "missing.yaml"), /^can't be read \(ENOENT: .*; give the configuration's path with -c FILE$/],
    [folder, /^can't be read \(EISDIR: /],
  ] as const) {
    const loaded = loadConfig(file, { env: {}, hostname: "h", checkFiles: true });
    assert.ok("problems" in loaded);
    const [{ message, ...place } = { message: "" }] = loaded.problems;
    assert.match(message, reason);
    assert.deepEqual(place, { file, line: 1, column: 1, path: "" });
  }
});

test("files need not be there when they are not to be checked", (context) => {
  const text = `${ES_AT}    auth: { apiKey: { file: /nowhere/key } }\n    tls: { caFile: /nowhere/ca.pem }\n`;
  assert.deepEqual(problemsOf(context, text, {}, false), []);
});

test("a secret, or what may be one, is in no message", (context) => {
  const text = `clusterName: { a: "\${KEY}" }
logLevel: \${KEY}
outputs:
  - name: a
    type: elasticsearch
    endpoints: ["http://user:hunter2@es:9200", "htp://user:hunter2@es", "\${KEY}"]
    auth: { password: 4711, apiKey: [hunter2], bearerToken: "hunter2\\nhunter2" }
    request: { headers: { a: 4711, b: "hunter2\\n" } }
  - { name: b, type: elasticsearch, endpoints: http://user:hunter2@es, auth: hunter2, request: { headers: hunter2 } }
`;
  const problems = problemsOf(context, text, { KEY: "hunter2" });
  assert.equal(problems.filter((problem) => problem.includes("outputs[0]")).length, 10);
  assert.match(problems.join("\n"), /6:17: outputs\[0\]\.endpoints\[0\]: .*put them under auth/);
  assert.doesNotMatch(problems.join("\n"), /hunter2|4711/);
  for (const wrong of ["auth: {password: *hunter2}", "auth: {password: !hunter2 x}", "auth: {password: @hunter2}"])
    assert.doesNotMatch(problemsOf(context, `${ES_AT}    ${wrong}\n`).join("\n"), /hunter2/, wrong);
});

test("a password that is wrong or whose variable is missing is one problem, not a missing one too", (context) => {
  const count = (password: string): number =>
    problemsOf(context, `${ES_AT}    auth: { username: u, password: ${password} }\n`).length;
  assert.equal(count("4711"), 1);
  assert.equal(count('"${NOTHING}"'), 1);
  assert.equal(count('""'), 1);
  assert.equal(count("{ fiel: /a }"), 1);
});

test("the hash tells files apart, and not nodes", (context) => {
  const text = `clusterName: "\${NODE_NAME}"\n${CONSOLE}`;
  const one = loadGood(context, text, { NODE_NAME: "one" });
  const two = loadGood(context, text, { NODE_NAME: "two" });
  assert.equal(one.config.clusterName, "one");
  assert.equal(one.hash, two.hash);
  assert.equal(one.hash, createHash("sha256").update(text).digest("hex").slice(0, 16));
  assert.equal(one.text, text);
  assert.notEqual(one.hash, loadGood(context, CONSOLE).hash);
});

test("the node's name is the file's, else NODE_NAME, else the host's", (context) => {
  const name = (text: string, env: Record<string, string>): string =>
    loadGood(context, `${text}${CONSOLE}`, env).config.nodeName;
  assert.equal(name("nodeName: mine\n", { NODE_NAME: "node-a" }), "mine");
  assert.equal(name("nodeName: ${NODE_NAME}\n", { NODE_NAME: "node-b" }), "node-b");
  assert.equal(name("", { NODE_NAME: "node-a" }), "node-a");
  assert.equal(name("", {}), "host-1");
  assert.ok("problems" in load(context, `nodeName: \${NODE_NAME}\n${CONSOLE}`));
});
