/** What each answer of Loki, or of something in front of it, means for the rows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HttpReply } from "../../outputs/http.ts";
import { type Asked, judge, rateLimitBytes } from "../../outputs/loki-answer.ts";
import type { DecodedEntry, DecodedStream } from "../../outputs/loki-encoding.ts";
import type { Outcome } from "../../outputs/output.ts";

const NOW = Date.parse("2026-11-24T10:00:00Z");
const ENDPOINT = "http://loki:3100";

/** Seconds since 1970 and length of each row, stream by stream. */
type Rows = readonly (readonly (readonly [time: string, lineBytes: number])[])[];

function asked(rows: Rows, more: Partial<Asked> = {}): Asked {
  const decode = (): DecodedStream[] =>
    rows.map((entries) => ({
      head: Buffer.alloc(0),
      labels: "{}",
      entries: entries.map(([time, lineBytes]): DecodedEntry => {
        const seconds = Math.floor(Date.parse(time) / 1000);
        return { raw: Buffer.alloc(0), seconds, nanos: 0, lineBytes, line: () => "", metadata: () => [] };
      }),
    }));
  return { rows: rows.flat().length, bytes: 1000, refusals: 0, manyTenants: false, decode, ...more };
}

const reply = (status: number, body = "", headers: HttpReply["headers"] = {}): HttpReply =>
  new HttpReply(status, headers, Buffer.from(body), ENDPOINT);

const TWO: Rows = [[["2026-11-24T09:00:00Z", 10]], [["2026-11-24T09:00:01Z", 20]]];
const ONE: Rows = [
  [
    ["2026-11-24T09:00:00Z", 10],
    ["2026-11-24T09:00:01Z", 20],
    ["2026-11-24T09:00:02Z", 30],
  ],
];
const brief = (outcome: Outcome): unknown =>
  outcome.kind === "split"
    ? [outcome.type, outcome.rejected?.map(({ row, type }) => [row, type]) ?? [], outcome.into]
    : outcome.kind === "retry"
      ? outcome.alone === true
        ? "alone"
        : "retry"
      : outcome.kind;

const stream = '{app="web"}';
const behind = (cutoff: string): string =>
  `entry with timestamp 2026-11-24 09:00:00 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-11-24T09:00:00Z, oldest acceptable timestamp is: ${cutoff}',\nuser 'fake', total ignored: 1 out of 3 for stream: ${stream}\n`;
const perStream = (limit: string): string =>
  `entry with timestamp 2026-11-24 09:00:00 +0000 UTC ignored, reason: 'Per stream rate limit exceeded (limit: ${limit}/sec) while attempting to ingest for stream '${stream}' totaling 10B, consider splitting a stream',\nuser 'fake', total ignored: 1 out of 3 for stream: ${stream}\n`;
const rate = (limit: number): string =>
  `ingestion rate limit exceeded for user x (limit: ${limit} bytes/sec) while attempting to ingest '3' lines totaling '1000' bytes, reduce log volume\n`;

