/** Pods against a scripted API server: what both suites of agent/pods share. */

import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { type Clock, systemClock } from "../../agent/clock.ts";
import type { ContainerLog } from "../../agent/pods/origin.ts";
import type { Pace } from "../../agent/pods/reflector.ts";
import { SETTINGS } from "../../agent/pods/settings.ts";
import { type Pods, type PodsOptions, startPods } from "../../agent/pods/store.ts";
import { ApiServer, type FakeObject } from "./apiserver.ts";
import { temporaryFolder } from "./program.ts";
import { type KeptLog, keepLog } from "./quiet-log.ts";

export const NODE = "node-1";

/** Delays that a test can wait for. A watch counts as a good one from its start. */
export const PACE: Partial<Pace> = { initialDelayMs: 5, maxDelayMs: 20, forbiddenMs: 20, steadyMs: 0 };

export interface Fixture {
  readonly server: ApiServer;
  readonly pods: Pods;
  readonly log: KeptLog;
}

export interface FixtureOptions {
  /** Labels that conditions ask for. */
  readonly named?: readonly string[];
  readonly kubernetes?: Partial<PodsOptions["kubernetes"]>;
  readonly clock?: Clock;
  readonly pace?: Partial<Pace>;
  /** Called before anything is asked. */
  readonly prepare?: (server: ApiServer) => void;
  /** In YAML's flow style. */
  readonly user?: string;
}

export async function startFixture(context: TestContext, options: FixtureOptions = {}): Promise<Fixture> {
  const server = new ApiServer();
  await server.start();
  options.prepare?.(server);
  const kubeconfig = join(temporaryFolder(context), "kubeconfig");
  writeFileSync(
    kubeconfig,
    `{ current-context: x, contexts: [{ name: x, context: { cluster: c, user: u } }],
       clusters: [{ name: c, cluster: { server: "${server.url}" } }], users: [{ name: u, user: ${options.user ?? "{}"} }] }`,
  );
  const log = keepLog();
  const pods = startPods({
    kubernetes: {
      enabled: true,
      kubeconfig,
      labels: ["*"],
      annotations: [],
      namespaceLabels: [],
      metadataTimeout: 60_000,
      events: false,
      ...options.kubernetes,
    },
    settings: { prefix: "tailrace.io", allow: SETTINGS, outputs: ["es", "loki"] },
    named: { labels: new Set(options.named), annotations: new Set() },
    nodeName: NODE,
    clusterName: "test",
    env: {},
    log: log.log,
    clock: options.clock ?? systemClock,
    pace: { ...PACE, ...options.pace },
  });
  context.after(async () => {
    await pods.close();
    await server.stop();
  });
  return { server, pods, log };
}

export interface FakePod {
  readonly name?: string;
  readonly uid?: string;
  readonly node?: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly restart?: number;
  readonly containerId?: string;
  readonly ready?: boolean;
}

/** A pod as the API server would describe it: one container "app", owned by a StatefulSet. */
export function fakePod(options: FakePod = {}): FakeObject & { metadata: { uid: string; name: string } } {
  const { name = "web-0", uid = randomUUID(), labels = { app: "web" }, annotations = {} } = options;
  return {
    metadata: {
      uid,
      name,
      namespace: "shop",
      labels,
      annotations,
      ownerReferences: [{ apiVersion: "apps/v1", kind: "StatefulSet", name: "web", uid: "s", controller: true }],
    },
    spec: { nodeName: options.node ?? NODE, containers: [{ name: "app", image: "web:1" }] },
    status: {
      podIP: "10.1.2.3",
      conditions: [{ type: "Ready", status: String(options.ready ?? true) }],
      containerStatuses: [
        {
          name: "app",
          image: "web:1",
          restartCount: options.restart ?? 0,
          containerID: `containerd://${options.containerId ?? "c0ffee"}`,
        },
      ],
    },
  };
}

/** The log of a pod's container, as its path would tell. */
export function logOf(uid: string, options: Partial<ContainerLog> = {}): ContainerLog {
  return {
    path: `/var/log/containers/web-0_shop_app-${uid}.log`,
    namespace: "shop",
    pod: "web-0",
    uid,
    container: "app",
    restart: 0,
    containerId: "",
    ...options,
  };
}

/** A clock that stands still until it is moved. */
export class HeldClock implements Clock {
  now = 0;

  monotonic(): number {
    return this.now;
  }

  wall(): number {
    return this.now;
  }
}
