/** The test node as the tests use it: everything started in order, and what they ask of it again and again. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { V1ConfigMap, V1Pod } from "@kubernetes/client-node";
import { type Manifest, parseManifests } from "../deploy/kubernetes.ts";
import type { LokiEntry } from "../real/loki.ts";
import { until } from "../support/program.ts";
import { ControlPlane } from "./control.ts";
import type { Images } from "./images.ts";
import { type Keys, makeKeys } from "./keys.ts";
import { LokiSink } from "./loki.ts";
import { Machine } from "./machine.ts";
import { makeNetwork, SINK_IP } from "./network.ts";
import { Sink } from "./sink.ts";
import type { Tool } from "./tools.ts";
import { NAMESPACE, SHARED } from "./writers.ts";

/** What the runner hands over. */
export interface Setting {
  readonly folder: string;
  readonly tools: Readonly<Record<Tool, string>>;
  readonly images: Images;
  /** Program of the real Loki; "" where it is not. */
  readonly loki: string;
}

/** What the stand-in at port 9243 wants, as users write it. */
export const API_KEY = "id:topsecret";
const OVERLAY = resolve(import.meta.dirname, "overlay");
const AGENT = "app.kubernetes.io/name=tailrace";
/** Whole minutes: a machine that is busy with other things is slow, not broken. */
const PATIENCE_MS = 180_000;

export class TestNode {
  readonly setting: Setting;
  readonly keys: Keys;
  readonly control: ControlPlane;
  readonly machine: Machine;
  readonly sink = new Sink();
  loki: LokiSink | undefined;

  private constructor(setting: Setting, networks: string) {
    const { folder, tools } = setting;
    this.setting = setting;
    this.keys = makeKeys(folder);
    this.control = new ControlPlane(folder, this.keys, tools);
    this.machine = new Machine(folder, this.keys, networks, this.control, tools);
  }

  static async start(): Promise<TestNode> {
    const setting = JSON.parse(readFileSync(process.env.TAILRACE_NODE ?? "", "utf8")) as Setting;
    const node = new TestNode(setting, await makeNetwork(setting.folder));
    try {
      await node.#start();
    } catch (error) {
      console.error(error, await node.troubles());
      await node.stop();
      throw error;
    }
    return node;
  }

  async #start(): Promise<void> {
    const { agent, pod } = this.setting.images;
    if (this.setting.loki !== "") this.loki = await LokiSink.start(this.setting.loki);
    mkdirSync(SHARED, { recursive: true });
    await this.sink.listen({ host: SINK_IP, port: 9200 });
    const file = (name: string): Buffer => readFileSync(this.keys.path(name));
    await this.sink.listen({
      host: SINK_IP,
      port: 9243,
      tls: { key: file("sink.key"), cert: file("sink.pem") },
      authorization: `ApiKey ${Buffer.from(API_KEY).toString("base64")}`,
    });
    await this.control.start();
    await this.machine.start([agent.archive, pod.archive]);
    await this.control.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
    await this.wait(
      () => this.control.get(`/api/v1/namespaces/${NAMESPACE}/serviceaccounts/default`),
      "the namespace has its service account",
    );
  }

  async stop(): Promise<void> {
    await this.machine.crash();
    await this.control.stop();
    await this.sink.close();
    await this.loki?.close();
  }

  wait<T>(
    condition: () => T | undefined | false | null | Promise<T | undefined | false | null>,
    name: string,
  ): Promise<T> {
    return until(condition, name, PATIENCE_MS);
  }

  kubectl(...args: string[]): Promise<string> {
    return this.control.kubectl(...args);
  }

  /** Applies the manifests as users do, with the test's overlay, and the second output. */
  async applyAgent(): Promise<void> {
    const manifests = parseManifests(await this.kubectl("kustomize", OVERLAY));
    for (const { kind, data } of manifests as (Manifest & V1ConfigMap)[])
      if (kind === "ConfigMap" && data !== undefined) data["config.yaml"] += this.loki?.output ?? "";
    await this.control.apply(...manifests);
  }

  /** What Loki has of a container, once it is as much as it should be; undefined where there is no Loki. */
  async atLoki(pod: V1Pod, container: string, count: number): Promise<LokiEntry[] | undefined> {
    return this.loki?.entries(pod, container, count, PATIENCE_MS);
  }

  /** The agent's one ready pod, other than `former`. */
  agentPod(former = ""): Promise<V1Pod> {
    return this.wait(async () => {
      const pods = await this.control.pods("tailrace", AGENT);
      return pods.find(
        ({ metadata, status }) =>
          metadata?.uid !== former &&
          metadata?.deletionTimestamp === undefined &&
          status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
      );
    }, "the agent's pod is ready");
  }

  /** The agent's /metrics, /healthz or /readyz. */
  async ask(path: string): Promise<string> {
    const { status } = await this.agentPod();
    const answer = await fetch(`http://${status?.podIP}:9780${path}`);
    return `${answer.ok ? "" : `${answer.status} `}${await answer.text()}`;
  }

  /** Value of one series. @param series name and labels as in Prometheus' text format. */
  async metric(series: string): Promise<number> {
    const line = (await this.ask("/metrics")).split("\n").find((line) => line.startsWith(`${series} `));
    return line === undefined ? Number.NaN : Number(line.slice(series.length + 1));
  }

  /** Waits for a pod's phase. */
  podIn(name: string, ...phases: readonly string[]): Promise<V1Pod> {
    return this.wait(
      async () => {
        const pod = await this.control.pod(NAMESPACE, name);
        return phases.includes(pod?.status?.phase ?? "") && pod;
      },
      `pod ${name} is ${phases.join(" or ")}`,
    );
  }

  async remove(pod: string): Promise<void> {
    await this.kubectl("-n", NAMESPACE, "delete", "pod", pod, "--grace-period=0", "--force", "--ignore-not-found");
  }

  share(name: string, content: string | Buffer): string {
    const path = join(SHARED, name);
    writeFileSync(path, content);
    return path;
  }

  /** The ends of all logs, for whoever must find out what went wrong. */
  async troubles(): Promise<string> {
    const parts = [...this.control.daemons, this.machine.containerd, this.machine.kubelet].map(
      (daemon) => `--- ${daemon.name}\n${daemon.tail(15)}`,
    );
    for (const command of [
      ["get", "pods,events", "-A"],
      ["-n", "tailrace", "logs", "daemonset/tailrace", "--tail=30"],
    ])
      parts.push(`--- kubectl ${command.join(" ")}\n${await this.kubectl(...command).catch(String)}`);
    return parts.join("\n");
  }
}
