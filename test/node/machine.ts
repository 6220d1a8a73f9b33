/**
 * The node itself: containerd and kubelet, with their folders where a node has them. It lives in namespaces of its own
 * (see run.ts), so /var/log, /var/lib and /run are the test's, and all processes that it can see are the test's too.
 */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { V1Lease, V1Node } from "@kubernetes/client-node";
import { until } from "../support/program.ts";
import type { ControlPlane } from "./control.ts";
import { Daemon, run } from "./daemon.ts";
import { POD_IMAGE } from "./images.ts";
import type { Keys } from "./keys.ts";
import { NODE, NODE_IP } from "./network.ts";
import type { Tool } from "./tools.ts";

const SOCKET = "/run/containerd.sock";
/** What a reboot empties. */
const VOLATILE = "/run/containerd";
const PERSISTENT = "/var/lib/containerd";
const STATIC_PODS = "/var/lib/static-pods";

/** Of the node: pods have to tolerate it. */
export const TAINT = { key: "dedicated", value: "logs", effect: "NoExecute" };
/** Small enough that every test meets rotation, and enough of them that an agent which is away falls behind no pod. */
const ROTATION = { containerLogMaxSize: "1Mi", containerLogMaxFiles: 30, containerLogMonitorInterval: "3s" };

export class Machine {
  readonly containerd: Daemon;
  readonly kubelet: Daemon;
  readonly #control: ControlPlane;

  constructor(
    folder: string,
    keys: Keys,
    networks: string,
    control: ControlPlane,
    tools: Readonly<Record<Tool, string>>,
  ) {
    this.#control = control;
    const containerd = join(folder, "containerd.toml");
    const kubelet = join(folder, "kubelet.json");
    writeFileSync(containerd, containerdConfig(networks));
    writeFileSync(kubelet, JSON.stringify(kubeletConfig(keys)));
    mkdirSync(STATIC_PODS, { recursive: true });
    const logs = join(folder, "logs");
    this.containerd = new Daemon("containerd", logs, "containerd", ["--config", containerd]);
    this.kubelet = new Daemon("kubelet", logs, tools.kubelet, [
      `--config=${kubelet}`,
      `--kubeconfig=${keys.path("kubelet.kubeconfig")}`,
      `--hostname-override=${NODE}`,
      `--node-ip=${NODE_IP}`,
    ]);
  }

  /** @param archives images to import. */
  async start(archives: readonly string[]): Promise<void> {
    await this.startContainerd();
    for (const archive of archives) await this.ctr("images", "import", archive);
    this.kubelet.start();
    await this.ready();
  }

  async startContainerd(): Promise<void> {
    this.containerd.start();
    await until(
      () => {
        if (!this.containerd.running) throw new Error(`containerd ended:\n${this.containerd.tail(20)}`);
        return this.ctr("version").then(
          () => true,
          () => false,
        );
      },
      "containerd answers",
      120_000,
    );
  }

  /** Waits until kubelet has told the API server that the node takes pods. */
  async ready(): Promise<void> {
    const since = Date.now();
    await until(
      async () => {
        if (!this.kubelet.running) throw new Error(`kubelet ended:\n${this.kubelet.tail(20)}`);
        const [node, lease] = await Promise.all([
          this.#control.get<V1Node>(`/api/v1/nodes/${NODE}`),
          this.#control.get<V1Lease>(`/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${NODE}`),
        ]).catch(() => []);
        const ready = node?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
        const tolerable = node?.spec?.taints?.every(({ key }) => key === TAINT.key) === true;
        return ready && tolerable && Date.parse(String(lease?.spec?.renewTime)) > since;
      },
      "the node is ready",
      180_000,
    );
  }

  ctr(...args: string[]): Promise<string> {
    return run("ctr", ["--address", SOCKET, "--namespace", "k8s.io", ...args]);
  }

  addStaticPod(name: string, pod: object): void {
    writeFileSync(join(STATIC_PODS, `${name}.json`), JSON.stringify(pod));
  }

  removeStaticPod(name: string): void {
    rmSync(join(STATIC_PODS, `${name}.json`));
  }

  /** Power off: everything on the node dies at once, and what a node has in memory is gone. */
  async crash(): Promise<void> {
    await Promise.all([this.kubelet.stop("SIGKILL"), this.containerd.stop("SIGKILL")]);
    // Shims first, so that none of them is there to write down how its container ended.
    for (let left = nodeProcesses(); left.length > 0; left = nodeProcesses()) {
      for (const pid of left) kill(pid);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    for (const path of mountsBelow(VOLATILE, "/run/netns", "/var/lib/kubelet")) await run("umount", ["--lazy", path]);
    for (const path of [VOLATILE, "/run/netns", "/run/containers"]) rmSync(path, { recursive: true, force: true });
  }
}

/** Shims and all that runs in containers: what is in another PID namespace than this one. */
function nodeProcesses(): number[] {
  const own = readlinkSync("/proc/self/ns/pid");
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const shims: number[] = [];
  const contained: number[] = [];
  for (const pid of pids)
    try {
      // Zombies have no program any more.
      const program = basename(readlinkSync(`/proc/${pid}/exe`));
      if (program.startsWith("containerd-shim")) shims.push(Number(pid));
      else if (readlinkSync(`/proc/${pid}/ns/pid`) !== own) contained.push(Number(pid));
    } catch {
      // It ended meanwhile.
    }
  return [...shims, ...contained];
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended meanwhile.
  }
}

/** The deepest first. */
function mountsBelow(...folders: readonly string[]): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => folders.some((folder) => path.startsWith(`${folder}/`)))
    .sort()
    .reverse();
}

function containerdConfig(networks: string): string {
  return `version = 2
root = "${PERSISTENT}"
state = "${VOLATILE}"
[grpc]
  address = "${SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${POD_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${networks}"
`;
}

function kubeletConfig({ folder, path }: Keys): object {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: NODE_IP,
    readOnlyPort: 0,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: path("ca.pem") },
    },
    authorization: { mode: "AlwaysAllow" },
    tlsCertFile: path("kubelet-server.pem"),
    tlsPrivateKeyFile: path("kubelet-server.key"),
    containerRuntimeEndpoint: `unix://${SOCKET}`,
    staticPodPath: STATIC_PODS,
    fileCheckFrequency: "2s",
    syncFrequency: "10s",
    registerWithTaints: [TAINT],
    resolvConf: "",
    cgroupDriver: "cgroupfs",
    cgroupsPerQOS: false,
    // Where the runner finds and removes what is left of the pods' groups.
    cgroupRoot: `/${basename(folder)}`,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    failCgroupV1: false,
    makeIPTablesUtilChains: false,
    // A full disk of the machine is not what is tested.
    evictionHard: { "memory.available": "1Mi", "nodefs.available": "0%", "imagefs.available": "0%" },
    imageGCHighThresholdPercent: 100,
    ...ROTATION,
  };
}
