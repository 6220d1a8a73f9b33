import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Format } from "../../../agent/process/format.ts";
import { KlogFormat } from "../../../agent/process/klog.ts";
import { LogfmtFormat } from "../../../agent/process/logfmt.ts";
import { ApacheFormat, NginxFormat } from "../../../agent/process/web.ts";
import { structure } from "../../support/structuring.ts";

const FORMATS = {
  logfmt: () => new LogfmtFormat(),
  klog: () => new KlogFormat(),
  nginx: () => new NginxFormat(),
  apache: () => new ApacheFormat(),
} satisfies Record<string, () => Format>;
type Name = keyof typeof FORMATS;

const KLOG = "I1123 23:52:42.890297       1 main.go:270]";
const head = '"time":"1123 23:52:42.890297","pid":1,"file":"main.go","line":270';
const ACCESS = '127.0.0.1 - bob [10/Oct/2000:13:55:36 -0700] "GET /a.gif?x=%22 HTTP/1.0" 200 2326';
const access =
  '"client":"127.0.0.1","user":"bob","time":"10/Oct/2000:13:55:36 -0700","method":"GET","path":"/a.gif?x=%22","protocol":"HTTP/1.0","status":200,"bytes":2326';
const NGINX = '2026/11/23 23:52:47 [error] 11#12: *1 open() "/srv/é" failed (2: No such file or directory)';
const nginx = '"time":"2026/11/23 23:52:47","pid":11,"tid":12,"connection":1';

const CASES: readonly [format: Name, name: string, text: string, message: string, severity: string, fields: string][] =
  [
    [
      "logfmt",
      "pairs, quoted ones with escapes",
      'time=2026-11-23T23:52:41.131Z level=INFO msg="say \\"hi\\"" eq="a=b" empty="" x=',
      'say "hi"',
      "",
      '{"time":"2026-11-23T23:52:41.131Z","level":"INFO","eq":"a=b","empty":"","x":""}',
    ],
    ["logfmt", "bare names", "a=1 bare b=2", "a=1 bare b=2", "", '{"a":"1","bare":"","b":"2"}'],
    ["logfmt", "message before msg", "msg=a message=b", "b", "", '{"msg":"a"}'],
    [
      "logfmt",
      "of equal names the last, but of messages the first",
      "a=1 a=2 msg=x msg=y",
      "x",
      "",
      '{"a":"2","msg":"y"}',
    ],
    [
      "logfmt",
      "Go's escapes",
      'a="\\x41\\u00e9\\U0001F600\\q\\377\\a"',
      'a="\\x41\\u00e9\\U0001F600\\q\\377\\a"',
      "",
      '{"a":"Aé😀\\\\q�\\u0007"}',
    ],
    ["klog", "plain text", `${KLOG} Starting worker 0`, "Starting worker 0", "info", `{${head}}`],
    [
      "klog",
      "structured text",
      `E${KLOG.slice(1)} "Failed to \\"x\\"" err="deadline" attempt=0`,
      'Failed to "x"',
      "error",
      `{${head},"err":"deadline","attempt":"0"}`,
    ],
    [
      "klog",
      "a value of several lines",
      `${KLOG} "a\\nb" value=<\n\tfirst\n\tsecond\n > c="d"`,
      "a\nb",
      "info",
      `{${head},"value":"first\\nsecond","c":"d"}`,
    ],
    [
      "klog",
      "text that only begins as structured",
      `W${KLOG.slice(1)} "quoted" word, then more`,
      '"quoted" word, then more',
      "warn",
      `{${head}}`,
    ],
    ["klog", "no text", `F${KLOG.slice(1)}`, "", "critical", `{${head}}`],
    [
      "klog",
      "a thread's number with zeros",
      `I1123 23:52:42.890297 0000007 a.go:1] x`,
      "x",
      "info",
      '{"time":"1123 23:52:42.890297","pid":"0000007","file":"a.go","line":1}',
    ],
    ["apache", "common", ACCESS, ACCESS, "", `{${access}}`],
    [
      "apache",
      "combined, with the server's escapes",
      `${ACCESS} "-" "a \\"b\\" \\x22"`,
      `${ACCESS} "-" "a \\"b\\" \\x22"`,
      "",
      `{${access},"agent":"a \\\\\\"b\\\\\\" \\\\x22"}`,
    ],
    [
      "apache",
      "a request that is none",
      '::1 - - [t] "\\x16\\x03" 400 -',
      '::1 - - [t] "\\x16\\x03" 400 -',
      "",
      '{"client":"::1","time":"t","request":"\\\\x16\\\\x03","status":400}',
    ],
    [
      "apache",
      "errors",
      "[Fri Sep 09 10:42:29.902022 2026] [core:error] [pid 35:tid 43] [client 10.0.0.9:4711] File [x] is missing",
      "File [x] is missing",
      "error",
      '{"time":"Fri Sep 09 10:42:29.902022 2026","module":"core","pid":35,"tid":43,"client":"10.0.0.9:4711"}',
    ],
    [
      "apache",
      "errors with brackets that only look like a client or process",
      "[Wed Oct 11 14:32:52 2000] [core:error] [client\u00e9 10.0.0.9:4711] text",
      "[client\u00e9 10.0.0.9:4711] text",
      "error",
      '{"time":"Wed Oct 11 14:32:52 2000","module":"core"}',
    ],
    [
      "apache",
      "errors of old, and a level that is unknown",
      "[Wed Oct 11 14:32:52 2000] [trace8] [odd 1] text",
      "[odd 1] text",
      "",
      '{"time":"Wed Oct 11 14:32:52 2000","level":"trace8"}',
    ],
    [
      "nginx",
      "combined and more",
      `${ACCESS} "http://e/" "curl" "1.2.3.4"`,
      `${ACCESS} "http://e/" "curl" "1.2.3.4"`,
      "",
      `{${access},"referrer":"http://e/","agent":"curl"}`,
    ],
    [
      "nginx",
      "errors with their request, quotes unescaped",
      `${NGINX}, client: 10.0.0.9, server: , request: "GET /a, b HTTP/1.1", host: "x", referrer: "http://e/?b="2""`,
      NGINX.slice(NGINX.indexOf("open")),
      "error",
      `{${nginx},"client":"10.0.0.9","request":"GET /a, b HTTP/1.1","host":"x","referrer":"http://e/?b=\\"2\\""}`,
    ],
    [
      "nginx",
      "errors with more than is known, whose text stays whole",
      `${NGINX}, client: 10.0.0.9, login: "x"`,
      `${NGINX.slice(NGINX.indexOf("open"))}, client: 10.0.0.9, login: "x"`,
      "error",
      `{${nginx}}`,
    ],
    [
      "nginx",
      "notices without a connection",
      "2026/11/23 23:52:46 [notice] 11#11: nginx/1.22.1",
      "nginx/1.22.1",
      "notice",
      '{"time":"2026/11/23 23:52:46","pid":11,"tid":11}',
    ],
  ];

