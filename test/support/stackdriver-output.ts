/** The Cloud Logging output as tests make it: by default with all that it needs given, and a fixed token. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Batch } from "../../agent/batch.ts";
import { parseTemplate } from "../../agent/config/template.ts";
import type { Origin } from "../../agent/pods/origin.ts";
import type { ClosedRequest } from "../../outputs/output.ts";
import { StackdriverOutput } from "../../outputs/stackdriver.ts";
import { type HttpVariations, httpOptions, secret } from "./http.ts";
import { origin as bare } from "./rows.ts";
import { type StackdriverFake, startStackdriver } from "./stackdriver.ts";

export interface StackdriverVariations extends HttpVariations {
  readonly projectId?: string;
  readonly location?: string;
  readonly clusterName?: string;
  readonly credentialsFile?: string;
  readonly logName?: string;
  readonly structured?: boolean;
  readonly compression?: "none" | "gzip";
  readonly env?: Readonly<Record<string, string>>;
}

export function stackdriverOutput(endpoint: string, more: StackdriverVariations = {}): StackdriverOutput {
  const { projectId = "my-project", location = "europe-west1", clusterName = "prod", credentialsFile = "" } = more;
  const http = httpOptions([], { auth: { bearerToken: secret("token-1") }, ...more });
  return new StackdriverOutput(
    {
      ...http,
      ...{ endpoint, projectId, location, clusterName, credentialsFile },
      request: { ...http.request, compression: more.compression ?? "gzip" },
      logName: parseTemplate(more.logName ?? "{stream}"),
      structured: more.structured ?? true,
    },
    more.env ?? {},
    more.clock,
  );
}

export const NEVER = new AbortController().signal;
export const LARGE = 1e9;

export const podOrigin: Origin = {
  ...bare,
  workloadKind: "statefulset",
  workload: "web",
  labels: { app: "web", "app.kubernetes.io/name": "web" },
  annotations: { "example.com/team": 'a "quoted" é' },
  namespaceLabels: { "kubernetes.io/metadata.name": "shop" },
};

export async function startFake(context: TestContext): Promise<StackdriverFake> {
  const fake = await startStackdriver("my-project");
  context.after(() => fake.close());
  return fake;
}

export function outputFor(context: TestContext, url: string, more: StackdriverVariations = {}): StackdriverOutput {
  const made = stackdriverOutput(url, more);
  context.after(() => made.close());
  return made;
}

export function closed(made: StackdriverOutput, batches: Batch[], key = ""): ClosedRequest {
  const open = made.open(key);
  for (const batch of batches) assert.equal(open.append(batch, 0, LARGE, LARGE), batch.rows);
  return open.close();
}

export async function ship(made: StackdriverOutput, ...batches: Batch[]): Promise<void> {
  const outcome = await made.send(closed(made, batches), NEVER);
  assert.deepEqual(outcome, { kind: "delivered", code: "200" });
}

export const payloads = (fake: StackdriverFake): unknown[] =>
  fake.entries.map(({ textPayload, jsonPayload }) => textPayload ?? jsonPayload);

export const resource = {
  type: "k8s_container",
  labels: {
    project_id: "my-project",
    location: "europe-west1",
    cluster_name: "prod",
    namespace_name: "shop",
    pod_name: "web-0",
    container_name: "app",
  },
};
