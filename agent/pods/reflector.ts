/**
 * Reflector: keeps a copy of one collection of the API server up to date, by list and watch, for as long as it runs.
 *
 * Whatever goes wrong, it tries again. A watch that ends or breaks goes on from the last resourceVersion; where that one
 * has expired (410), all is listed anew and what has vanished meanwhile is removed. While the server can't be reached
 * the copy stays as it is. Objects are handed on one by one; of them it keeps only the uids.
 */
import type { KubernetesObject } from "@kubernetes/client-node";
import split2 from "split2";
import type { Clock } from "../clock.ts";
import { errorText } from "../errors.ts";
import { type Log, Throttle } from "../log.ts";
import { type Api, ApiError, type Collection, type Status } from "./api.ts";
import { Pause, within } from "./pause.ts";

export interface Listener<T> {
  /** An object is new or has changed, or was listed again as it was. */
  upsert(object: T): void;
  remove(uid: string): void;
  /** A list is complete, and what was not in it has been removed. */
  synced(): void;
}

/** All in milliseconds. */
export interface Pace {
  /** The server is asked to end a watch after about this long. */
  readonly watchMs: number;
  /** A watch that outlives that by this much hangs on a dead connection. */
  readonly graceMs: number;
  /** One page of a list takes at most this long. */
  readonly listMs: number;
  /** Ceiling of the first back-off, doubled for each further one. */
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  /** The longest back-off while somebody waits. */
  readonly hurriedMs: number;
  /** A missing right is looked for again after this long, or up to twice as long. */
  readonly forbiddenMs: number;
  /** A watch that lasted this long was a good one. */
  readonly steadyMs: number;
}

const PACE: Pace = {
  watchMs: 290_000,
  graceMs: 30_000,
  listMs: 120_000,
  initialDelayMs: 1000,
  maxDelayMs: 30_000,
  hurriedMs: 2000,
  forbiddenMs: 30_000,
  steadyMs: 5000,
};

const PAGE_OBJECTS = "500";
/** Far above the largest object that etcd takes (1.5 MiB). In UTF-16 units. */
const MAX_EVENT_LENGTH = 16 * 1024 * 1024;
/**
 * Bookmarks come about once a minute. A watch that hears nothing for this long may follow a version that the server
 * has never had (its etcd was restored from a backup): that one is answered with 200 and silence.
 */
const SILENCE_MS = 180_000;
const LOG_AGAIN_MS = 600_000;
/** A server that has just started refuses all until it has read its roles: kube-apiserver 1.34 for some 50 ms. */
const PASSING_REFUSALS = 3;

interface List<T> {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[] | null;
}

export class Reflector<T extends KubernetesObject> {
  /** Events of watches, bookmarks apart. */
  events = 0;
  /** Watches that followed another one. */
  restarts = 0;
  /** The server says that the agent lacks the right to list or watch. */
  forbidden = false;
  readonly #api: Api;
  readonly #collection: Collection;
  readonly #listener: Listener<T>;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #pace: Pace;
  readonly #throttle: Throttle;
  readonly #pause: Pause;
  /** Objects that the listener knows. */
  #uids = new Set<string>();
  /** Where the watch goes on; "" when a list is due. */
  #version = "";
  #everListed = false;
  #everWatched = false;
  /** A watch was answered, so all rights were there. */
  #everOpened = false;
  /** Missing rights, one after the other. */
  #refusals = 0;
  /** When the server began to answer the current watch; Infinity while it has not. */
  #openedAt = Number.POSITIVE_INFINITY;
  #troubled = false;

  constructor(
    api: Api,
    collection: Collection,
    listener: Listener<T>,
    clock: Clock,
    log: Log,
    pace: Partial<Pace> = {},
  ) {
    this.#api = api;
    this.#collection = collection;
    this.#listener = listener;
    this.#clock = clock;
    this.#log = log.child({ resource: collection.resource });
    this.#pace = { ...PACE, ...pace };
    this.#pause = new Pause(this.#pace.hurriedMs);
    this.#throttle = new Throttle(LOG_AGAIN_MS, () => clock.monotonic());
  }

  /** Returns once the signal aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { initialDelayMs, maxDelayMs } = this.#pace;
    let failures = 0;
    while (!signal.aborted) {
      this.#openedAt = Number.POSITIVE_INFINITY;
      let askedMs = 0;
      try {
        if (this.#version === "") {
          await this.#list(signal);
          continue;
        }
        await this.#watch(signal);
      } catch (error) {
        if (signal.aborted) return;
        askedMs = this.#explain(error);
      }
      // Only a watch that lasted is a success: lists that work between watches that end at once must not spin.
      failures = this.#steady ? 0 : failures + 1;
      const ceilingMs = failures === 0 ? 0 : Math.min(maxDelayMs, initialDelayMs * 2 ** Math.min(failures - 1, 30));
      await this.#pause.last(askedMs, ceilingMs * Math.random(), signal);
    }
  }

  /** Somebody waits for an object that is not known. Cheap, and to be called for as long as that is so. */
  hurry(): void {
    this.#pause.hurry();
  }

