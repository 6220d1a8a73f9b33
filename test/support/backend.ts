/**
 * A backend on loopback that takes requests over HTTP and misbehaves on script. What it makes of a request is what each
 * fake adds: `answer`, as strict as the real server was seen to be.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { listen } from "./http.ts";

/** What happens instead of the usual answer to one request. */
export type Misbehaviour =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly body?: string;
      readonly headers?: Record<string, string>;
    }
  | { readonly kind: "reset-before-reading" }
  | { readonly kind: "reset-before-answer" }
  /** Everything is stored, but the client never hears of it. */
  | { readonly kind: "store-and-reset" }
  /** The answer ends in its middle; where it has no body, in the middle of its headers. */
  | { readonly kind: "cut-answer" }
  /** The usual answer, but not before this. */
  | { readonly kind: "delay"; readonly until: Promise<unknown> }
  | { readonly kind: "hang" };

export interface BackendOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string;
  readonly port?: number;
  /** With `ca` clients must have a certificate too. */
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer; readonly ca?: string | Buffer };
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A request that was read, with its body as sent. */
export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export abstract class Backend {
  /** In the order of arrival. */
  readonly requests: Asked[] = [];
  /** Consumed one a request. */
  readonly script: Misbehaviour[] = [];
  /** Connections so far. */
  connections = 0;
  port = 0;
  readonly #options: BackendOptions;
  readonly #server: Server;

  constructor(options: BackendOptions) {
    this.#options = options;
    const { tls } = options;
    const handle = (request: IncomingMessage, response: ServerResponse): void => this.#handle(request, response);
    this.#server =
      tls === undefined
        ? createServer(handle)
        : createTlsServer(
            { ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: tls.ca !== undefined },
            handle,
          );
    this.#server.on("connection", () => this.connections++);
  }

  /** "close": the connection ends without a word. */
  protected abstract answer(asked: Asked): Answer | "close";

  async start(): Promise<this> {
    this.port = await listen(this.#server, this.#options.port, this.#options.host);
    return this;
  }

  get url(): string {
    const { tls, host = "127.0.0.1" } = this.#options;
    return `${tls === undefined ? "http" : "https"}://${host}:${this.port}`;
  }

  /** Ends kept connections that are idle, as a server does after a while. */
  closeIdle(): void {
    this.#server.closeIdleConnections();
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const next = this.script.shift();
    if (next?.kind === "reset-before-reading") return void request.socket.resetAndDestroy();
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const asked = { method, url, headers, body: Buffer.concat(chunks) };
      this.requests.push(asked);
      if (next?.kind === "hang") return;
      if (next?.kind === "reset-before-answer") return void request.socket.destroy();
      if (next?.kind === "status") {
        response.writeHead(next.status, { "content-type": "application/json", ...next.headers });
        response.end(next.body ?? "");
        return;
      }
      if (next?.kind === "delay") void next.until.then(() => finish(request, response, this.answer(asked), next));
      else finish(request, response, this.answer(asked), next);
    });
  }
}

function finish(
  { socket }: IncomingMessage,
  response: ServerResponse,
  answered: Answer | "close",
  next: Misbehaviour | undefined,
): void {
  if (answered === "close" || next?.kind === "store-and-reset") return void socket.destroy();
  const { status, text, headers } = answered;
  if (next?.kind === "cut-answer" && text === "") {
    socket.write(`HTTP/1.1 ${status} Cut\r\nDate: `, () => socket.destroy());
    return;
  }
  response.writeHead(status, { ...headers, ...(text === "" ? {} : { "content-length": Buffer.byteLength(text) }) });
  if (next?.kind === "cut-answer") response.write(text.slice(0, text.length / 2), () => socket.destroy());
  else response.end(text);
}
