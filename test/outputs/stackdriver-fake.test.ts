/** The fake Cloud Logging is as strict as the published definitions and limits: what is wrong is refused, and nothing of it kept. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { request as ask } from "undici";
import { startFake } from "../support/stackdriver-output.ts";

const labels = {
  project_id: "my-project",
  location: "l",
  cluster_name: "c",
  namespace_name: "n",
  pod_name: "p",
  container_name: "c",
};
const good = {
  logName: "projects/my-project/logs/stdout",
  resource: { type: "k8s_container", labels },
  timestamp: "2026-09-21T14:13:20.123456789Z",
  severity: "INFO",
  insertId: "a",
  textPayload: "x",
};
const { textPayload: _, ...bare } = good;
const headers = { "content-type": "application/json", authorization: "Bearer token-1" };
const bodyOf = (entry: unknown): string => JSON.stringify({ partialSuccess: true, entries: [entry] });
const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });

/** What is sent instead of a good request: an entry, or a body, or headers; and what is answered. */
const WRONG: Readonly<
  Record<string, readonly [{ entry?: unknown; body?: string | Buffer; more?: object }, number, RegExp]>
> = {
  "no credentials": [{ more: { authorization: undefined } }, 401, /missing required authentication credential/],
  "wrong credentials": [{ more: { authorization: "Bearer token-0" } }, 401, /invalid authentication credentials/],
  "another content type": [{ more: { "content-type": "text/plain" } }, 400, /content type/],
  "broken gzip": [{ more: { "content-encoding": "gzip" } }, 400, /uncompress/],
  "another encoding": [{ more: { "content-encoding": "br" } }, 400, /encoding/],
  "broken JSON": [{ body: "{" }, 400, /Invalid JSON payload/],
  "bytes that are no UTF-8": [{ body: Buffer.from('{"entries":[{"textPayload":"\xff"}]}', "latin1") }, 400, /UTF-8/],
  "half a character": [{ body: bodyOf({ ...bare, textPayload: "half" }).replace("half", "\\ud800") }, 400, /Unicode/],
  "half a character as key": [
    { body: bodyOf({ ...bare, jsonPayload: { half: 1 } }).replace("half", "\\ud800") },
    400,
    /Unicode/,
  ],
  "a key given twice": [{ body: bodyOf({ ...bare, jsonPayload: { a: 1, b: 2 } }).replace('"b"', '"a"') }, 400, /twice/],
  "a number beyond doubles": [
    { body: bodyOf({ ...bare, jsonPayload: { a: 7 } }).replace(":7", ":1e999") },
    400,
    /range/,
  ],
  "an unknown member": [{ entry: { ...good, nope: 1 } }, 400, /nope/],
  "a member of the wrong type": [{ entry: { ...good, textPayload: 5 } }, 400, /expected string/],
  "two payloads": [{ entry: { ...good, jsonPayload: {} } }, 400, /oneof/],
  "a payload that is no object": [{ entry: { ...bare, jsonPayload: [] } }, 400, /Struct/],
  "a severity that is none": [{ entry: { ...good, severity: "WARN" } }, 400, /LogSeverity/],
  "a time that is none": [{ entry: { ...good, timestamp: "2026-09-21 14:13:20" } }, 400, /Timestamp/],
  "an unknown member of httpRequest": [{ entry: { ...good, httpRequest: { url: "/" } } }, 400, /HttpRequest/],
  "a duration that is none": [{ entry: { ...good, httpRequest: { latency: "5ms" } } }, 400, /Duration/],
  "a label that is no text": [{ entry: { ...good, labels: { a: 1 } } }, 400, /labels/],
  "messages nested too deeply": [{ entry: { ...bare, jsonPayload: deep(33) } }, 400, /too deep/],
  "no log name": [{ entry: { ...good, logName: undefined } }, 400, /Log name/],
  "a log name that is not encoded": [{ entry: { ...good, logName: "projects/my-project/logs/a/b" } }, 400, /Log name/],
  "another project": [{ entry: { ...good, logName: "projects/other/logs/a" } }, 403, /denied/],
  "no resource": [{ entry: { ...good, resource: undefined } }, 400, /resource/],
  "a resource without a label": [
    { entry: { ...good, resource: { type: "k8s_container", labels: {} } } },
    400,
    /labels/,
  ],
  "a resource with an empty label": [
    { entry: { ...good, resource: { type: "k8s_container", labels: { ...labels, pod_name: "" } } } },
    400,
    /empty/,
  ],
  "no payload": [{ entry: bare }, 400, /payload/],
  "no id": [{ entry: { ...good, insertId: "" } }, 400, /Insert ID/],
  "a time two days ahead": [{ entry: { ...good, timestamp: "2026-09-24T00:00:00Z" } }, 400, /24 hours in the future/],
  "more labels than 64": [
    { entry: { ...good, labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""])) } },
    400,
    /64/,
  ],
  "more than 256 KiB": [
    { entry: { ...good, textPayload: "x".repeat(300_000) } },
    400,
    /^Log entry with size 293\.\dK exceeds maximum size of 256\.0K$/,
  ],
  "more than 10 MB": [
    { body: bodyOf(Array.from({ length: 11 }, () => "x".repeat(1 << 20))) },
    400,
    /^Request payload size exceeds the limit: 10485760 bytes\.$/,
  ],
};

for (const [name, [{ entry = good, body = bodyOf(entry), more = {} }, status, message]] of Object.entries(WRONG))
  test(`refused: ${name}`, async (context) => {
    const fake = await startFake(context);
    const reply = await ask(`${fake.url}/v2/entries:write`, { method: "POST", headers: { ...headers, ...more }, body });
    const { error } = (await reply.body.json()) as {
      error: { code: number; message: string; status: string; details?: unknown };
    };
    assert.deepEqual([reply.statusCode, error.code], [status, status]);
    assert.match(error.message, message);
    assert.match(error.status, /^[A-Z_]+$/);
    assert.doesNotMatch(JSON.stringify(error.details ?? ""), /PartialErrors/, "nothing was written");
    assert.deepEqual(fake.entries, []);
  });

test("a good request is taken, compressed or not, and with errors only what they do not name is kept", async (context) => {
  const fake = await startFake(context);
  const send = async (body: string | Buffer, more = {}): Promise<[number, unknown]> => {
    const reply = await ask(`${fake.url}/v2/entries:write`, { method: "POST", headers: { ...headers, ...more }, body });
    return [reply.statusCode, await reply.body.json()];
  };
  assert.deepEqual(await send(bodyOf(good)), [200, {}]);
  assert.deepEqual(await send(gzipSync(bodyOf({ ...good, insertId: "b" })), { "content-encoding": "gzip" }), [200, {}]);
  const entries = ["c", "", "d"].map((insertId) => ({ ...good, insertId }));
  const [status, answer] = await send(JSON.stringify({ partialSuccess: true, entries }));
  const { details } = (answer as { error: { details: unknown } }).error;
  const message = "Insert ID is malformed.";
  const type = "type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors";
  assert.deepEqual([status, details], [400, [{ "@type": type, logEntryErrors: { 1: { code: 3, message } } }]]);
  assert.equal(
    (await send(JSON.stringify({ entries: entries.map((entry) => ({ ...entry, severity: "ERROR" })) })))[0],
    400,
  );
  assert.deepEqual(
    fake.entries.map(({ insertId }) => insertId),
    ["a", "b", "c", "d"],
  );
  assert.ok(
    fake.entries.every(({ severity }) => severity === "INFO"),
    "without partialSuccess nothing is written",
  );
});