const cases: [name: string, answer: HttpReply, rows: Rows, expected: unknown][] = [
  ["200", reply(200), TWO, "delivered"],
  ["204", reply(204), TWO, "delivered"],
  ["202 is no delivery", reply(202), TWO, "retry"],
  ["260", reply(260, "ingestion blocked for user x until 'y' with status code '260'"), TWO, "retry"],
  ["a redirect", reply(302), TWO, "retry"],
  ["401", reply(401, "no org id\n"), TWO, "retry"],
  ["403", reply(403), TWO, "retry"],
  ["404", reply(404, "404 page not found"), TWO, "retry"],
  ["422", reply(422, "at least one valid stream is required for ingestion"), TWO, "retry"],
  ["502 of a proxy", reply(502, "<html>Bad gateway</html>"), TWO, "retry"],
  ["500", reply(500, "something broke"), TWO, "retry"],
  ["413", reply(413, "request body too large"), TWO, ["request_too_large", [], undefined]],
  [
    "the limit between Loki's parts",
    reply(
      500,
      "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5243975 vs. 4194304)",
    ),
    TWO,
    ["request_too_large", [], undefined],
  ],
  ["the tenant's rate", reply(429, rate(4096)), TWO, "retry"],
  ["the tenant's rate, less than the push", reply(429, rate(999)), TWO, ["rate_limited", [], undefined]],
  ["the tenant's rate, less than a row", reply(429, rate(999)), [[["2026-11-24T09:00:00Z", 10]]], "retry"],
  ["a stream's rate in a push of two", reply(429, perStream("3MB")), TWO, ["stream_limited", [], [[0], [1]]]],
  ["a stream's rate", reply(429, perStream("3MB")), ONE, "alone"],
  ["a stream's rate, less than the push", reply(429, perStream("900B")), ONE, ["stream_limited", [], [[0], [1, 2]]]],
  [
    "the limit of streams",
    reply(429, `maximum active stream limit exceeded when trying to create stream ${stream}, reduce`),
    ONE,
    "alone",
  ],
  ["429 of a proxy", reply(429, "<html>Too many requests</html>"), TWO, "retry"],
  [
    "too old",
    reply(
      400,
      `entry for stream '${stream}' has timestamp too old: 2026-11-24T09:00:00Z, oldest acceptable timestamp is: 2026-11-24T09:00:01Z`,
    ),
    ONE,
    ["too_old", [[0, "too_old"]], [[1, 2]]],
  ],
  [
    "too old, in a push of two: each goes on by itself",
    reply(
      400,
      `entry for stream '${stream}' has timestamp too old: 2026-11-24T09:00:00Z, oldest acceptable timestamp is: 2026-11-24T09:00:01Z`,
    ),
    [...TWO, [["2026-11-24T09:00:05Z", 5]]],
    ["too_old", [[0, "too_old"]], [[1], [2]]],
  ],
  [
    "too new",
    reply(400, `entry for stream '${stream}' has timestamp too new: 2026-11-24T09:00:01Z`),
    ONE,
    [
      "too_new",
      [
        [1, "too_new"],
        [2, "too_new"],
      ],
      [[0]],
    ],
  ],
  [
    "too long",
    reply(
      400,
      `max entry size '20' bytes exceeded for stream '${stream}' while adding an entry with length '30' bytes`,
    ),
    ONE,
    ["line_too_long", [[2, "line_too_long"]], [[0, 1]]],
  ],
  [
    "several kinds at once",
    reply(
      400,
      `1 errors like: max entry size '20' bytes exceeded for stream '${stream}' while adding an entry with length '30' bytes; 1 errors like: entry for stream '${stream}' has timestamp too old: 2026-11-24T09:00:00Z, oldest acceptable timestamp is: 2026-11-24T09:00:01Z`,
    ),
    ONE,
    [
      "too_old",
      [
        [0, "too_old"],
        [2, "line_too_long"],
      ],
      [[1]],
    ],
  ],
  [
    "too far behind",
    reply(400, behind("2026-11-24T09:00:02Z")),
    ONE,
    [
      "too_far_behind",
      [
        [0, "too_far_behind"],
        [1, "too_far_behind"],
      ],
      [[2]],
    ],
  ],
  [
    "too far behind in a push of two: which stream it is, is found first",
    reply(400, behind("2026-11-24T10:00:00Z")),
    TWO,
    ["too_far_behind", [], [[0], [1]]],
  ],
  [
    "nobody is named",
    reply(400, `stream '${stream}' has structured metadata too large: '65537' bytes, limit: '65536' bytes.`),
    ONE,
    ["structured_metadata", [], [[0], [1, 2]]],
  ],
  [
    "nobody is named, and there is only one",
    reply(400, `stream '${stream}' has structured metadata too large: '65537' bytes, limit: '65536' bytes.`),
    [[["2026-11-24T09:00:00Z", 10]]],
    ["structured_metadata", [[0, "structured_metadata"]], []],
  ],
  [
    "labels that can't be parsed",
    reply(400, "couldn't parse labels: 1:3: parse error: unexpected"),
    TWO,
    ["invalid_labels", [], [[0], [1]]],
  ],
  ["fewer labels allowed", reply(400, `entry for stream '${stream}' has 5 label names; limit 3`), ONE, "retry"],
  [
    "structured metadata forbidden",
    reply(400, `stream '${stream}' includes structured metadata, but this feature is disallowed.`),
    ONE,
    "retry",
  ],
  [
    "a label that the operator wants",
    reply(400, `missing required labels team for user x for stream ${stream}`),
    ONE,
    "retry",
  ],
  ["a tenant's name", reply(400, "multiple org IDs present"), ONE, "retry"],
  ["400 of something else", reply(400, "Client sent an HTTP request to an HTTPS server."), ONE, "retry"],
];