for (const [format, name, text, message, severity, fields] of CASES) {
  test(`${format}: ${name}`, () => {
    const { rows, counts } = structure(FORMATS[format](), [text]);
    assert.deepEqual(
      [rows[0]?.message, rows[0]?.severity, rows[0]?.fields, counts.unmatched],
      [message, severity, fields, 0],
    );
  });
}

const OTHERS: readonly (readonly [format: Name, text: string])[] = [
  ...(["logfmt", "klog", "nginx", "apache"] as const)
    .flatMap((format) =>
      ["", " ", "hello world", '{"a":1}', "=", "[", '"', 'x="', "I1123", "127.0.0.1 - - [", "[a] [b]"].map(
        (text) => [format, text] as const,
      ),
    )
    .filter(([format, text]) => !(format === "logfmt" && text === "")),
  ["logfmt", "GET /?a=b failed"],
  ["logfmt", 'a="x'],
  ["logfmt", 'a="x"y'],
  ["logfmt", 'a=x"y"'],
  ["klog", "I1123 23:52:42.89029       1 main.go:270] x"],
  ["klog", "X1123 23:52:42.890297       1 main.go:270] x"],
  ["klog", "I1123 23:52:42.890297       1 main go:270] x"],
  ["klog", "I1123 23:52:42.890297       1 main.go:] x"],
  ["nginx", `${ACCESS.slice(0, -8)}`],
  ["apache", "[Fri Sep 09 10:42:29.902022 2026] text"],
];

for (const [format, text] of OTHERS) {
  test(`${format}: ${JSON.stringify(text)} passes untouched and is counted`, () => {
    const { rows, counts } = structure(FORMATS[format](), [text]);
    assert.deepEqual([rows[0]?.message, rows[0]?.fields, counts.unmatched], [text, "{}", 1]);
  });
}

test("timeKey takes the time of access lines", () => {
  const { rows } = structure(new NginxFormat(), [ACCESS], { timeKey: "time" });
  assert.equal(rows[0]?.seconds, Date.parse("2000-10-10T13:55:36-07:00") / 1000);
});

const printed = join(import.meta.dirname, "..", "..", "samples", "apps", "printed");
const SAMPLES: readonly [format: Name, text: string, other: RegExp][] = [
  ["logfmt", "api-6c8f9d7b5d-q9zlk.api.stderr", /^$/],
  ["klog", "controller-5f7d8c9b4-wm2xk.manager.stderr", /^(\t(first|second)| >)$/],
  ["nginx", "edge-f8t2c.nginx.stdout", /^\{/],
  ["nginx", "edge-f8t2c.nginx.stderr", /^$/],
];
for (const [format, text, other] of SAMPLES) {
  test(`${format} parses every line of ${text} that is one`, () => {
    const lines = readFileSync(join(printed, text), "utf8").trimEnd().split("\n");
    const { rows } = structure(FORMATS[format](), lines);
    for (const [i, { fields }] of rows.entries()) assert.equal(fields === "{}", other.test(lines[i] ?? ""), lines[i]);
  });
}
