import assert from "node:assert/strict";
import { test } from "node:test";
import { loadGood, problemsOf } from "../../support/config.ts";

const OUTPUT = "outputs: [{ name: a, type: console }]\n";

/** Problems of one processor, without their places' beginnings. */
const PROBLEMS: readonly (readonly [processor: string, ...problems: string[]])[] = [
  ["dorp: {}", '1:16: processors[0].dorp: unknown key; did you mean "drop"?'],
  [
    "",
    "1:14: processors[0]: a list item has one key, which says what it does; allowed are multiline, json, parse, severity, drop, keep, sample, throttle, redact, fields",
  ],
  [
    "drop: {}, keep: {}",
    "1:14: processors[0]: a list item has one key, which says what it does; allowed are multiline, json, parse, severity, drop, keep, sample, throttle, redact, fields",
  ],
  [
    "multiline: { preset: jav }",
    '1:37: processors[0].multiline.preset: "jav" is wrong; allowed are java, python, go, node, ruby, dotnet, php; did you mean "java"?',
  ],
  [
    "multiline: {}",
    "1:27: processors[0].multiline: give one of preset (java, python, go, node, ruby, dotnet, php) and start",
  ],
  [
    'multiline: { start: "/^(?!x)/" }',
    '1:36: processors[0].multiline.start: "/^(?!x)/" is wrong; lookaheads are not available, because nothing bounds the time that they take',
  ],
  [
    "multiline: { start: x }",
    '1:36: processors[0].multiline.start: "x" is wrong; it must be a pattern between slashes, such as /error/i',
  ],
  [
    "parse: { format: logfm }",
    '1:33: processors[0].parse.format: "logfm" is wrong; allowed are logfmt, klog, apache, nginx, regex; did you mean "logfmt"?',
  ],
  ["parse: { format: regex }", "1:23: processors[0].parse: pattern goes with format: regex, and with no other"],
  [
    "parse: { format: regex, pattern: /(a)/ }",
    "1:49: processors[0].parse.pattern: the pattern has no named group such as (?<name>…), so it would find nothing",
  ],
  [
    "severity: { default: wran }",
    '1:37: processors[0].severity.default: "wran" is wrong; allowed are trace, debug, info, notice, warn, error, critical, alert, emergency; did you mean "warn"?',
  ],
  [
    'drop: { match: { severity: ">=wran" } }',
    '1:43: processors[0].drop.match.severity: ">=wran" is wrong; allowed are trace, debug, info, notice, warn, error, critical, alert, emergency, unknown, with <, <=, > or >= before them but for unknown; did you mean "warn"?',
  ],
  [
    "drop: { match: { stream: [stdout, stder] } }",
    '1:50: processors[0].drop.match.stream[1]: "stder" is wrong; allowed are stdout, stderr; did you mean "stderr"?',
  ],
  [
    'drop: { match: { message: "/(/" } }',
    '1:42: processors[0].drop.match.message: "/(/" is wrong; not a pattern: missing closing ): `(`',
  ],
  [
    "drop: { match: { message: health } }",
    '1:42: processors[0].drop.match.message: "health" is wrong; it must be a pattern between slashes, such as /error/i',
  ],
  [
    "drop: { match: { namespace: x } }",
    '1:33: processors[0].drop.match.namespace: unknown key; did you mean "namespaces"?',
  ],
  [
    "sample: { rate: 10% }",
    '1:32: processors[0].sample.rate: "10%" is wrong; it must be a number from 0 to 1, such as 0.1',
  ],
  [
    "sample: { rate: 1.5 }",
    "1:32: processors[0].sample.rate: 1.5 is wrong; it must be a number from 0 to 1, such as 0.1",
  ],
  ["sample: {}", "1:24: processors[0].sample.rate: missing; it must be a number from 0 to 1, such as 0.1"],
  ["throttle: {}", "1:26: processors[0].throttle: give one of bytesPerSecond and recordsPerSecond"],
  [
    "throttle: { bytesPerSecond: 1MiB, recordsPerSecond: 5 }",
    "1:26: processors[0].throttle: give one of bytesPerSecond and recordsPerSecond",
  ],
  [
    "redact: { builtin: [creditcard] }",
    '1:36: processors[0].redact.builtin[0]: "creditcard" is wrong; allowed are creditCard, email, ipv4, jwt, bearerToken, awsKey; did you mean "creditCard"?',
  ],
  [
    "redact: {}",
    "1:24: processors[0].redact: give builtin (creditCard, email, ipv4, jwt, bearerToken, awsKey) or patterns",
  ],
  [
    'redact: { patterns: ["/(a)\\\\1/"] }',
    '1:37: processors[0].redact.patterns[0]: "/(a)\\\\1/" is wrong; backreferences are not available, because nothing bounds the time that they take',
  ],
  [
    'fields: { add: { a: "{namespac}" } }',
    /^1:36: processors\[0\]\.fields\.add\.a: "\{namespac\}" is wrong; there is no placeholder \{namespac\}; did you mean \{namespace\}\?/
      .source,
  ],
];

