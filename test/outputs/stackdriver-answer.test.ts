/** What each answer of Cloud Logging, or of something in front of it, means for the rows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HttpReply } from "../../outputs/http.ts";
import type { Outcome } from "../../outputs/output.ts";
import { judge } from "../../outputs/stackdriver-answer.ts";
import { rowsOf } from "../support/rows.ts";
import { closed, NEVER, outputFor, startFake } from "../support/stackdriver-output.ts";

const NOW = Date.parse("2026-11-24T10:00:00Z");
const endpoint = "https://logging.example";

function answer(status: number, body: unknown, headers: Record<string, string> = {}): Outcome {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return judge(
    new HttpReply(status, headers, Buffer.from(text), endpoint),
    (entry) => ([0, 1, 2].includes(entry) ? entry : undefined),
    NOW,
  );
}

const failed = (code: number, status: string, message: string, details: unknown[] = []): unknown => ({
  error: { code, message, status, details },
});

const partial = (errors: Record<string, unknown>): unknown => ({
  "@type": "type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors",
  logEntryErrors: errors,
});

test("only an answer of the API that names no error delivers", () => {
  for (const body of ["{}", "{}\n", " { } "]) assert.deepEqual(answer(200, body), { kind: "delivered", code: "200" });
  for (const body of ["", "<html>log in</html>", "[]", "null", '"ok"', '{"error":{"code":500}}', "{"]) {
    const outcome = answer(200, body);
    assert.equal(outcome.kind, "retry", body);
    assert.match(outcome.kind === "retry" ? outcome.reason : "", /is there a proxy/);
  }
  for (const status of [201, 202, 204, 206]) assert.equal(answer(status, "{}").kind, "retry");
});

test("entries: only what can never go in is rejected, what no error names is delivered, all else goes again", () => {
  const codes = [
    [3, "rejected", "INVALID_ARGUMENT"],
    [11, "rejected", "OUT_OF_RANGE"],
    ...[1, 2, 4, 5, 7, 8, 9, 10, 13, 14, 16, 99, undefined, "3"].map((code) => [code, "retry", ""] as const),
  ] as const;
  for (const [code, fate, type] of codes) {
    const message = "Log entry with size 293.1K exceeds maximum size of 256.0K";
    const outcome = answer(400, failed(400, "INVALID_ARGUMENT", message, [partial({ "1": { code, message } })]));
    assert.ok(outcome.kind === "mixed", String(code));
    assert.deepEqual(outcome.rejected, fate === "rejected" ? [{ row: 1, type, reason: message }] : []);
    assert.deepEqual(outcome.retry, fate === "retry" ? [1] : []);
    assert.equal(outcome.reason === "", fate === "rejected");
  }
});

test("the status of the whole does not matter where entries have errors of their own", () => {
  const details = [
    { "@type": "type.googleapis.com/google.rpc.Help" },
    partial({ "2": { code: 3, message: "m" }, "0": { code: 14 } }),
  ];
  for (const status of [400, 403, 429, 500]) {
    const outcome = answer(status, failed(status, "ANY", "", details));
    assert.ok(outcome.kind === "mixed");
    assert.deepEqual([outcome.retry, outcome.rejected], [[0], [{ row: 2, type: "INVALID_ARGUMENT", reason: "m" }]]);
  }
});

test("an error for an entry that was not sent means that nothing is known", () => {
  for (const index of ["3", "-1", "x", "1.5"])
    assert.equal(answer(400, failed(400, "INVALID_ARGUMENT", "", [partial({ [index]: { code: 3 } })])).kind, "retry");
});

test("a request that is malformed or too large is split, one that somebody can put right goes again", () => {
  const cases: [number, unknown, Outcome["kind"]][] = [
    [
      400,
      failed(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unknown name \"x\" at 'entries[0]'"),
      "split",
    ],
    [400, failed(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 10485760 bytes."), "split"],
    [400, failed(400, "INVALID_ARGUMENT", "Log entry with size 293.1K exceeds maximum size of 256.0K"), "split"],
    [413, "<html>413 Request Entity Too Large</html>", "split"],
    [400, failed(400, "INVALID_ARGUMENT", "Invalid resource name projects/x"), "retry"],
    [400, failed(400, "INVALID_ARGUMENT", "Log name is malformed"), "retry"],
    [400, failed(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), "retry"],
    [400, failed(400, "FAILED_PRECONDITION", "Precondition check failed."), "retry"],
    [400, "<html>Bad Request</html>", "retry"],
    [400, { error: "invalid_request" }, "retry"],
    [400, { error: null }, "retry"],
    [401, failed(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."), "retry"],
    [403, failed(403, "PERMISSION_DENIED", "Permission 'logging.logEntries.create' denied on resource"), "retry"],
    [404, failed(404, "NOT_FOUND", "Project does not exist: x"), "retry"],
    [409, failed(409, "ABORTED", "conflict"), "retry"],
    [499, failed(499, "CANCELLED", "cancelled"), "retry"],
    [500, failed(500, "INTERNAL", "Internal error encountered."), "retry"],
    [503, failed(503, "UNAVAILABLE", "The service is currently unavailable."), "retry"],
    [504, failed(504, "DEADLINE_EXCEEDED", "Deadline expired"), "retry"],
  ];
  for (const [status, body, kind] of cases) assert.equal(answer(status, body).kind, kind, JSON.stringify(body));
});

test("a reason says what to look at", () => {
  const cases: [number, unknown, RegExp][] = [
    [403, failed(403, "PERMISSION_DENIED", "denied"), /answered 403 \(denied\); .*roles\/logging\.logWriter/],
    [401, failed(401, "UNAUTHENTICATED", "no"), /credentialsFile/],
    [404, failed(404, "NOT_FOUND", "no"), /projectId/],
    [502, "<html>\n  <b>Bad</b> Gateway</html>", /answered 502 \(<html> <b>Bad<\/b> Gateway<\/html>\)$/],
  ];
  for (const [status, body, pattern] of cases) {
    const outcome = answer(status, body);
    assert.match(outcome.kind === "retry" ? outcome.reason : "", pattern);
  }
  const none = judge({ code: "ECONNREFUSED", error: "refused", begun: false, endpoint }, () => 0, NOW);
  assert.deepEqual(none, {
    kind: "retry",
    code: "ECONNREFUSED",
    reason: `${endpoint} gave no answer (refused); can the node reach it?`,
  });
});

test("how long to wait comes from the header, from the details, or is a while for a quota", () => {
  const after = (status: number, body: unknown, headers?: Record<string, string>): number | undefined => {
    const outcome = answer(status, body, headers);
    return outcome.kind === "retry" ? outcome.afterMs : -1;
  };
  const info = (retryDelay: unknown): unknown[] => [
    { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay },
  ];
  assert.equal(after(503, "", { "retry-after": "7" }), 7000);
  assert.equal(after(503, "", { "retry-after": "Tue, 24 Nov 2026 10:00:09 GMT" }), 9000);
  assert.equal(after(503, failed(503, "UNAVAILABLE", "", info("3.5s"))), 3500);
  assert.equal(after(503, failed(503, "UNAVAILABLE", "", info("86400s"))), 300_000);
  assert.equal(after(503, failed(503, "UNAVAILABLE", "", info("soon"))), undefined);
  assert.equal(after(503, failed(503, "UNAVAILABLE", "")), undefined);
  const waits = Array.from({ length: 50 }, () => after(429, failed(429, "RESOURCE_EXHAUSTED", "Quota exceeded")) ?? -1);
  assert.ok(waits.every((ms) => ms >= 1000 && ms < 10_000));
  assert.ok(new Set(waits).size > 40, "a fleet does not come back at once");
  assert.equal(after(429, failed(429, "RESOURCE_EXHAUSTED", "", info("30s"))), 30_000);
});

test("an error names the entry, and the row is found also behind rows that are several entries", async (context) => {
  const fake = await startFake(context);
  const made = outputFor(context, fake.url);
  const long = "x".repeat(450_000);
  const request = closed(made, [rowsOf(["a", long, "b", long, "c", "d"])]);
  const fates: [string, (text: string, index: number) => boolean, number[]][] = [
    ["the last of all", (text) => text === "d", [5]],
    ["a row between", (text) => text === "b", [2]],
    ["a part of a row", (text, index) => text.startsWith("x") && index === 2, [1, 3]],
    ["several", (text) => text === "a" || text === "c", [0, 4]],
  ];
  for (const [name, isRefused, rows] of fates) {
    fake.refuse = ({ textPayload = "", split }) => {
      const { index = 0 } = (split ?? {}) as { index?: number };
      return isRefused(textPayload, index) ? { code: 3, message: "no" } : undefined;
    };
    const outcome = await made.send(request, NEVER);
    assert.ok(outcome.kind === "mixed", name);
    assert.deepEqual(
      outcome.rejected.map(({ row }) => row),
      rows,
      name,
    );
    const picked = made.pick(request, [3, 4, 5]);
    fake.refuse = ({ textPayload }) => (textPayload === "d" ? { code: 8, message: "busy" } : undefined);
    const again = await made.send(picked, NEVER);
    assert.deepEqual(again.kind === "mixed" && again.retry, [2], name);
  }
});
