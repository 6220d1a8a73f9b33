/** HttpTarget against real servers on loopback that misbehave. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { authorization, type SecretValue } from "../../outputs/auth.ts";
import { type HttpReply, HttpTarget, retryAfterMs } from "../../outputs/http.ts";
import { httpOptions, listen, secret } from "../support/http.ts";

const NEVER = new AbortController().signal;
const REQUEST = { method: "POST", path: "/x", headers: { "x-a": "1" }, body: Buffer.from("body") } as const;

async function serve(context: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  context.after(() => server.close());
  context.after(() => server.closeAllConnections());
  return `http://127.0.0.1:${await listen(server)}`;
}

function target(context: TestContext, endpoints: string[], more: Parameters<typeof httpOptions>[1] = {}): HttpTarget {
  const made = new HttpTarget(httpOptions(endpoints, more), {}, more.clock);
  context.after(() => made.close());
  return made;
}

/** A server that speaks bytes: `onRequest` is called for each request without a body that comes in one piece. */
async function serveBytes(context: TestContext, onRequest: (socket: Socket, nth: number) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createTcpServer((socket) => {
    let nth = 0;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", () => onRequest(socket, ++nth));
  });
  context.after(() => server.close());
  context.after(() => sockets.forEach((socket) => void socket.destroy()));
  return `http://127.0.0.1:${await listen(server)}`;
}

const GET = { method: "GET", path: "/", headers: {} } as const;
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

test("a request arrives whole, below the endpoint's own path, and so does the answer", async (context) => {
  const seen: { method?: string; url?: string; header: unknown; body: string }[] = [];
  const url = await serve(context, async (request: IncomingMessage, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    seen.push({ method: request.method ?? "", url: request.url ?? "", header: request.headers["x-a"], body });
    response.writeHead(418, { "X-Answer": "yes" }).end("réponse");
  });
  const reply = await target(context, [`${url}/es/`]).request({ ...REQUEST, method: "PUT" }, NEVER);
  assert.deepEqual(seen, [{ method: "PUT", url: "/es/x", header: "1", body: "body" }]);
  assert.ok(!("error" in reply));
  assert.deepEqual([reply.status, reply.headers["x-answer"], reply.body], [418, "yes", "réponse"]);
});

test("credentials are sent in each kind's form", () => {
  const cases: [Parameters<typeof authorization>[0], string | undefined][] = [
    [{}, undefined],
    [{ username: "jürgen", password: secret("pa:ss") }, `Basic ${Buffer.from("jürgen:pa:ss").toString("base64")}`],
    [{ apiKey: secret("id:key") }, `ApiKey ${Buffer.from("id:key").toString("base64")}`],
    [{ apiKey: secret("aWQ6a2V5") }, "ApiKey aWQ6a2V5"],
    [{ bearerToken: secret("token") }, "Bearer token"],
  ];
  for (const [options, header] of cases) assert.equal(authorization(options), header);
});

test("secrets are taken anew for each request, and one that is no header's value is not shown", async (context) => {
  const seen: unknown[] = [];
  const url = await serve(context, ({ headers }, response) => {
    seen.push([headers.authorization, headers["x-scope"]]);
    response.end();
  });
  let now = "one";
  const turning: SecretValue = { value: () => now };
  const backend = target(context, [url], { auth: { bearerToken: turning }, headers: { "X-Scope": turning } });
  await backend.request(REQUEST, NEVER);
  now = "two";
  await backend.request(REQUEST, NEVER);
  assert.deepEqual(seen, [
    ["Bearer one", "one"],
    ["Bearer two", "two"],
  ]);
  now = "line\nbreak";
  const reply = await backend.request(REQUEST, NEVER);
  assert.ok("error" in reply);
  assert.doesNotMatch(reply.error, /break/);
});

test("endpoints take turns; one that is down or answers 502 or 503 rests for longer and longer", async (context) => {
  const hits = { good: 0, bad: 0 };
  let badStatus = 503;
  const good = await serve(context, (_, response) => void response.end(String(++hits.good)));
  const bad = await serve(context, (_, response) => {
    hits.bad++;
    response.writeHead(badStatus).end();
  });
  let now = 0;
  const clock = { monotonic: () => now, wall: () => 0 };
  const dead = "http://127.0.0.1:1";
  const backend = target(context, [dead, bad, good], { clock });
  const ask = async (): Promise<string | number> => {
    const reply = await backend.request(REQUEST, NEVER);
    return "error" in reply ? reply.code : reply.status;
  };
  assert.deepEqual([await ask(), await ask(), await ask(), await ask()], ["ECONNREFUSED", 503, 200, 200]);
  now = 1001;
  assert.deepEqual([await ask(), await ask(), await ask()].sort(), [200, 503, "ECONNREFUSED"]);
  now = 2500;
  assert.deepEqual([await ask(), await ask()], [200, 200], "they rest for twice as long now");
  now = 100_000;
  badStatus = 200;
  const before = hits.bad;
  for (let i = 0; i < 6; i++) await ask();
  assert.ok(hits.bad > before + 1, "one that is well again takes its turns");
});

test("when all endpoints rest they are tried all the same", async (context) => {
  let hits = 0;
  const url = await serve(context, (_, response) => void response.writeHead(++hits < 4 ? 503 : 200).end());
  const backend = target(context, [url], { clock: { monotonic: () => 0, wall: () => 0 } });
  for (let i = 0; i < 4; i++) await backend.request(REQUEST, NEVER);
  assert.equal(hits, 4);
});

