/** `tailrace demo`: the whole agent on sample pods in a temporary folder; no cluster, no backend, nothing left behind. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent } from "../agent.ts";
import { systemClock } from "../clock.ts";
import { loadConfig } from "../config/load.ts";
import { SampleNode } from "../demo/pods.ts";
import { FatalError } from "../errors.ts";
import { createLog } from "../log.ts";
import { signalled } from "./command.ts";

const EVERY_MS = 700;

export async function demo(): Promise<number> {
  const root = mkdtempSync(join(tmpdir(), "tailrace-demo-"));
  const stop = signalled();
  try {
    const file = join(root, "config.yaml");
    writeFileSync(file, configuration(root));
    const loaded = loadConfig(file, { env: {}, hostname: "demo-node", checkFiles: true });
    if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
    const node = new SampleNode(root, EVERY_MS);
    const agent = new Agent(loaded, process.env, systemClock, createLog(loaded.config.logLevel));
    try {
      await agent.start();
      const { admin, ui } = agent.addresses;
      process.stdout.write(
        [
          `Sample pods write to ${root}; these are their records as tailrace ships them.`,
          `  status   http://${ui}/  (the same as JSON: /api/v1/status)`,
          `  metrics  http://${admin}/metrics     health  http://${admin}/healthz`,
          "  Ctrl-C ends it and takes the folder away.\n\n",
        ].join("\n"),
      );
      await stop;
    } finally {
      node.stop();
    }
    await agent.stop();
    return 0;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    process.stderr.write(`tailrace: ${error.message}\n`);
    return 1;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function configuration(root: string): string {
  const path = (name: string): string => JSON.stringify(join(root, name));
  return `
nodeName: demo-node
dataDir: ${path("state")}
logLevel: warn
source:
  include: [${JSON.stringify(join(root, "containers", "*.log"))}]
  roots: [${path("")}]
kubernetes: { enabled: false }
outputs:
  - { name: screen, type: console, format: pretty, batch: { maxWait: 200ms } }
admin: { listen: "127.0.0.1:0", uiListen: "127.0.0.1:0" }
`;
}
