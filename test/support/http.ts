/** Options of outputs that speak HTTP, and servers for them. */
import type { Server } from "node:net";
import type { Clock } from "../../agent/clock.ts";
import type { AuthOptions, SecretValue } from "../../outputs/auth.ts";
import type { HttpOptions } from "../../outputs/http.ts";

export interface HttpVariations {
  readonly concurrency?: number;
  readonly headers?: Readonly<Record<string, SecretValue>>;
  readonly auth?: AuthOptions;
  readonly tls?: Partial<HttpOptions["tls"]>;
  readonly clock?: Clock;
}

export const secret = (text: string): SecretValue => ({ value: () => text });

export function httpOptions(endpoints: readonly string[], more: HttpVariations = {}): HttpOptions {
  const { concurrency = 2, headers = {}, auth = {}, tls } = more;
  return {
    endpoints,
    request: { timeout: 60_000, concurrency, headers },
    tls: { caFile: "", certFile: "", keyFile: "", serverName: "", insecureSkipVerify: false, ...tls },
    auth,
  };
}

/** @param port 0: any. @returns the port on loopback. */
export async function listen(server: Server, port = 0, host = "127.0.0.1"): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
