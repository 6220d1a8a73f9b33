/**
 * The two listeners: /metrics, /healthz and /readyz for the cluster, and what shows log content or names for local eyes
 * only. The latter refuses foreign Host and Origin headers and requests that a browser says come from another site, so
 * that no web page can read it through a browser, whatever its name resolves to.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { errorText, FatalError } from "../errors.ts";
import { type Asset, PAGE } from "./page/assets.ts";
import type { Status } from "./status.ts";
import { TAP_FILTERS, type Tap, type TapFilter } from "./tap.ts";

export interface AdminSources {
  metrics(): Promise<string>;
  readonly contentType: string;
  /** Why the agent is stuck; "" when it is not. */
  health(): string;
  /** Why it is not ready; "" when it is. */
  ready(): string;
  status(): Status;
  readonly tap: Tap;
}

type Route = (response: ServerResponse, query: URLSearchParams, method: string) => void | Promise<void>;
/** @returns why a request is refused; "" when it is not. */
type Guard = (request: IncomingMessage, path: string) => string;

export class AdminServer {
  readonly #servers: readonly Server[];
  readonly address: string;
  readonly uiAddress: string;

  private constructor(admin: Server, ui: Server) {
    this.#servers = [admin, ui];
    this.address = addressOf(admin);
    this.uiAddress = addressOf(ui);
  }

  /** @throws FatalError when an address can't be listened on. */
  static async start(
    addresses: { readonly listen: string; readonly uiListen: string },
    sources: AdminSources,
  ): Promise<AdminServer> {
    const admin = await listen("admin.listen", addresses.listen, {
      "/metrics": async (response) => send(response, 200, sources.contentType, await sources.metrics()),
      "/healthz": (response) => verdict(response, sources.health()),
      "/readyz": (response) => verdict(response, sources.ready()),
    });
    const routes: Record<string, Route> = {
      "/api/v1/status": (response) => send(response, 200, "application/json", JSON.stringify(sources.status())),
      "/api/v1/tap": (response, query, method) => watch(response, query, method, sources.tap),
    };
    for (const [path, asset] of Object.entries(PAGE)) routes[path] = (response) => show(response, asset);
    try {
      return new AdminServer(admin, await listen("admin.uiListen", addresses.uiListen, routes, local));
    } catch (error) {
      admin.close();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
  }
}

function listen(
  key: string,
  address: string,
  routes: Readonly<Record<string, Route>>,
  guard: Guard = () => "",
): Promise<Server> {
  const server = createServer((request, response) => {
    // Nobody asks for the time here, and to write it loads the time zones: 0.8 MB.
    response.sendDate = false;
    const { url = "", method = "" } = request;
    const [path = "", query] = url.split("?", 2);
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    const refusal = guard(request, path);
    if (refusal !== "") send(response, 403, "text/plain", `${refusal}\n`);
    else if (route === undefined)
      send(response, 404, "text/plain", `not found; there are ${Object.keys(routes).join(", ")}\n`);
    else if (method !== "GET" && method !== "HEAD") send(response, 405, "text/plain", "GET only\n");
    else
      void (async () => route(response, new URLSearchParams(query), method))().catch((error: unknown) =>
        send(response, 500, "text/plain", `${errorText(error)}\n`),
      );
  });
  const at = address.lastIndexOf(":");
  const host = address.slice(0, at).replace(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    server.once("error", (error) =>
      reject(new FatalError(`can't listen on ${address} (${errorText(error)}): set ${key} to a free address`)),
    );
    server.listen(Number(address.slice(at + 1)), host, () => resolve(server));
  });
}

function addressOf(server: Server): string {
  const { address, port, family } = server.address() as AddressInfo;
  return `${family === "IPv6" ? `[${address}]` : address}:${port}`;
}

function verdict(response: ServerResponse, reason: string): void {
  send(response, reason === "" ? 200 : 503, "text/plain", `${reason === "" ? "ok" : reason}\n`);
}

/** Records as they pass, until the other side goes. */
function watch(response: ServerResponse, query: URLSearchParams, method: string, tap: Tap): void {
  const names: readonly string[] = TAP_FILTERS;
  const wrong = [...query.keys()].find((name) => !names.includes(name));
  const filter: TapFilter = Object.fromEntries(query);
  if (wrong !== undefined) send(response, 400, "text/plain", `no filter ${wrong}; there are ${names.join(", ")}\n`);
  else if (method === "HEAD") send(response, 200, "application/x-ndjson", "");
  else if (!tap.open(filter, response))
    send(response, 503, "text/plain", "too many are watching already; close another tap first\n");
  else {
    response.writeHead(200, headersOf("application/x-ndjson"));
    response.flushHeaders();
  }
}

function show(response: ServerResponse, { type, text }: Asset): void {
  response.setHeader(
    "content-security-policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  );
  send(response, 200, type, text);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, headersOf(type));
  response.end(body);
}

function headersOf(type: string): Record<string, string> {
  return {
    "content-type": type,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
  };
}

const LOCAL = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/;

/** A page elsewhere can make a browser ask, but not under a local name, and not without its telling. */
function local({ headers }: IncomingMessage, path: string): string {
  const { host = "", origin } = headers;
  if (!LOCAL.test(host)) return "only for local eyes, under a local name: use kubectl port-forward";
  if (origin !== undefined && origin !== `http://${host}`) return "not for pages of other origins";
  const site = headers["sec-fetch-site"];
  // A link to the page itself may be followed from anywhere; it holds nothing until its own script asks.
  if (path.startsWith("/api/") && site !== undefined && site !== "same-origin" && site !== "none")
    return "not for pages of other sites";
  return "";
}
