/** HttpTarget follows what changes while it runs: certificates in mounted Secrets, and what a name means. */
import assert from "node:assert/strict";
import dns from "node:dns";
import { cpSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { HttpTarget } from "../../outputs/http.ts";
import { httpOptions, listen } from "../support/http.ts";
import { temporaryFolder } from "../support/program.ts";
import { tlsFile } from "../support/tls.ts";

const NEVER = new AbortController().signal;
const GET = { method: "GET", path: "/", headers: {} } as const;
const MINUTE = 60_000;

/** A clock that goes when told to. */
function handClock() {
  const clock = { now: 0, monotonic: () => clock.now, wall: () => clock.now };
  return clock;
}

async function ask(target: HttpTarget): Promise<string> {
  const reply = await target.request(GET, NEVER);
  return "error" in reply ? reply.code : reply.body;
}

/** A server that answers with the name on the client's certificate. */
async function serveTls(context: TestContext): Promise<string> {
  const server = createTlsServer(
    {
      key: readFileSync(tlsFile("server.key")),
      cert: readFileSync(tlsFile("server.pem")),
      ca: readFileSync(tlsFile("ca.pem")),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) =>
      void response.end(String((request.socket as TLSSocket).getPeerCertificate().subject?.CN ?? "nobody")),
  );
  server.on("tlsClientError", () => {});
  context.after(() => server.close());
  context.after(() => server.closeAllConnections());
  return `https://127.0.0.1:${await listen(server)}`;
}

/** Files as Kubernetes mounts a Secret: links through `..data`, which is swapped at once. */
function mount(folder: string, version: string, files: Record<string, string | Buffer>): void {
  mkdirSync(join(folder, version), { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, version, name), content);
  symlinkSync(version, join(folder, "..data.new"));
  renameSync(join(folder, "..data.new"), join(folder, "..data"));
}

test("certificates are read again when their files change, also swapped as Kubernetes does it", async (context) => {
  const url = await serveTls(context);
  const folder = temporaryFolder(context);
  const pem = (name: Parameters<typeof tlsFile>[0]): Buffer => readFileSync(tlsFile(name));
  const [client, server] = [
    { "ca.pem": pem("ca.pem"), "tls.crt": pem("client.pem"), "tls.key": pem("client.key") },
    { "ca.pem": pem("ca.pem"), "tls.crt": pem("server.pem"), "tls.key": pem("server.key") },
  ];
  mount(folder, "first", client);
  const tls = {
    caFile: join(folder, "..data", "ca.pem"),
    certFile: join(folder, "..data", "tls.crt"),
    keyFile: join(folder, "..data", "tls.key"),
  };
  const clock = handClock();
  const target = new HttpTarget(httpOptions([url], { tls }), {}, clock);
  context.after(() => target.close());
  const first = await ask(target);
  mount(folder, "second", server);
  clock.now += 2000;
  const second = await ask(target);
  assert.notEqual(first, "nobody");
  assert.notEqual(second, "nobody");
  assert.notEqual(second, first, "the new certificate is shown");
  mount(folder, "third", { ...server, "ca.pem": pem("client.pem") });
  clock.now += 2000;
  assert.match(await ask(target), /SELF_SIGNED|UNABLE_TO/, "the server is checked against the new authorities");
  mount(folder, "fourth", { "tls.crt": pem("client.pem") });
  clock.now += 2000;
  mount(folder, "fifth", client);
  clock.now += 2000;
  assert.equal(await ask(target), first, "works again once the files do");
});

test("a certificate that can't be read for a moment leaves the old one at work", async (context) => {
  const url = await serveTls(context);
  const folder = temporaryFolder(context);
  const caFile = join(folder, "ca.pem");
  cpSync(tlsFile("ca.pem"), caFile);
  const clock = handClock();
  const target = new HttpTarget(httpOptions([url], { tls: { caFile } }), {}, clock);
  context.after(() => target.close());
  assert.equal(await ask(target), "nobody");
  renameSync(caFile, `${caFile}.away`);
  clock.now += 2000;
  assert.equal(await ask(target), "nobody");
  writeFileSync(caFile, "");
  clock.now += 2000;
  assert.equal(await ask(target), "nobody");
});

test("a request in flight ends on the connection that it began on", async (context) => {
  const folder = temporaryFolder(context);
  const gate = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  const server = createServer((_, response) => {
    arrived.resolve();
    void gate.promise.then(() => response.end("answered"));
  });
  context.after(() => server.close());
  context.after(() => server.closeAllConnections());
  const caFile = join(folder, "ca.pem");
  cpSync(tlsFile("ca.pem"), caFile);
  const clock = handClock();
  const target = new HttpTarget(
    httpOptions([`http://127.0.0.1:${await listen(server)}`], { tls: { caFile } }),
    {},
    clock,
  );
  context.after(() => target.close());
  const slow = ask(target);
  await arrived.promise;
  cpSync(tlsFile("server.pem"), caFile);
  clock.now += 2000;
  const second = ask(target);
  gate.resolve();
  assert.deepEqual([await slow, await second], ["answered", "answered"]);
});

test("a name that comes to mean another address is followed within minutes, though connections are kept", async (context) => {
  const serve = async (address: string, port: number): Promise<Server> => {
    const server = createServer((_, response) => void response.end(address));
    await new Promise<void>((resolve) => server.listen(port, address, resolve));
    context.after(() => server.close());
    context.after(() => server.closeAllConnections());
    return server;
  };
  const { port } = (await serve("127.0.0.1", 0)).address() as AddressInfo;
  await serve("127.0.0.2", port);
  let address = "127.0.0.1";
  context.mock.method(dns, "lookup", (_: string, options: { all?: boolean }, done: (...args: unknown[]) => void) =>
    options.all === true ? done(null, [{ address, family: 4 }]) : done(null, address, 4),
  );
  const clock = handClock();
  const target = new HttpTarget(httpOptions([`http://backend.example:${port}`], { concurrency: 1 }), {}, clock);
  context.after(() => target.close());
  assert.equal(await ask(target), "127.0.0.1");
  address = "127.0.0.2";
  clock.now += 4 * MINUTE;
  assert.equal(await ask(target), "127.0.0.1", "connections are kept");
  clock.now += 2 * MINUTE;
  assert.equal(await ask(target), "127.0.0.2");
});
