/**
 * A gate before a server that has no security of its own: TLS, and basic authentication whose password can change.
 * Requests and answers pass through as they are.
 */
import { readFileSync } from "node:fs";
import { request as ask, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { listen } from "../support/http.ts";
import { tlsFile } from "../support/tls.ts";

export class Gate {
  readonly #server: Server;
  readonly #port: number;
  #authorization: string;
  url = "";

  private constructor(port: number, password: string) {
    this.#port = port;
    this.#authorization = basic(password);
    this.#server = createServer(
      { key: readFileSync(tlsFile("server.key")), cert: readFileSync(tlsFile("server.pem")) },
      (request, response) => this.#pass(request, response),
    );
  }

  /** @param port of the server on loopback. @param password of the user `agent`. */
  static async open(port: number, password: string): Promise<Gate> {
    const gate = new Gate(port, password);
    gate.url = `https://127.0.0.1:${await listen(gate.#server)}`;
    return gate;
  }

  set password(password: string) {
    this.#authorization = basic(password);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    if (request.headers.authorization !== this.#authorization) {
      request.resume();
      response.writeHead(401, { "www-authenticate": 'Basic realm="gate"' }).end("Unauthorized");
      return;
    }
    const { method, url, headers } = request;
    const { authorization: _, ...rest } = headers;
    const onward = ask({ host: "127.0.0.1", port: this.#port, method, path: url, headers: rest }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end("the server is away");
    });
    request.pipe(onward);
  }
}

function basic(password: string): string {
  return `Basic ${Buffer.from(`agent:${password}`).toString("base64")}`;
}
