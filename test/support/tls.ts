/** Certificates made for tests: a CA, a server's for 127.0.0.1 and localhost, a client's; valid for a century. */
import { fileURLToPath } from "node:url";

/** The file's path. */
export function tlsFile(name: "ca.pem" | "server.pem" | "server.key" | "client.pem" | "client.key"): string {
  return fileURLToPath(new URL(`tls/${name}`, import.meta.url));
}