  get #steady(): boolean {
    return this.#clock.monotonic() - this.#openedAt >= this.#pace.steadyMs;
  }

  async #list(signal: AbortSignal): Promise<void> {
    const uids = new Set<string>();
    let version = "";
    let next = "";
    do {
      const query = this.#query({ limit: PAGE_OBJECTS });
      if (next !== "") query.set("continue", next);
      // The first list may come from the server's cache; a later one must be newer than the version that expired.
      else if (!this.#everListed) query.set("resourceVersion", "0");
      const page = await within(this.#pace.listMs, signal, async (signal) => {
        const { body } = await this.#api.get(this.#collection, "list", query, signal);
        return parse<List<T>>(await body.text(), "the answer to a list");
      });
      version = page?.metadata?.resourceVersion ?? "";
      if (version === "")
        throw new ApiError(0, "the answer to a list has no version; is it the API server that answers?");
      for (const object of page.items ?? []) {
        uids.add(uidOf(object));
        this.#upsert(object);
      }
      next = page.metadata?.continue ?? "";
    } while (next !== "");
    for (const uid of this.#uids) if (!uids.has(uid)) this.#listener.remove(uid);
    this.#uids = uids;
    this.#version = version;
    this.#everListed = true;
    this.#listener.synced();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { watchMs, graceMs } = this.#pace;
    // Jitter, so that agents that started together don't come back together for ever.
    const timeoutMs = watchMs * (0.9 + 0.2 * Math.random());
    const before = this.#version;
    if (this.#everWatched) this.restarts++;
    this.#everWatched = true;
    const query = this.#query({
      watch: "1",
      allowWatchBookmarks: "true",
      resourceVersion: before,
      timeoutSeconds: String(Math.ceil(timeoutMs / 1000)),
    });
    try {
      await within(timeoutMs + graceMs, signal, async (signal) => {
        const { body } = await this.#api.get(this.#collection, "watch", query, signal);
        this.#opened();
        const lines = split2({ maxLength: MAX_EVENT_LENGTH });
        body.on("error", (error) => lines.destroy(error));
        body.pipe(lines);
        try {
          for await (const line of lines) this.#take(line);
        } finally {
          body.destroy();
        }
      });
      this.#log.debug({ version: this.#version }, "the watch ended as usual");
    } finally {
      const silentMs = this.#clock.monotonic() - this.#openedAt;
      if (this.#version === before && silentMs >= SILENCE_MS) this.#version = "";
    }
  }

  #opened(): void {
    this.#openedAt = this.#clock.monotonic();
    this.#everOpened = true;
    this.#refusals = 0;
    this.forbidden = false;
    if (this.#troubled) this.#log.info({}, "the API server can be watched again");
    this.#troubled = false;
  }

  #take(line: string): void {
    const { type, object } = parse<{ type?: string; object?: T & Status }>(line, "an event of the watch");
    if (type === "ERROR")
      throw new ApiError(
        object?.code ?? 0,
        object?.message ?? "the watch failed",
        object?.details?.retryAfterSeconds ?? 0,
      );
    if (object === undefined) throw new ApiError(0, "an event of the watch has no object");
    if (type === "ADDED" || type === "MODIFIED") this.#upsert(object);
    else if (type === "DELETED") {
      const uid = uidOf(object);
      this.#uids.delete(uid);
      this.#listener.remove(uid);
    }
    if (type !== "BOOKMARK") this.events++;
    this.#version = object.metadata?.resourceVersion ?? this.#version;
  }

  #upsert(object: T): void {
    this.#uids.add(uidOf(object));
    this.#listener.upsert(object);
  }

  #query(parameters: Record<string, string>): URLSearchParams {
    const { fieldSelector } = this.#collection;
    return new URLSearchParams(fieldSelector === "" ? parameters : { ...parameters, fieldSelector });
  }

  /** Says what went wrong and decides how to go on. @returns milliseconds to wait beside the back-off. */
  #explain(error: unknown): number {
    const { status, retryAfterMs } = error instanceof ApiError ? error : { status: -1, retryAfterMs: 0 };
    const fields = { ...(status > 0 && { status }), error: errorText(error) };
    if (status === 410) {
      this.#version = "";
      this.#log.debug(fields, "the watch's version has expired; everything is listed again");
      return 0;
    }
    if (status === -1 && this.#steady) {
      this.#log.debug(fields, "the watch broke off; it goes on where it was");
      return 0;
    }
    // Refusals that pass leave the version valid; after any other one a list tells where we are.
    if (status !== -1 && status !== 401 && status !== 429 && status !== 503 && status !== 504) this.#version = "";
    this.#refusals = status === 403 ? this.#refusals + 1 : 0;
    this.forbidden = this.#refusals > (this.#everOpened ? PASSING_REFUSALS : 0);
    this.#troubled = true;
    const swallowed = this.#throttle.pass(`${status} ${this.forbidden}`);
    if (swallowed >= 0)
      this.#log[this.forbidden ? "error" : "warn"](
        { ...fields, ...(swallowed > 0 && { swallowed }) },
        "metadata can't be had from the API server; logs are shipped all the same, and it is tried again",
      );
    return Math.max(retryAfterMs, this.forbidden ? this.#pace.forbiddenMs * (1 + Math.random()) : 0);
  }
}

function parse<R>(text: string, what: string): R {
  try {
    return JSON.parse(text) as R;
  } catch {
    throw new ApiError(0, `${what} is not valid JSON; something between agent and API server may have cut it`);
  }
}

function uidOf(object: KubernetesObject): string {
  const uid = object?.metadata?.uid ?? "";
  if (uid === "") throw new ApiError(0, "an object from the API server has no uid");
  return uid;
}
