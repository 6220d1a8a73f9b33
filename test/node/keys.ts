/** The cluster's certificates and kubeconfig files, made anew for each run by openssl. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { API_IP, API_URL, NODE, NODE_IP, SINK_IP } from "./network.ts";

export interface Keys {
  readonly folder: string;
  /** Path of `NAME.pem`, `NAME.key`, `NAME.kubeconfig`. */
  path(name: string): string;
}

const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** Subject, and what else is in the certificate. */
const CERTIFICATES: Readonly<Record<string, readonly [string, string]>> = {
  apiserver: ["/CN=apiserver", `subjectAltName=IP:${API_IP},IP:127.0.0.1`],
  sink: ["/CN=elasticsearch", `subjectAltName=IP:${SINK_IP}`],
  "kubelet-server": ["/CN=kubelet", `subjectAltName=IP:${NODE_IP}`],
  admin: ["/O=system:masters/CN=admin", "extendedKeyUsage=clientAuth"],
  kubelet: [`/O=system:nodes/CN=system:node:${NODE}`, "extendedKeyUsage=clientAuth"],
};

export function makeKeys(folder: string): Keys {
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { stdio: "ignore" });
  openssl("req", "-x509", ...EC, "-keyout", path("ca.key"), "-out", path("ca.pem"), "-subj", "/CN=ca", "-days", "2");
  for (const [name, [subject, extension]] of Object.entries(CERTIFICATES)) {
    writeFileSync(path("extensions"), `${extension}\n`);
    openssl("req", "-new", ...EC, "-keyout", path(`${name}.key`), "-out", path(`${name}.csr`), "-subj", subject);
    const issuer = ["-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial", "-days", "2"];
    const files = ["-in", path(`${name}.csr`), "-out", path(`${name}.pem`), "-extfile", path("extensions")];
    openssl("x509", "-req", ...issuer, ...files);
  }
  openssl("genrsa", "-out", path("accounts.key"), "2048");
  openssl("rsa", "-in", path("accounts.key"), "-pubout", "-out", path("accounts.pem"));
  for (const name of ["admin", "kubelet"]) writeFileSync(path(`${name}.kubeconfig`), kubeconfig(path, name));
  return { folder, path };
}

function kubeconfig(path: (name: string) => string, name: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    contexts: [{ name: "test", context: { cluster: "test", user: name } }],
    clusters: [{ name: "test", cluster: { server: API_URL, "certificate-authority": path("ca.pem") } }],
    users: [{ name, user: { "client-certificate": path(`${name}.pem`), "client-key": path(`${name}.key`) } }],
  });
}
