/**
 * Where the API server is and how to authenticate: from a kubeconfig file, else from the pod's service account.
 *
 * Nothing is cached here for longer than a minute: the kubelet rewrites the token at 80 % of its life (an hour or less),
 * and the CA beside it may change too. Whoever makes a request asks for access again.
 * This is the only place that loads @kubernetes/client-node, and it does so when access is first asked for.
 */
import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { dirname, resolve } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import { parse } from "yaml";

/** Where the kubelet mounts a pod's credentials. */
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

interface Tls {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface Access {
  /** Base URL, perhaps with a path, without a slash at its end. */
  readonly server: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: Tls;
}

export interface Cluster {
  /**
   * What the next request needs. Tokens are at most 60 s old.
   * @param fresh reads everything again: the server did not take what it got last time.
   * @throws Error when a file can't be read or makes no sense, or an exec plugin fails; that may pass.
   */
  access(fresh: boolean): Promise<Access>;
}

/**
 * @param kubeconfig path of a kubeconfig file; "" for the service account of the pod that the agent runs in.
 * @returns why there is no cluster, when there is none.
 */
export function findCluster(
  kubeconfig: string,
  env: Readonly<Record<string, string | undefined>>,
  serviceAccount = SERVICE_ACCOUNT,
): Cluster | string {
  if (kubeconfig !== "") return new ConfiguredCluster(() => loadKubeconfig(kubeconfig));
  const host = env.KUBERNETES_SERVICE_HOST ?? "";
  if (host === "")
    return "the agent does not run in a cluster (no KUBERNETES_SERVICE_HOST), and kubernetes.kubeconfig is not set";
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${env.KUBERNETES_SERVICE_PORT || "443"}`;
  return new ConfiguredCluster(() => inCluster(server, serviceAccount));
}

class ConfiguredCluster implements Cluster {
  readonly #load: () => Promise<KubeConfig>;
  #config: KubeConfig | undefined;

  constructor(load: () => Promise<KubeConfig>) {
    this.#load = load;
  }

  async access(fresh: boolean): Promise<Access> {
    // A new KubeConfig has read no token and run no plugin yet.
    if (fresh || this.#config === undefined) this.#config = await this.#load();
    const cluster = this.#config.getCurrentCluster();
    if (!cluster?.server) throw new Error("the kubeconfig's current context names no cluster; set current-context");
    const options: Parameters<KubeConfig["applyToHTTPSOptions"]>[0] = {};
    await this.#config.applyToHTTPSOptions(options);
    const { ca, cert, key, servername, rejectUnauthorized, auth } = options as Tls & { auth?: string };
    const headers: Record<string, string> = {};
    // Token files often end in a newline, which no header may hold.
    for (const [name, value] of Object.entries(options.headers ?? {}))
      if (typeof value === "string") headers[name.toLowerCase()] = value.trim();
    if (auth) headers.authorization = `Basic ${Buffer.from(auth).toString("base64")}`;
    return {
      server: cluster.server.replace(/\/+$/, ""),
      headers,
      tls: {
        ...(ca && { ca }),
        ...(cert && { cert }),
        ...(key && { key }),
        ...(servername && { servername }),
        ...(rejectUnauthorized === false && { rejectUnauthorized }),
      },
    };
  }
}

async function inCluster(server: string, serviceAccount: string): Promise<KubeConfig> {
  const { KubeConfig } = await import("./kubeconfig.ts");
  const config = new KubeConfig();
  // Not loadFromCluster(): that one reads the process's environment and speaks plain HTTP to some ports.
  config.loadFromClusterAndUser(
    { name: "cluster", server, caFile: `${serviceAccount}/ca.crt`, skipTLSVerify: false },
    { name: "agent", authProvider: tokenFrom(`${serviceAccount}/token`) },
  );
  return config;
}

/** client-node's provider that reads a token file again when what it has is older than 60 s. */
function tokenFrom(tokenFile: string): { name: string; config: { tokenFile: string } } {
  return { name: "tokenFile", config: { tokenFile } };
}

interface Kubeconfig {
  clusters?: { cluster?: { server?: string; "insecure-skip-tls-verify"?: boolean } }[];
  users?: { user?: { token?: string; tokenFile?: string; "auth-provider"?: unknown } }[];
}

async function loadKubeconfig(path: string): Promise<KubeConfig> {
  const { KubeConfig } = await import("./kubeconfig.ts");
  const content = parse(await readFile(path, "utf8")) as Kubeconfig | null;
  if (content === null || typeof content !== "object") throw new Error(`${path} is not a kubeconfig file`);
  const folder = dirname(path);
  for (const { user } of content.users ?? []) {
    // client-node does not know `tokenFile`; as in kubectl it goes before `token`.
    if (!user?.tokenFile) continue;
    user["auth-provider"] = tokenFrom(resolve(folder, user.tokenFile));
    delete user.token;
  }
  // client-node refuses plain HTTP (a `kubectl proxy`) unless told that there is no certificate to check.
  for (const { cluster } of content.clusters ?? [])
    if (cluster?.server?.startsWith("http:")) cluster["insecure-skip-tls-verify"] = true;
  const config = new KubeConfig();
  config.loadFromString(JSON.stringify(content));
  config.makePathsAbsolute(folder);
  return config;
}