test("no more connections are made than the concurrency allows", async (context) => {
  const waiting: (() => void)[] = [];
  const url = await serve(context, (_, response) => void waiting.push(() => response.end()));
  const backend = target(context, [url], { concurrency: 2 });
  const replies = Array.from({ length: 5 }, () => backend.request(REQUEST, NEVER));
  for (let done = 0; done < 5; ) {
    assert.ok(waiting.length <= 2);
    const next = waiting.shift();
    if (next === undefined) await new Promise(setImmediate);
    else {
      next();
      done++;
    }
  }
  for (const reply of await Promise.all(replies)) assert.equal((reply as HttpReply).status, 200);
});

test("a kept connection that the server closes just as we send costs one more try at once", async (context) => {
  let requests = 0;
  const url = await serveBytes(context, (socket, nth) => {
    requests++;
    if (nth === 1) socket.write(OK);
    else socket.resetAndDestroy();
  });
  const backend = target(context, [url], { concurrency: 1 });
  for (let i = 0; i < 2; i++) {
    const reply = await backend.request(GET, NEVER);
    assert.ok(!("error" in reply) && reply.body === "ok", JSON.stringify(reply));
  }
  assert.equal(requests, 3);
});

test("a new connection that is reset is not tried again, nor is an answer that was cut", async (context) => {
  let requests = 0;
  const url = await serveBytes(context, (socket) => {
    requests++;
    if (requests === 1) socket.resetAndDestroy();
    else if (requests === 2) socket.write(OK);
    else socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
  });
  const backend = target(context, [url]);
  const reset = await backend.request(GET, NEVER);
  assert.ok("error" in reset && !reset.begun);
  await backend.request(GET, NEVER);
  const cut = await backend.request(GET, NEVER);
  assert.ok("error" in cut && cut.begun);
  assert.equal(requests, 3);
});

test("an answer that does not come ends with the signal, whose reason it tells", async (context) => {
  const url = await serveBytes(context, () => {});
  const backend = target(context, [url]);
  const late = await backend.request(GET, AbortSignal.timeout(20));
  assert.ok("error" in late && late.code === "TIMEOUT" && /no answer in time/.test(late.error));
  const stop = new AbortController();
  const stopped = backend.request(GET, stop.signal);
  stop.abort();
  const reply = await stopped;
  assert.ok("error" in reply && reply.code === "ABORTED");
});

test("an endpoint is not to blame for a request that we gave up", async (context) => {
  const first = await serveBytes(context, (socket) => void socket.write(OK));
  const second = await serve(context, (_, response) => void response.end("second"));
  const backend = target(context, [first, second]);
  const stop = new AbortController();
  const stopped = backend.request(GET, stop.signal);
  stop.abort();
  assert.ok("error" in (await stopped));
  const bodies = [];
  for (let i = 0; i < 2; i++) bodies.push(((await backend.request(GET, NEVER)) as HttpReply).body);
  assert.deepEqual(bodies, ["second", "ok"]);
});

test("a request that is given up while it waits for a connection ends at once, and is never sent", async (context) => {
  let answer = (): void => {};
  let requests = 0;
  const url = await serve(context, (_, response) => {
    requests++;
    answer = () => void response.end("late");
  });
  const backend = target(context, [url], { concurrency: 1 });
  const first = backend.request(REQUEST, NEVER);
  const stop = new AbortController();
  const second = backend.request(REQUEST, stop.signal);
  while (requests === 0) await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  const given = await second;
  assert.ok("error" in given && given.code === "ABORTED" && !given.begun);
  answer();
  assert.equal(((await first) as HttpReply).body, "late");
  const before = await backend.request(REQUEST, stop.signal);
  assert.ok("error" in before && before.code === "ABORTED");
  assert.equal(requests, 1);
});

test("an answer is whole though it comes in parts, with an informational one before it, or is empty", async (context) => {
  const url = await serve(context, async (request, response) => {
    if (request.url === "/none") return void response.writeHead(204).end();
    response.writeProcessing();
    response.write("in ");
    await new Promise((resolve) => setImmediate(resolve));
    response.end("parts");
  });
  const backend = target(context, [url]);
  const parts = (await backend.request(REQUEST, NEVER)) as HttpReply;
  assert.deepEqual([parts.status, parts.body], [200, "in parts"]);
  const none = (await backend.request({ ...REQUEST, path: "/none" }, NEVER)) as HttpReply;
  assert.deepEqual([none.status, none.body], [204, ""]);
});

test("an answer over 64 MiB is an error", async (context) => {
  const url = await serve(context, (_, response) => {
    response.on("error", () => {});
    response.end(Buffer.alloc(65 * 1024 * 1024, " "));
  });
  const reply = await target(context, [url]).request(REQUEST, NEVER);
  assert.ok("error" in reply && reply.code === "REPLY_TOO_LARGE");
});

test("Retry-After is read in both forms and bounded", () => {
  const now = Date.parse("2026-11-24T10:00:00Z");
  const cases: [string | string[] | undefined, number | undefined][] = [
    [undefined, undefined],
    ["7", 7000],
    [" 0 ", 0],
    ["86400", 300_000],
    ["Tue, 24 Nov 2026 10:00:30 GMT", 30_000],
    ["Tue, 24 Nov 2026 09:00:00 GMT", 0],
    ["Wed, 25 Nov 2026 10:00:00 GMT", 300_000],
    ["soon", undefined],
    ["", undefined],
    [["1", "2"], undefined],
  ];
  for (const [value, ms] of cases) assert.equal(retryAfterMs({ "retry-after": value }, now), ms, String(value));
});
