/** HttpTarget over TLS and through proxies. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { HttpTarget } from "../../outputs/http.ts";
import { type HttpVariations, httpOptions, listen } from "../support/http.ts";
import { tlsFile } from "../support/tls.ts";

const NEVER = new AbortController().signal;
const caFile = tlsFile("ca.pem");

/** A server that answers with the path it was asked for. @returns its port. */
async function serveTls(context: TestContext, clientCertificates = false): Promise<number> {
  const server = createTlsServer(
    {
      key: readFileSync(tlsFile("server.key")),
      cert: readFileSync(tlsFile("server.pem")),
      ca: readFileSync(caFile),
      requestCert: clientCertificates,
      rejectUnauthorized: clientCertificates,
    },
    ({ url }, response) => void response.end(url),
  );
  server.on("tlsClientError", () => {});
  context.after(() => server.close());
  context.after(() => server.closeAllConnections());
  return listen(server);
}

/** @returns the answer's body, or the failure's code. */
async function ask(url: string, more: HttpVariations = {}, env: Record<string, string> = {}): Promise<string> {
  const target = new HttpTarget(httpOptions([url], more), env);
  const reply = await target.request({ method: "GET", path: "/path", headers: {} }, NEVER);
  await target.close();
  return "error" in reply ? reply.code : reply.body;
}

test("a certificate is checked against caFile alone and for serverName, unless told not to", async (context) => {
  const port = await serveTls(context);
  const url = `https://127.0.0.1:${port}`;
  assert.equal(await ask(url, { tls: { caFile } }), "/path");
  assert.match(await ask(url), /SELF_SIGNED|UNABLE_TO/);
  assert.equal(await ask(url, { tls: { insecureSkipVerify: true } }), "/path");
  assert.equal(await ask(url, { tls: { caFile, serverName: "localhost" } }), "/path");
  assert.equal(await ask(url, { tls: { caFile, serverName: "other.example" } }), "ERR_TLS_CERT_ALTNAME_INVALID");
});

test("a client certificate is shown where the server wants one", async (context) => {
  const url = `https://127.0.0.1:${await serveTls(context, true)}`;
  const certificate = { certFile: tlsFile("client.pem"), keyFile: tlsFile("client.key") };
  assert.equal(await ask(url, { tls: { caFile, ...certificate } }), "/path");
  assert.notEqual(await ask(url, { tls: { caFile } }), "/path");
});

test("a certificate that can't be read is told at once", () => {
  assert.throws(() => new HttpTarget(httpOptions([], { tls: { caFile: "/nowhere/ca.pem" } }), {}), { code: "ENOENT" });
});

/** A proxy for both ways, which notes what it was asked. */
async function serveProxy(context: TestContext): Promise<{ address: string; asked: string[] }> {
  const asked: string[] = [];
  const proxy = createServer(({ url = "", headers }, response) => {
    asked.push(`${headers["proxy-authorization"] ?? ""} GET ${url}`.trim());
    response.end("from the proxy");
  });
  proxy.on("connect", ({ url = "" }, socket) => {
    asked.push(`CONNECT ${url}`);
    const inner = connect(Number(url.split(":")[1]), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      inner.pipe(socket).pipe(inner);
    });
    inner.on("error", () => socket.destroy());
    socket.on("error", () => inner.destroy());
    context.after(() => void inner.destroy());
  });
  context.after(() => proxy.close());
  context.after(() => proxy.closeAllConnections());
  return { address: `127.0.0.1:${await listen(proxy)}`, asked };
}

test("proxies of the environment are used: plain requests forwarded, TLS tunnelled and still checked", async (context) => {
  const port = await serveTls(context);
  const { address, asked } = await serveProxy(context);
  const env = { http_proxy: `http://user:pass@${address}`, HTTPS_PROXY: address };
  assert.equal(await ask("http://es.example:9200", {}, env), "from the proxy");
  assert.equal(await ask(`https://127.0.0.1:${port}`, { tls: { caFile } }, env), "/path");
  assert.match(await ask(`https://127.0.0.1:${port}`, {}, env), /SELF_SIGNED|UNABLE_TO/);
  assert.deepEqual(asked, [
    `Basic ${Buffer.from("user:pass").toString("base64")} GET http://es.example:9200/path`,
    `CONNECT 127.0.0.1:${port}`,
    `CONNECT 127.0.0.1:${port}`,
  ]);
});

test("no_proxy takes hosts, domains, ports and everything out", async (context) => {
  const { address } = await serveProxy(context);
  const cases: [string, string, boolean][] = [
    ["http://es.invalid:9200", "invalid", false],
    ["http://es.invalid:9200", ".invalid", false],
    ["http://es.invalid:9200", "*.invalid", false],
    ["http://es.invalid:9200", "other, ES.invalid", false],
    ["http://es.invalid:9200", "es.invalid:9200", false],
    ["http://es.invalid:9200", "*", false],
    ["http://es.invalid", "es.invalid:80", false],
    ["http://[::1]:9", "::1", false],
    ["http://[::1]:9", "[::1]:9", false],
    ["http://es.invalid:9200", "es.invalid:9201", true],
    ["http://es.invalid:9200", "nvalid", true],
    ["http://es.invalid:9200", "", true],
  ];
  for (const [url, no_proxy, proxied] of cases) {
    const target = new HttpTarget(httpOptions([url]), { http_proxy: `http://${address}`, no_proxy });
    const reply = await target.request({ method: "GET", path: "/", headers: {} }, NEVER);
    await target.close();
    assert.equal(!("error" in reply), proxied, `${url} with ${no_proxy}`);
  }
});
