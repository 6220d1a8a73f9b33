/** The shipped program and an API server: what the bundle leaves out of client-node is missed by no way to authenticate. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ApiServer } from "../support/apiserver.ts";
import { LogNode } from "../support/node.ts";
import { fakePod } from "../support/pods.ts";
import { buildBundle, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";
import { tlsFile } from "../support/tls.ts";

buildBundle();

const TOKEN = "secret-token";
const credential = JSON.stringify({
  apiVersion: "client.authentication.k8s.io/v1",
  kind: "ExecCredential",
  status: { token: TOKEN },
});

const USERS = {
  "a token": { token: TOKEN },
  "a plugin": { exec: { apiVersion: "client.authentication.k8s.io/v1", command: "echo", args: [credential] } },
  // What reads its answer is not loaded before.
  "a provider of before": {
    "auth-provider": {
      name: "gcp",
      config: {
        "cmd-path": "echo",
        "cmd-args": `'${JSON.stringify({ token: TOKEN, expiry: "2100-01-01T00:00:00Z" })}'`,
        "token-key": "{.token}",
        "expiry-key": "{.expiry}",
      },
    },
  },
  "a client's certificate": { "client-certificate": tlsFile("client.pem"), "client-key": tlsFile("client.key") },
};

for (const [name, user] of Object.entries(USERS))
  test(`records have the labels that an API server tells over TLS, asked with ${name}`, async (context) => {
    const server = new ApiServer(true);
    await server.start();
    context.after(() => server.stop());
    const byToken = !("client-key" in user);
    if (byToken) server.token = TOKEN;
    const root = temporaryFolder(context);
    const container = new LogNode(root).container("web-0");
    const labels = { app: "web", tier: "front" };
    server.apply("pods", fakePod({ uid: container.uid, name: "web-0", node: "node-a", labels }));
    const kubeconfig = join(root, "kubeconfig");
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        "current-context": "a",
        contexts: [{ name: "a", context: { cluster: "a", user: "a" } }],
        clusters: [{ name: "a", cluster: { server: server.url, "certificate-authority": tlsFile("ca.pem") } }],
        users: [{ name: "a", user }],
      }),
    );
    const screen = "  - { name: screen, type: console, format: json, batch: { maxWait: 10ms } }";
    const kubernetes = `{ kubeconfig: "${kubeconfig}", metadataTimeout: 1h }`;
    const program = new Program(["run", "-c", writeConfig(root, screen, "", undefined, kubernetes)]);
    context.after(() => void program.child.kill("SIGKILL"));
    container.write("hello");
    await until(() => program.stdout.includes("\n"), "the record is there");
    const { kubernetes: origin } = JSON.parse(program.stdout.split("\n")[0] ?? "") as { kubernetes: object };
    assert.deepEqual("labels" in origin && origin.labels, labels);
    assert.equal(server.asked[0]?.certificate !== "", !byToken);
  });
