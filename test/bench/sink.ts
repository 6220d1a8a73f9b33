/**
 * A backend that is never the bottleneck: takes Elasticsearch bulks, Loki's pushes and Cloud Logging's entries, counts documents, accepts them all. A process of
 * its own, so that its work is not the agent's. With `latency` it also measures from each record's time to its arrival, with
 * `quiet` only for messages that begin with "quiet".
 */
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";

const latency = process.argv.includes("latency") || process.argv.includes("quiet");
const measured = process.argv.includes("quiet")
  ? /"@timestamp":"([^"]+)","message":"quiet/g
  : /"@timestamp":"([^"]+)"/g;
let documents = 0;
let wireBytes = 0;
const delays: number[] = [];

function count(body: Buffer): number {
  let lines = 0;
  for (let at = body.indexOf(10); at >= 0; at = body.indexOf(10, at + 1)) lines++;
  return lines >> 1;
}

function measure(body: Buffer): void {
  const now = Date.now();
  for (const [, time = ""] of body.toString("latin1").matchAll(measured)) delays.push(now - Date.parse(time));
}

const replies = new Map<number, Buffer>();
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    if (request.url === "/stats") {
      delays.sort((a, b) => a - b);
      const at = (share: number): number => delays[Math.floor(delays.length * share)] ?? 0;
      response.end(
        JSON.stringify({
          documents,
          wireBytes,
          measured: delays.length,
          p50: at(0.5),
          p99: at(0.99),
          worst: at(0.999999),
        }),
      );
      return;
    }
    if (request.url === "/reset") {
      delays.length = 0;
      response.end();
      return;
    }
    if (request.url?.startsWith("/computeMetadata/")) {
      response.writeHead(200, { "content-type": "application/json", "metadata-flavor": "Google" });
      response.end('{"access_token":"t","expires_in":3600,"token_type":"Bearer"}');
      return;
    }
    const body = Buffer.concat(chunks);
    wireBytes += body.length;
    if (request.url?.startsWith("/loki/")) {
      response.writeHead(204);
      response.end();
      return;
    }
    const plain = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
    if (request.url?.startsWith("/v2/")) {
      response.writeHead(200, { "content-type": "application/json" });
      response.end("{}");
      return;
    }
    const rows = count(plain);
    documents += rows;
    if (latency) measure(plain);
    let reply = replies.get(rows);
    if (reply === undefined) {
      reply = Buffer.from(`{"errors":false,"items":[${Array(rows).fill('{"create":{"status":201}}').join(",")}]}`);
      if (replies.size < 10_000) replies.set(rows, reply);
    }
    response.writeHead(200, { "content-type": "application/json", "content-length": reply.length });
    response.end(reply);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  console.log(typeof address === "object" ? address?.port : "");
});
