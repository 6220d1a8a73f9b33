/**
 * An API server on loopback that lists and watches as the real one does (seen with kube-apiserver 1.34) and misbehaves on
 * script: compaction, hang-ups, silence, refusals. Holds pods and namespaces; knows nothing of what is not asked for here.
 * More than 300 lines: one server, whose answers depend on one history.
 */
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { KubernetesObject } from "@kubernetes/client-node";
import { tlsFile } from "./tls.ts";

type Resource = "pods" | "namespaces";

export interface FakeObject extends KubernetesObject {
  spec?: { nodeName?: string; [key: string]: unknown };
  status?: { [key: string]: unknown };
}

interface Change {
  readonly resource: Resource;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly version: number;
  readonly object: FakeObject;
}

interface Watch {
  readonly resource: Resource;
  readonly query: URLSearchParams;
  readonly response: ServerResponse;
  readonly metadataOnly: boolean;
  deaf: boolean;
}

export interface Asked {
  readonly verb: "list" | "watch";
  readonly resource: Resource;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  /** CN of the client's certificate. */
  readonly certificate: string;
}

export class ApiServer {
  readonly asked: Asked[] = [];
  /** Events that were created; refused while `eventsForbidden`. */
  readonly events: Record<string, unknown>[] = [];
  eventsForbidden = false;
  /** Bearer token that it takes; "" lets everyone in. */
  token = "";
  pageObjects = 500;
  /** While set, lists wait for it. */
  listGate: Promise<void> | undefined;
  /** Whether a version that was compacted away is answered with status 410, and not by an event. */
  goneAsStatus = false;
  /** Called with each request before it is answered. */
  onAsked: ((asked: Asked) => void) | undefined;
  readonly #tls: boolean;
  readonly #objects: Record<Resource, Map<string, FakeObject>> = { pods: new Map(), namespaces: new Map() };
  readonly #watches = new Set<Watch>();
  readonly #refusals: Record<"list" | "watch", { status: number; retryAfterSeconds: number | undefined }[]> = {
    list: [],
    watch: [],
  };
  readonly #forbidden = new Set<string>();
  /** Snapshots that a `continue` goes on with. */
  readonly #snapshots = new Map<string, { version: number; rest: FakeObject[] }>();
  #history: Change[] = [];
  #version = 1000;
  #compactedAt = 0;
  #server: Server | undefined;
  #port = 0;

  constructor(tls = false) {
    this.#tls = tls;
  }

  get url(): string {
    return `${this.#tls ? "https" : "http"}://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** Watches that are open and hear what happens. */
  get watches(): number {
    return [...this.#watches].filter(({ deaf }) => !deaf).length;
  }

  count(verb: "list" | "watch", resource: Resource = "pods"): number {
    return this.asked.filter((asked) => asked.verb === verb && asked.resource === resource).length;
  }

  /** Listens; at the same port again after `stop`. */
  async start(): Promise<void> {
    const answer = (request: IncomingMessage, response: ServerResponse) => void this.#answer(request, response);
    const file = (name: Parameters<typeof tlsFile>[0]) => readFileSync(tlsFile(name));
    const server = this.#tls
      ? createHttpsServer(
          {
            cert: file("server.pem"),
            key: file("server.key"),
            ca: file("ca.pem"),
            requestCert: true,
            rejectUnauthorized: false,
          },
          answer,
        )
      : createHttpServer(answer);
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Refuses connections and breaks those that are open. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** Adds or replaces an object. */
  apply(resource: Resource, object: FakeObject): void {
    const uid = object.metadata?.uid ?? "";
    const type = this.#objects[resource].has(uid) ? "MODIFIED" : "ADDED";
    const version = ++this.#version;
    const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    this.#objects[resource].set(uid, stored);
    this.#publish({ resource, type, version, object: stored });
  }

  delete(resource: Resource, uid: string): void {
    const object = this.#objects[resource].get(uid);
    if (object === undefined) return;
    this.#objects[resource].delete(uid);
    const version = ++this.#version;
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    this.#publish({ resource, type: "DELETED", version, object: last });
  }

  /** Tells open watches the newest version, as the real one does about once a minute. */
  bookmark(): void {
    for (const watch of this.#watches)
      if (!watch.deaf)
        this.#write(watch, "BOOKMARK", {
          metadata: { resourceVersion: String(this.#version), creationTimestamp: null },
        });
  }

  /** Forgets all history: a watch or a `continue` from before now has expired. */
  compact(): void {
    this.#compactedAt = this.#version;
    this.#history = [];
    this.#snapshots.clear();
  }

  /** Moves the versions on, as changes of other nodes' pods do. */
  passTime(): void {
    this.#version += 100;
  }

  /** Ends open watches: cleanly, or by breaking the connection, also in the middle of an event. */
  endWatches(how: "cleanly" | "abruptly" | "inside an event"): void {
    for (const { response } of this.#watches)
      if (how === "cleanly") response.end();
      else {
        if (how === "inside an event") response.write('{"type":"MODIFIED","object":{"metadata":{"uid":"');
        setImmediate(() => response.destroy());
      }
    this.#watches.clear();
  }

  /** Open watches hear nothing from now on, and nobody tells them: a half-open connection. */
  deafenWatches(): void {
    for (const watch of this.#watches) watch.deaf = true;
  }

  /** Sends a line to open watches as it is. */
  sendLine(line: string): void {
    for (const { response } of this.#watches) response.write(`${line}\n`);
  }

  /** The next so many requests of a verb are refused. */
  refuse(verb: "list" | "watch", status: number, options: { times?: number; retryAfterSeconds?: number } = {}): void {
    const { times = 1, retryAfterSeconds } = options;
    for (let i = 0; i < times; i++) this.#refusals[verb].push({ status, retryAfterSeconds });
  }

  forbid(verb: "list" | "watch", resource: Resource): void {
    this.#forbidden.add(`${verb} ${resource}`);
  }

  allowAll(): void {
    this.#forbidden.clear();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url ?? "/", "http://server");
    if (request.method === "POST" && /^\/api\/v1\/namespaces\/[^/]+\/events$/.test(pathname)) {
      if (this.eventsForbidden) return fail(response, 403, "events is forbidden");
      let body = "";
      for await (const piece of request) body += String(piece);
      this.events.push(JSON.parse(body) as Record<string, unknown>);
      response.writeHead(201, { "content-type": "application/json" }).end(body);
      return;
    }
    const resource = /^\/api\/v1\/(pods|namespaces)$/.exec(pathname)?.[1] as Resource | undefined;
    if (resource === undefined) return fail(response, 404, "the server could not find the requested resource");
    const verb = query.has("watch") ? "watch" : "list";
    const socket = request.socket as { getPeerCertificate?: () => { subject?: { CN?: string } } };
    const certificate = socket.getPeerCertificate?.().subject?.CN ?? "";
    const asked = { verb, resource, query, headers: request.headers, certificate } as const;
    this.asked.push(asked);
    this.onAsked?.(asked);

    const { authorization } = request.headers;
    if (this.token !== "" && authorization !== undefined && authorization !== `Bearer ${this.token}`)
      return fail(response, 401, "Unauthorized");
    if (this.#forbidden.has(`${verb} ${resource}`) || (this.token !== "" && authorization === undefined))
      return fail(
        response,
        403,
        `${resource} is forbidden: User "agent" cannot ${verb} resource "${resource}" in API group "" at the cluster scope`,
      );
    const refusal = this.#refusals[verb].shift();
    if (refusal !== undefined) return fail(response, refusal.status, "as scripted", refusal.retryAfterSeconds);
    const metadataOnly = (request.headers.accept ?? "").includes("as=PartialObjectMetadata");
    if (verb === "watch") this.#watch(resource, query, response, metadataOnly);
    else await this.#list(resource, query, response, metadataOnly);
  }

  async #list(
    resource: Resource,
    query: URLSearchParams,
    response: ServerResponse,
    metadataOnly: boolean,
  ): Promise<void> {
    await this.listGate;
    const token = query.get("continue");
    if (token !== null && query.has("resourceVersion"))
      return fail(response, 400, "specifying resource version is not allowed when using continue");
    const snapshot =
      token === null
        ? {
            version: this.#version,
            rest: [...this.#objects[resource].values()].filter((object) => matches(object, query)),
          }
        : this.#snapshots.get(token);
    if (snapshot === undefined) return fail(response, 410, "The provided continue parameter is too old");
    const limit = Math.min(Number(query.get("limit") ?? 500), this.pageObjects);
    const items = snapshot.rest.slice(0, limit);
    const rest = snapshot.rest.slice(limit);
    const next = rest.length > 0 ? `${snapshot.version}:${rest.length}` : undefined;
    if (next !== undefined) this.#snapshots.set(next, { version: snapshot.version, rest });
    const metadata = {
      resourceVersion: String(snapshot.version),
      ...(next !== undefined && { continue: next, remainingItemCount: rest.length }),
    };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ metadata, items: items.map((object) => (metadataOnly ? strip(object) : object)) }));
  }

  #watch(resource: Resource, query: URLSearchParams, response: ServerResponse, metadataOnly: boolean): void {
    const from = Number(query.get("resourceVersion") ?? 0);
    const expired = from < this.#compactedAt;
    if (expired && this.goneAsStatus) {
      fail(response, 410, `too old resource version: ${from}`);
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    const watch: Watch = { resource, query, response, metadataOnly, deaf: false };
    if (expired) {
      this.#write(watch, "ERROR", {
        kind: "Status",
        code: 410,
        reason: "Expired",
        message: `too old resource version: ${from}`,
      } as FakeObject);
      response.end();
      return;
    }
    this.#watches.add(watch);
    const timer = setTimeout(() => !watch.deaf && response.end(), Number(query.get("timeoutSeconds") ?? 1800) * 1000);
    response.once("close", () => {
      clearTimeout(timer);
      this.#watches.delete(watch);
    });
    for (const change of this.#history) if (change.version > from) this.#send(watch, change);
  }

  #publish(change: Change): void {
    this.#history.push(change);
    for (const watch of this.#watches) this.#send(watch, change);
  }

  #send(watch: Watch, { resource, type, object }: Change): void {
    if (!watch.deaf && watch.resource === resource && matches(object, watch.query)) this.#write(watch, type, object);
  }

  #write({ response, metadataOnly }: Watch, type: string, object: object): void {
    response.write(`${JSON.stringify({ type, object: metadataOnly ? strip(object) : object })}\n`);
  }
}

function matches(object: FakeObject, query: URLSearchParams): boolean {
  const [field, value] = (query.get("fieldSelector") ?? "").split("=");
  return field !== "spec.nodeName" || object.spec?.nodeName === value;
}

/** What PartialObjectMetadata leaves; a Status is passed as it is. */
function strip(object: FakeObject): FakeObject {
  if (object.kind === "Status") return object;
  return {
    kind: "PartialObjectMetadata",
    apiVersion: "meta.k8s.io/v1",
    ...(object.metadata && { metadata: object.metadata }),
  };
}

function fail(response: ServerResponse, code: number, message: string, retryAfterSeconds?: number): void {
  const headers = retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) };
  response.writeHead(code, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", code, message }));
}
