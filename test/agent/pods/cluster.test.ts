import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Api } from "../../../agent/pods/api.ts";
import { type Cluster, findCluster } from "../../../agent/pods/cluster.ts";
import { ApiServer } from "../../support/apiserver.ts";
import { temporaryFolder } from "../../support/program.ts";
import { tlsFile } from "../../support/tls.ts";

const PODS = { resource: "pods", path: "/api/v1/pods", fieldSelector: "", metadataOnly: false };

async function startServer(context: TestContext): Promise<ApiServer> {
  const server = new ApiServer(true);
  await server.start();
  context.after(() => server.stop());
  return server;
}

/** Writes a kubeconfig file. @param user YAML in flow style. */
function configure(folder: string, server: string, user: string, cluster = "certificate-authority: ca.pem"): Cluster {
  copyFileSync(tlsFile("ca.pem"), join(folder, "ca.pem"));
  const path = join(folder, "kubeconfig.yaml");
  writeFileSync(
    path,
    `apiVersion: v1
kind: Config
current-context: here
contexts: [{ name: here, context: { cluster: c, user: u } }]
clusters: [{ name: c, cluster: { server: "${server}", ${cluster} } }]
users: [{ name: u, user: ${user} }]
`,
  );
  return found(findCluster(path, {}));
}

function found(cluster: Cluster | string): Cluster {
  assert.ok(typeof cluster !== "string", String(cluster));
  return cluster;
}

async function list(context: TestContext, cluster: Cluster): Promise<unknown> {
  const api = new Api(cluster);
  context.after(() => api.close());
  const { body } = await api.get(PODS, "list", new URLSearchParams(), new AbortController().signal);
  return body.json();
}

test("without a cluster and without a kubeconfig it says so", () => {
  assert.match(String(findCluster("", {})), /KUBERNETES_SERVICE_HOST/);
});

test("in a cluster the service account's token and CA are used, and an IPv6 address is bracketed", async (context) => {
  const server = await startServer(context);
  const account = temporaryFolder(context);
  copyFileSync(tlsFile("ca.pem"), join(account, "ca.crt"));
  writeFileSync(join(account, "token"), "secret-1\n");
  server.token = "secret-1";
  const env = { KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: String(server.port) };
  assert.ok(await list(context, found(findCluster("", env, account))));
  const ipv6 = found(findCluster("", { KUBERNETES_SERVICE_HOST: "fd00::1" }, account));
  assert.equal((await ipv6.access(false)).server, "https://[fd00::1]:443");
});

test("a token that was rotated is read again when the server refuses the old one", async (context) => {
  const server = await startServer(context);
  const account = temporaryFolder(context);
  copyFileSync(tlsFile("ca.pem"), join(account, "ca.crt"));
  writeFileSync(join(account, "token"), "old");
  server.token = "old";
  const env = { KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: String(server.port) };
  const cluster = found(findCluster("", env, account));
  await list(context, cluster);
  server.token = "new";
  await assert.rejects(list(context, cluster), { status: 401 });
  writeFileSync(join(account, "token"), "new");
  assert.ok(await list(context, cluster));
});

test("a kubeconfig's token is sent", async (context) => {
  const server = await startServer(context);
  server.token = "secret";
  assert.ok(await list(context, configure(temporaryFolder(context), server.url, "{ token: secret }")));
});

test("a kubeconfig's tokenFile goes before its token, and its path is relative to the kubeconfig", async (context) => {
  const server = await startServer(context);
  const folder = temporaryFolder(context);
  mkdirSync(join(folder, "secrets"));
  writeFileSync(join(folder, "secrets", "token"), "from-file\n");
  server.token = "from-file";
  assert.ok(await list(context, configure(folder, server.url, "{ token: stale, tokenFile: secrets/token }")));
});

test("a kubeconfig's client certificate is shown, from files or inline", async (context) => {
  const server = await startServer(context);
  const folder = temporaryFolder(context);
  const inline = (name: "client.pem" | "client.key" | "ca.pem") => readFileSync(tlsFile(name)).toString("base64");
  copyFileSync(tlsFile("client.pem"), join(folder, "client.pem"));
  copyFileSync(tlsFile("client.key"), join(folder, "client.key"));
  await list(context, configure(folder, server.url, "{ client-certificate: client.pem, client-key: client.key }"));
  await list(
    context,
    configure(
      folder,
      server.url,
      `{ client-certificate-data: ${inline("client.pem")}, client-key-data: ${inline("client.key")} }`,
      `certificate-authority-data: ${inline("ca.pem")}`,
    ),
  );
  assert.deepEqual(
    server.asked.map(({ certificate }) => certificate),
    ["agent", "agent"],
  );
});

test("a kubeconfig's exec plugin is asked, and asked again when its token is refused", async (context) => {
  const server = await startServer(context);
  const folder = temporaryFolder(context);
  const answer = (token: string) =>
    writeFileSync(join(folder, "answer.json"), JSON.stringify({ kind: "ExecCredential", status: { token } }));
  const user = `{ exec: { apiVersion: client.authentication.k8s.io/v1, command: cat, args: ["${join(folder, "answer.json")}"] } }`;
  const cluster = configure(folder, server.url, user);
  answer("one");
  server.token = "one";
  assert.ok(await list(context, cluster));
  answer("two");
  server.token = "two";
  assert.ok(await list(context, cluster));
});

test("a certificate of an unknown authority is refused unless the kubeconfig says to skip that", async (context) => {
  const server = await startServer(context);
  const folder = temporaryFolder(context);
  await assert.rejects(list(context, configure(folder, server.url, "{}", "")));
  assert.ok(await list(context, configure(folder, server.url, "{}", "insecure-skip-tls-verify: true")));
});

test("plain HTTP works, for a kubectl proxy, and so does a path before the API's", async (context) => {
  const server = new ApiServer();
  await server.start();
  context.after(() => server.stop());
  const folder = temporaryFolder(context);
  assert.ok(await list(context, configure(folder, server.url, "{}", "")));
  await assert.rejects(list(context, configure(folder, `${server.url}/k8s/clusters/c-1/`, "{}", "")), { status: 404 });
});

test("a kubeconfig that is missing, broken or without a context is an error that names it", async (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, "config");
  await assert.rejects(found(findCluster(path, {})).access(false), /config/);
  writeFileSync(path, "just text");
  await assert.rejects(found(findCluster(path, {})).access(false), /not a kubeconfig file/);
  writeFileSync(path, "clusters: []");
  await assert.rejects(found(findCluster(path, {})).access(false), /current-context/);
});
