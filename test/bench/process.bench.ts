/**
 * What each processor costs beyond scanning, in CPU-seconds per GB of log. How long one line can take is worst.bench.ts.
 *
 *   node test/bench/process.bench.ts [NAME]
 */
import { Rows } from "../../agent/batch.ts";
import { ProcessorChain } from "../../agent/process/chain.ts";
import { planOf, run } from "./chain.ts";

const CHUNK = 64 * 1024;
const time = (i: number): string => new Date(1_790_000_000_000 + i * 7).toISOString().replace("Z", "123456Z");

/** Messages of some 100 to 350 bytes. */
const KINDS: Readonly<Record<string, (i: number) => string>> = {
  text: (i) =>
    `2026-09-21 14:13:20,${100 + (i % 900)} INFO  [http-${i % 16}] c.e.shop.CartController - user ${i} put ${i % 7} items into cart, took ${i % 300} ms`,
  json: (i) =>
    `{"level":"info","ts":1790000000.${i},"logger":"cart","msg":"put items into cart","user":${i},"items":${i % 7},"trace":"4bf92f3577b34da6a3ce929d0e0e${String(i % 10000).padStart(4, "0")}","path":"/api/v1/carts/${i}/items","http":{"status":200,"bytes":${i % 5000}}}`,
  logfmt: (i) =>
    `ts=2026-09-21T14:13:20Z level=info msg="put items into cart" user=${i} items=${i % 7} path=/api/v1/carts/${i} duration=${i % 300}ms`,
  klog: (i) =>
    `I0921 14:13:20.${String(i % 1e6).padStart(6, "0")}       1 controller.go:${i % 900}] "Synced" pod="shop/web-${i}" took="1.${i % 9}s"`,
  nginx: (i) =>
    `10.1.${i % 256}.${i % 250} - - [21/Sep/2026:14:13:20 +0000] "GET /api/v1/carts/${i} HTTP/1.1" 200 ${i % 5000} "-" "Mozilla/5.0 (X11; Linux x86_64)"`,
  java: (i) =>
    i % 12 === 0
      ? "java.lang.IllegalStateException: cart is closed"
      : i % 12 < 8
        ? `\tat com.example.shop.Cart.put(Cart.java:${i % 900})`
        : `2026-09-21 14:13:20 INFO served ${i}`,
};

/** Name, kind of messages, processors as YAML. */
const CASES: readonly (readonly [name: string, kind: string, processors: string])[] = [
  ["none", "text", "[]"],
  ["drop by namespace (not)", "text", "[{ drop: { match: { namespaces: other } } }]"],
  ["drop /plain/", "text", "[{ drop: { match: { message: /GET .health|probe/ } } }]"],
  ["drop /words/", "text", "[{ drop: { match: { message: '/health|probe/' } } }]"],
  ["drop /regex.*/", "text", "[{ drop: { match: { message: '/^\\S+ \\S+ DEBUG .*cart$/' } } }]"],
  ["severity", "text", "[{ severity: {} }]"],
  ["sample", "text", "[{ sample: { rate: 0.5 } }]"],
  ["throttle", "text", "[{ throttle: { recordsPerSecond: 1GB } }]"],
  ["redact all built in", "text", "[{ redact: { builtin: [creditCard, email, ipv4, jwt, bearerToken, awsKey] } }]"],
  ["redact /pattern/", "text", "[{ redact: { patterns: ['/password=\\S+/'] } }]"],
  ["fields add", "text", "[{ fields: { add: { team: '{namespace}' } } }]"],
  ["multiline java", "java", "[{ multiline: { preset: java } }]"],
  ["multiline start", "java", "[{ multiline: { start: '/^[0-9j]/' } }]"],
  ["json", "json", "[{ json: { messageKey: msg } }]"],
  ["json, severity", "json", "[{ json: { messageKey: msg } }, { severity: {} }]"],
  [
    "json, redact",
    "json",
    "[{ json: { messageKey: msg } }, { redact: { builtin: [creditCard, email, ipv4, jwt, bearerToken, awsKey] } }]",
  ],
  ["parse logfmt", "logfmt", "[{ parse: { format: logfmt } }]"],
  ["parse klog", "klog", "[{ parse: { format: klog } }]"],
  ["parse nginx", "nginx", "[{ parse: { format: nginx } }]"],
  [
    "parse regex",
    "nginx",
    `[{ parse: { format: regex, pattern: '/^(?<ip>\\S+) \\S+ \\S+ \\[(?<time>[^\\]]+)\\] "(?<method>\\S+) (?<path>\\S+)[^"]*" (?<status>\\d+)/' } }]`,
  ],
];

/** Whole lines in chunks of at most 64 KiB. */
function chunksOf(message: (i: number) => string, bytes: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let i = 0, made = 0; made < bytes; ) {
    let chunk = "";
    while (chunk.length < CHUNK - 1024) chunk += `${time(i)} stdout F ${message(i++)}\n`;
    chunks.push(Buffer.from(chunk));
    made += chunk.length;
  }
  return chunks;
}

const data = new Map<string, Buffer[]>();
const rows = new Rows();
console.log("processor".padEnd(26), "CPU-s/GB".padStart(9));
for (const [name, kind, processors] of CASES.filter(([name]) => name.includes(process.argv[2] ?? ""))) {
  if (!data.has(kind)) data.set(kind, chunksOf(KINDS[kind]!, 20e6));
  const chunks = data.get(kind)!;
  const plan = planOf(processors);
  let [least, scan] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < 5; i++) {
    scan = Math.min(scan, run(chunks, rows, undefined));
    least = Math.min(least, run(chunks, rows, new ProcessorChain(plan)));
  }
  console.log(name.padEnd(26), (least - scan).toFixed(2).padStart(9));
}