for (const [name, answer, rows, expected] of cases)
  test(`${answer.status}: ${name}`, () => {
    const outcome = judge(answer, asked(rows), NOW);
    assert.deepEqual(brief(outcome), expected);
    assert.equal(outcome.code, String(answer.status));
    if (outcome.kind === "retry") assert.ok(outcome.reason.startsWith(`${ENDPOINT} answered ${answer.status}`));
  });

test("what is one tenant's trouble does not hold up the others", () => {
  const many = { manyTenants: true };
  for (const answer of [reply(260), reply(401), reply(429, rate(4096)), reply(400, "no org id"), reply(429)])
    assert.equal(brief(judge(answer, asked(TWO, many), NOW)), "alone", String(answer.status));
  for (const answer of [reply(500), reply(503), reply(302)])
    assert.equal(brief(judge(answer, asked(TWO, many), NOW)), "retry", String(answer.status));
});

test("a push that is refused for its rate again and again is more than a burst, which no answer names", () => {
  for (const [answer, refusals, bytes, expected] of [
    [reply(429, rate(1_000_000)), 2, 100_000, "retry"],
    [reply(429, rate(1_000_000)), 3, 100_000, ["rate_limited", [], undefined]],
    [reply(429, rate(1_000_000)), 3, 10_000, "retry"],
    [reply(429, perStream("3MB")), 2, 100_000, "alone"],
    [reply(429, perStream("3MB")), 3, 100_000, ["stream_limited", [], [[0], [1, 2]]]],
    [reply(429, "maximum active stream limit exceeded"), 9, 100_000, "alone"],
    [reply(429, "Too many requests"), 9, 100_000, "retry"],
  ] as const)
    assert.deepEqual(brief(judge(answer, asked(ONE, { refusals, bytes }), NOW)), expected, `${refusals} ${bytes}`);
});

test("a person is told what to do", () => {
  for (const [answer, advice] of [
    [reply(260), /blocked/],
    [reply(401, "no org id"), /set tenant$/],
    [reply(401, ""), /credentials/],
    [reply(404), /endpoint's path/],
    [reply(400, "x includes structured metadata, but this feature is disallowed"), /structuredMetadata to \{\}/],
    [reply(400, "x has 16 label names; limit 15"), /fewer labels$/],
    [reply(429, "maximum active stream limit exceeded"), /max_global_streams_per_user$/],
  ] as const) {
    const outcome = judge(answer, asked(ONE), NOW);
    assert.match(outcome.kind === "retry" ? outcome.reason : "", advice);
  }
});

test("the rate is read in the forms that Loki writes", () => {
  for (const [text, bytes] of [
    ["(limit: 4194304 bytes/sec)", 4_194_304],
    ["(limit: 3MB/sec)", 3 * 1024 ** 2],
    ["(limit: 1.5KB/sec)", 1536],
    ["(limit: 10B/sec)", 10],
    ["(limit: 1GB/sec)", 1024 ** 3],
    ["limit: '65536' bytes", undefined],
  ] as const)
    assert.equal(rateLimitBytes(text), bytes);
});