test("a wrong processor is told with its place and the nearest allowed value", (context) => {
  for (const [processor, ...expected] of PROBLEMS) {
    const problems = problemsOf(context, `processors: [{ ${processor} }]\n${OUTPUT}`);
    const same = problems.every(
      (problem, i) => problem === expected[i] || new RegExp(expected[i] ?? "^$").test(problem),
    );
    if (!same || problems.length !== expected.length) assert.deepEqual(problems, expected);
  }
});

test("names that a record has of its own can't be given to fields", (context) => {
  for (const text of ["add: { kubernetes: x }", "add: { '@timestamp': x }", "rename: { a: message }"]) {
    const [problem = ""] = problemsOf(context, `processors: [{ fields: { ${text} } }]\n${OUTPUT}`);
    assert.match(problem, /a record has this name of its own|not a key that is allowed here/, text);
  }
  // Whole objects of an app would stand beside, or instead of, what the record is.
  for (const into of ["kubernetes", "kubernetes.pod", "log", "container", '"@timestamp"', '"a..b"'])
    for (const text of [`json: { into: ${into} }`, `parse: { format: klog, into: ${into} }`]) {
      const [problem = ""] = problemsOf(context, `processors: [{ ${text} }]\n${OUTPUT}`);
      assert.match(problem, /\.into: .*a record has this name of its own/, text);
    }
  for (const into of ["root", "fields", "app", "a.b"])
    assert.deepEqual(problemsOf(context, `processors: [{ json: { into: ${into} } }]\n${OUTPUT}`), []);
});

test("every processor, with every key, is taken", (context) => {
  const { config } = loadGood(
    context,
    `processors:
  - multiline: { preset: java, timeout: 2s, maxLines: 10, match: { pods: "web-*" } }
  - multiline: { start: /^\\d/ }
  - json: { into: app, timeKey: ts, messageKey: msg, severityKey: lvl, keepMessage: true }
  - parse: { format: klog }
  - parse: { format: regex, pattern: '/^(?<a>\\S+)/' }
  - severity: { default: debug, stderr: warn }
  - drop: { match: { namespaces: [a, "!b"], labels: { app: x, "k8s/y": [z] }, annotations: { t: u }, stream: stdout } }
  - keep: { match: { severity: [">=warn", unknown], message: ["/a/i", "!/b/m"], containers: c } }
  - sample: { rate: "0.25" }
  - throttle: { per: pod, recordsPerSecond: 100, burst: 500 }
  - throttle: { per: namespace, bytesPerSecond: 1MiB }
  - redact: { builtin: [email], patterns: [/x/], with: "" }
  - fields: { add: { "a.b": "{field.c}" }, remove: ["x*"], rename: { a: b } }
outputs:
  - { name: a, type: console, match: { severity: error }, processors: [{ drop: {} }] }
`,
  );
  assert.equal(config.processors.length, 13);
  assert.deepEqual(config.processors[6]?.drop?.match, {
    namespaces: ["a", "!b"],
    labels: { app: ["x"], "k8s/y": ["z"] },
    annotations: { t: ["u"] },
    stream: ["stdout"],
  });
  assert.deepEqual(config.processors[10]?.throttle?.bytesPerSecond, 1024 * 1024);
  assert.equal(config.processors[8]?.sample?.rate, 0.25);
  assert.deepEqual(config.outputs[0]?.match, { severity: ["error"] });
});
