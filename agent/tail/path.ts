/**
 * Identity from paths. Namespace, pod, uid, container and restart count come from the path that a link leads to, never
 * from the link's own name: kubelet cuts that at 251 bytes (kubernetes pkg/kubelet/kuberuntime/legacy.go).
 *
 *   /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log -> /var/log/pods/NAMESPACE_POD_UID/CONTAINER/RESTART.log
 *   with docker one more: -> /var/lib/docker/containers/ID/ID-json.log
 */
import { lstatSync, readlinkSync, realpathSync } from "node:fs";
import { dirname, resolve, sep } from "node:path";
import { errorCode } from "../errors.ts";
import type { ContainerLog } from "../pods/origin.ts";

// Names hold no "_" by the API's rules, so the three parts can't be confused. A static pod's uid is a hash.
const POD_PATH = /([^/_]+)_([^/_]+)_([^/_]+)\/([^/_]+)\/(\d+)\.log$/;
const CONTAINER_ID = /-([0-9a-f]{64})\.log$/;
const MAX_HOPS = 16;

/** Why a path is not followed. */
export type Refusal = "dangling" | "outside" | "foreign" | "unreadable";

export type Resolved =
  | { readonly kind: "log"; readonly log: ContainerLog; readonly target: string }
  | { readonly kind: Refusal; readonly detail: string };

/**
 * Follows a path to the file it leads to.
 * @param roots real paths of the folders that may be read.
 */
export function resolveLog(path: string, roots: readonly string[]): Resolved {
  let log: ContainerLog | undefined;
  let at = path;
  for (let hop = 0; ; hop++) {
    if (hop === MAX_HOPS) return { kind: "dangling", detail: `more than ${MAX_HOPS} links in a row` };
    log = identify(path, at) ?? log;
    try {
      if (!lstatSync(at).isSymbolicLink()) break;
      at = resolve(dirname(at), readlinkSync(at));
    } catch (error) {
      return refuse(error, at);
    }
  }
  let target: string;
  try {
    target = realpathSync(at);
  } catch (error) {
    return refuse(error, at);
  }
  if (!roots.some((root) => target.startsWith(root.endsWith(sep) ? root : root + sep)))
    return { kind: "outside", detail: `it leads to ${target}, which is under none of source.roots` };
  if (log === undefined)
    return { kind: "foreign", detail: `${at} is not of the form NAMESPACE_POD_UID/CONTAINER/RESTART.log` };
  return { kind: "log", log, target };
}

function refuse(error: unknown, at: string): Resolved {
  const code = errorCode(error);
  const kind = code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP" ? "dangling" : "unreadable";
  return { kind, detail: `${at}: ${code}` };
}

/** What a path below the folder of pods tells; undefined for others. */
export function identify(path: string, at: string): ContainerLog | undefined {
  const match = POD_PATH.exec(at);
  if (match === null) return undefined;
  const [, namespace = "", pod = "", uid = "", container = "", restart = "0"] = match;
  return {
    path,
    namespace,
    pod,
    uid,
    container,
    restart: Number(restart),
    containerId: CONTAINER_ID.exec(path)?.[1] ?? "",
  };
}

/** The container's own key: one chain of generations, all restarts of it. */
export function chainKey(log: ContainerLog): string {
  return `${log.namespace}_${log.pod}_${log.uid}/${log.container}`;
}

/** What people are told of them. */
export const REFUSALS: Record<Refusal, string> = {
  dangling: "the link leads to no file (yet); looked at again at every sweep",
  outside: "the link leads out of source.roots; add its folder there if that is right",
  foreign: "not a pod's log",
  unreadable: "it can't be read; the agent needs to run as root or in the files' group",
};
