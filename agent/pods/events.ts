/**
 * Events on pods, so that a pod's owner learns what is wrong with its annotations by `kubectl describe pod`. One try each:
 * an event is a courtesy, and its absence harms nobody. A few at a time, so that a wrong template of a thousand pods is no
 * load on the API server.
 */
import { createHash } from "node:crypto";
import { type Clock, isoTime } from "../clock.ts";
import { errorText } from "../errors.ts";
import { type Log, Throttle } from "../log.ts";
import type { Api } from "./api.ts";
import type { AnnotationProblem } from "./settings.ts";

export interface Complaint {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly problems: readonly AnnotationProblem[];
}

const MAX_WAITING = 100;
/** The API server refuses longer ones (core/v1 validation). */
const MAX_MESSAGE = 1024;
const WARN_MS = 300_000;

export class EventWriter {
  readonly #api: Api;
  readonly #node: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #throttle: Throttle;
  readonly #waiting: Complaint[] = [];
  #writing = false;

  constructor(api: Api, node: string, clock: Clock, log: Log, signal: AbortSignal) {
    this.#api = api;
    this.#node = node;
    this.#clock = clock;
    this.#log = log;
    this.#signal = signal;
    this.#throttle = new Throttle(WARN_MS, () => clock.monotonic());
  }

  /** Returns at once. */
  write(complaint: Complaint): void {
    if (this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push(complaint);
    if (!this.#writing) void this.#run();
  }

  async #run(): Promise<void> {
    this.#writing = true;
    for (let next = this.#waiting.shift(); next !== undefined && !this.#signal.aborted; next = this.#waiting.shift()) {
      let refusal: string;
      try {
        const path = `/api/v1/namespaces/${encodeURIComponent(next.namespace)}/events`;
        refusal = await this.#api.create(path, this.#event(next), this.#signal);
      } catch (error) {
        refusal = errorText(error);
      }
      if (refusal !== "" && !this.#signal.aborted && this.#throttle.pass("event") >= 0)
        this.#log.warn(
          { namespace: next.namespace, pod: next.pod, reason: refusal },
          'can\'t tell a pod\'s owner of a wrong annotation: the ClusterRole must allow the verb "create" on the resource "events", or set kubernetes.events to false',
        );
    }
    this.#writing = false;
  }

  #event({ namespace, pod, uid, problems }: Complaint): unknown {
    const message = problems
      .map(({ annotation, message }) => `annotation ${annotation} is ignored: ${message}`)
      .join("; ");
    const now = isoTime(this.#clock.wall());
    // The same complaint about the same pod is the same event, which the server then has already.
    const name = createHash("sha256").update(`${uid}\n${message}`).digest("hex").slice(0, 16);
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${pod.slice(0, 200)}.${name}`, namespace },
      involvedObject: { apiVersion: "v1", kind: "Pod", namespace, name: pod, uid },
      type: "Warning",
      reason: "LogAnnotationIgnored",
      message: message.slice(0, MAX_MESSAGE),
      source: { component: "tailrace", host: this.#node },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
  }
}
