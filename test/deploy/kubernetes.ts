/**
 * Checks manifests against the Kubernetes API without a cluster: each document becomes a literal of its type in the
 * official client, which is generated from the API's own schemas, and the compiler looks at it. So a misspelt key, a
 * wrong type and a missing required field are errors. What the types can't say (quantities, names) is not checked.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

export type Manifest = Readonly<Record<string, unknown>> & { readonly apiVersion: string; readonly kind: string };

/** The client's type for each kind that we use. */
const TYPES: Readonly<Record<string, string>> = {
  "v1 Namespace": "V1Namespace",
  "v1 ServiceAccount": "V1ServiceAccount",
  "v1 ConfigMap": "V1ConfigMap",
  "rbac.authorization.k8s.io/v1 ClusterRole": "V1ClusterRole",
  "rbac.authorization.k8s.io/v1 ClusterRoleBinding": "V1ClusterRoleBinding",
  "apps/v1 DaemonSet": "V1DaemonSet",
};

export const REPOSITORY = join(import.meta.dirname, "..", "..");

/** @throws for YAML that is none, duplicate keys included. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).map((document) => {
    for (const problem of [...document.errors, ...document.warnings]) throw problem;
    return document.toJS() as Manifest;
  });
}

/** One compiler run for any number of texts. @returns the problems of each text, by its name. */
export function checkManifests(texts: Readonly<Record<string, string>>): Map<string, string[]> {
  const folder = mkdtempSync(join(tmpdir(), "tailrace-manifests-"));
  try {
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, `${name}.ts`), sourceOf(text));
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(compilation(Object.keys(texts))));
    const tsc = join(REPOSITORY, "node_modules", "typescript", "bin", "tsc");
    const { stdout, stderr, status } = spawnSync(process.execPath, [tsc, "-p", folder, "--pretty", "false"], {
      encoding: "utf8",
      cwd: folder,
    });
    const found = new Map(Object.keys(texts).map((name): [string, string[]] => [name, []]));
    let last: string[] | undefined;
    for (const line of stdout.split("\n")) {
      const [, name, message] = /^(\S+)\.ts\(\d+,\d+\): (error .*)/.exec(line) ?? [];
      if (name !== undefined && message !== undefined) {
        last = found.get(name);
        last?.push(message);
      } else if (line.startsWith(" ") && last !== undefined) last.push(`${last.pop()} ${line.trim()}`);
      else if (line !== "") throw new Error(`the compiler said: ${line}`);
    }
    const total = [...found.values()].flat().length;
    if ((status === 0) !== (total === 0)) throw new Error(`the compiler ended with ${status}: ${stdout}${stderr}`);
    return found;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function sourceOf(text: string): string {
  const constants = parseManifests(text).map((manifest, i) => {
    const type = TYPES[`${manifest.apiVersion} ${manifest.kind}`];
    // An unknown kind must not pass unseen.
    return `export const manifest${i}: ${type === undefined ? "never" : `k8s.${type}`} = ${JSON.stringify(manifest, undefined, 1)};`;
  });
  return `import type * as k8s from "@kubernetes/client-node";\n${constants.join("\n")}\n`;
}

function compilation(names: readonly string[]): object {
  const client = join(REPOSITORY, "node_modules", "@kubernetes", "client-node", "dist", "index.d.ts");
  return {
    compilerOptions: {
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck: true,
      types: [],
      target: "es2024",
      module: "nodenext",
      paths: { "@kubernetes/client-node": [client] },
    },
    files: names.map((name) => `${name}.ts`),
  };
}
