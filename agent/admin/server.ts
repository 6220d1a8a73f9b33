/**
 * The two listeners: /metrics, /healthz and /readyz for the cluster, and what shows log content or names for local eyes
 * only. The latter refuses foreign Host and Origin headers, so that no web page can read it through a browser.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { errorText, FatalError } from "../errors.ts";
import type { Status } from "./status.ts";

export interface AdminSources {
  metrics(): Promise<string>;
  readonly contentType: string;
  /** Why the agent is stuck; "" when it is not. */
  health(): string;
  /** Why it is not ready; "" when it is. */
  ready(): string;
  status(): Status;
}

type Route = (response: ServerResponse) => void | Promise<void>;

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
    try {
      const ui = await listen(
        "admin.uiListen",
        addresses.uiListen,
        { "/api/v1/status": (response) => send(response, 200, "application/json", JSON.stringify(sources.status())) },
        isLocal,
      );
      return new AdminServer(admin, ui);
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
  allowed: (request: IncomingMessage) => boolean = () => true,
): Promise<Server> {
  const server = createServer((request, response) => {
    const route = routes[(request.url ?? "").split("?")[0] ?? ""];
    if (!allowed(request)) send(response, 403, "text/plain", "only for local eyes: use kubectl port-forward\n");
    else if (route === undefined)
      send(response, 404, "text/plain", `not found; there are ${Object.keys(routes).join(", ")}\n`);
    else if (request.method !== "GET" && request.method !== "HEAD") send(response, 405, "text/plain", "GET only\n");
    else
      void (async () => route(response))().catch((error: unknown) =>
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

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "content-type": type,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
}

const LOCAL = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/;

/** A page elsewhere can make a browser ask, but not under a local name and origin. */
function isLocal({ headers }: IncomingMessage): boolean {
  const { host = "", origin } = headers;
  return LOCAL.test(host) && (origin === undefined || LOCAL.test(origin.replace(/^https?:\/\//, "")));
}
