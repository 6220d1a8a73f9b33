/**
 * Pods of the test node that print known bytes. A load prints numbered lines until it is told to stop, and says how many
 * there were; the text of each follows from its number alone, so that one look tells whether all of it arrived.
 */
import type { V1Pod, V1PodSpec } from "@kubernetes/client-node";
import { POD_IMAGE } from "./images.ts";
import { TAINT } from "./machine.ts";
import { NODE } from "./network.ts";

/** Of the test's pods. */
export const NAMESPACE = "shop";
/** On the node; mounted into every pod at the same place. */
export const SHARED = "/var/lib/shared";

const LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789".repeat(12);

/** Line `n` of a load's run. Every 499th is longer than what the runtime writes in one piece. */
export function loadLine(run: string, n: number): string {
  const from = n % 36;
  const filler = LETTERS.slice(from, from + ((n * 37) % 380));
  return `${run} ${n} ${n % 499 === 498 ? `${LETTERS.repeat(50)} ${filler}` : filler}`;
}

/** The same in awk, 80 lines each $1 microseconds, until there is the file $0. SIGTERM counts as being told to stop. */
const LOAD = `
run=$(cat /proc/sys/kernel/random/uuid)
stop=
trap 'stop=yes' TERM
echo "begin $run"
n=0
while [ -z "$stop" ] && [ ! -e "$0" ]; do
  awk -v run="$run" -v from=$n 'BEGIN {
    for (i = 0; i < 12; i++) letters = letters "abcdefghijklmnopqrstuvwxyz0123456789"
    for (n = from; n < from + 80; n++) {
      filler = substr(letters, n % 36 + 1, (n * 37) % 380)
      if (n % 499 == 498) {
        printf "%s %d ", run, n
        for (i = 0; i < 50; i++) printf "%s", letters
        printf " %s\\n", filler
      } else printf "%s %d %s\\n", run, n, filler
    }
  }'
  n=$((n + 80))
  usleep "$1"
done
echo "end $run $n"
while [ -z "$stop" ]; do sleep 1; done
`;

const toleration = { key: TAINT.key, operator: "Equal", value: TAINT.value, effect: TAINT.effect };

/** @param spec what differs from a pod with one container of busybox. */
export function pod(name: string, spec: Partial<V1PodSpec>, labels: Record<string, string> = {}): V1Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: NAMESPACE, labels: { app: name, ...labels } },
    spec: podSpec(spec),
  };
}

export function podSpec(spec: Partial<V1PodSpec>): V1PodSpec {
  return {
    tolerations: [toleration],
    terminationGracePeriodSeconds: 10,
    containers: [],
    volumes: [{ name: "shared", hostPath: { path: SHARED } }],
    ...spec,
  };
}

/** @param args of the shell behind the script: $0, $1 and so on. */
export function shell(name: string, script: string, ...args: string[]): V1PodSpec["containers"][number] {
  return {
    name,
    image: POD_IMAGE,
    imagePullPolicy: "Never",
    command: ["/bin/sh", "-c", script, ...args],
    volumeMounts: [{ name: "shared", mountPath: SHARED }],
  };
}

/** A pod that prints until the file `stopFile(name)` is there. @param pauseMs between 80 lines and the next. */
export function loadPod(name: string, pauseMs = 100): V1Pod {
  return pod(name, { containers: [shell("app", LOAD, stopFile(name), String(pauseMs * 1000))] }, { load: "yes" });
}

export function stopFile(name: string): string {
  return `${SHARED}/stop-${name}`;
}

/** Of each run of a crashing pod. */
export const CRASH_LINES = 200;

/** A pod whose container prints the number of its run in each line, and fails. */
export function crashingPod(name: string): V1Pod {
  const count = `${SHARED}/runs-of-${name}`;
  const print = `awk -v run=$n 'BEGIN { for (i = 0; i < ${CRASH_LINES}; i++) print "crash " run " " i }'`;
  const script = `n=$(cat ${count} 2>/dev/null || echo 0); echo $((n + 1)) > ${count}; ${print}; exit 1`;
  return pod(name, { containers: [shell("app", script)] });
}

/** A pod of kubelet's own, which the API server knows by its mirror only. */
export function staticPod(name: string, script: string): V1Pod {
  return pod(name, { containers: [shell("app", script)], nodeName: NODE });
}
