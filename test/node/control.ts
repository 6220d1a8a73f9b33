/** The control plane on the test node: etcd, API server, scheduler and controllers, and kubectl to speak to it. */
import { mkdirSync, readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import type { V1Pod, V1PodList } from "@kubernetes/client-node";
import { until } from "../support/program.ts";
import { Daemon, run } from "./daemon.ts";
import type { Keys } from "./keys.ts";
import { API_IP, API_URL, SERVICES } from "./network.ts";
import type { Tool } from "./tools.ts";

const ETCD = "http://127.0.0.1:2379";

/** All that the pods of the tests need, and no more of the thirty. */
const CONTROLLERS = [
  "daemonset-controller",
  "deployment-controller",
  "garbage-collector-controller",
  "job-controller",
  "namespace-controller",
  "node-lifecycle-controller",
  "replicaset-controller",
  "root-ca-certificate-publisher-controller",
  "serviceaccount-controller",
];

export class ControlPlane {
  readonly daemons: readonly Daemon[];
  readonly #apiServer: Daemon;
  readonly #keys: Keys;
  readonly #kubectl: string;
  readonly #connections = new Agent({ keepAlive: true });

  /** @param folder for etcd's data and the logs. */
  constructor(folder: string, keys: Keys, tools: Readonly<Record<Tool, string>>) {
    const { path } = keys;
    this.#keys = keys;
    this.#kubectl = tools.kubectl;
    const logs = join(folder, "logs");
    const etcd = new Daemon("etcd", logs, tools.etcd, [
      `--data-dir=${join(folder, "etcd")}`,
      `--listen-client-urls=${ETCD}`,
      `--advertise-client-urls=${ETCD}`,
      "--listen-peer-urls=http://127.0.0.1:2380",
      // The data of a test need not outlive a power cut.
      "--unsafe-no-fsync",
    ]);
    this.#apiServer = new Daemon("kube-apiserver", logs, tools["kube-apiserver"], [
      `--etcd-servers=${ETCD}`,
      `--bind-address=${API_IP}`,
      `--advertise-address=${API_IP}`,
      "--secure-port=443",
      `--tls-cert-file=${path("apiserver.pem")}`,
      `--tls-private-key-file=${path("apiserver.key")}`,
      `--client-ca-file=${path("ca.pem")}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${path("accounts.pem")}`,
      `--service-account-signing-key-file=${path("accounts.key")}`,
      `--service-cluster-ip-range=${SERVICES}`,
      "--endpoint-reconciler-type=none",
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--allow-privileged=true",
      `--kubelet-certificate-authority=${path("ca.pem")}`,
      `--kubelet-client-certificate=${path("admin.pem")}`,
      `--kubelet-client-key=${path("admin.key")}`,
      "--kubelet-preferred-address-types=InternalIP",
    ]);
    const asAdmin = [`--kubeconfig=${path("admin.kubeconfig")}`, "--leader-elect=false", "--secure-port=0"];
    this.daemons = [
      etcd,
      this.#apiServer,
      new Daemon("kube-scheduler", logs, tools["kube-scheduler"], asAdmin),
      new Daemon("kube-controller-manager", logs, tools["kube-controller-manager"], [
        ...asAdmin,
        `--controllers=${CONTROLLERS.join(",")}`,
        `--service-account-private-key-file=${path("accounts.key")}`,
        `--root-ca-file=${path("ca.pem")}`,
      ]),
    ];
    mkdirSync(logs, { recursive: true });
  }

  async start(): Promise<void> {
    for (const daemon of this.daemons) {
      daemon.start();
      if (daemon === this.#apiServer) await this.#answers();
    }
    await until(
      () => this.get("/api/v1/namespaces/default/serviceaccounts/default"),
      "the default service account is there",
    );
  }

  async stop(): Promise<void> {
    for (const daemon of this.daemons.toReversed()) await daemon.stop("SIGKILL");
  }

  /** Takes the API server away, as a failed upgrade of the control plane does. */
  async stopApiServer(): Promise<void> {
    await this.#apiServer.stop("SIGKILL");
  }

  async startApiServer(): Promise<void> {
    this.#apiServer.start();
    await this.#answers();
  }

  kubectl(...args: string[]): Promise<string> {
    return run(this.#kubectl, ["--kubeconfig", this.#keys.path("admin.kubeconfig"), ...args]);
  }

  /** Applies manifests given as objects. */
  async apply(...objects: readonly object[]): Promise<void> {
    await this.#apply(objects);
  }

  /** Has the API server say what it thinks of manifests. */
  async check(...objects: readonly object[]): Promise<void> {
    await this.#apply(objects, "--dry-run=server", "--validate=strict");
  }

  /** One GET, cheaper than kubectl. @returns undefined for what is not there. @param path below /api/v1 and the like. */
  get<T>(path: string): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const asked = request(
        `${API_URL}${path}`,
        {
          ca: readFileSync(this.#keys.path("ca.pem")),
          cert: readFileSync(this.#keys.path("admin.pem")),
          key: readFileSync(this.#keys.path("admin.key")),
          agent: this.#connections,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const text = Buffer.concat(chunks).toString();
            if (response.statusCode === 200) resolve(JSON.parse(text) as T);
            else if (response.statusCode === 404) resolve(undefined);
            else reject(new Error(`GET ${path}: ${response.statusCode} ${text}`));
          });
        },
      );
      asked.on("error", reject);
      asked.end();
    });
  }

  async pods(namespace: string, selector = ""): Promise<V1Pod[]> {
    const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`;
    return (await this.get<V1PodList>(path))?.items ?? [];
  }

  pod(namespace: string, name: string): Promise<V1Pod | undefined> {
    return this.get<V1Pod>(`/api/v1/namespaces/${namespace}/pods/${name}`);
  }

  async #apply(objects: readonly object[], ...flags: readonly string[]): Promise<void> {
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
    const kubeconfig = this.#keys.path("admin.kubeconfig");
    await run(this.#kubectl, ["--kubeconfig", kubeconfig, "apply", ...flags, "-f", "-"], list);
  }

  async #answers(): Promise<void> {
    await until(
      () => {
        if (!this.#apiServer.running) throw new Error(`the API server ended:\n${this.#apiServer.tail(20)}`);
        return this.kubectl("get", "--raw", "/readyz").then(
          () => true,
          () => false,
        );
      },
      "the API server is ready",
      180_000,
    );
  }
}
