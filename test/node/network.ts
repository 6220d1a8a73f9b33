/**
 * Addresses of the test node. They are of the range kept for benchmarks (RFC 2544), lie on the loopback device of a
 * network namespace that has no way out, and so meet nobody else's.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./daemon.ts";

/** The node's name. */
export const NODE = "test-node";
/** The first address of the range of services is that of the service `kubernetes`, which pods find the server by. */
export const SERVICES = "198.18.0.0/24";
export const API_IP = "198.18.0.1";
export const API_URL = `https://${API_IP}:443`;
/** Where the stand-in for Elasticsearch listens. */
export const SINK_IP = "198.18.0.2";
export const NODE_IP = "198.18.0.3";
const PODS = "198.18.1.0/24";

/** Gives the namespace its addresses and the plugins their configuration. @returns the plugins' folder. */
export async function makeNetwork(folder: string): Promise<string> {
  await run("ip", ["link", "set", "lo", "up"]);
  for (const address of [API_IP, SINK_IP, NODE_IP]) await run("ip", ["address", "add", `${address}/32`, "dev", "lo"]);
  const configuration = join(folder, "cni");
  mkdirSync(configuration);
  writeFileSync(
    join(configuration, "10-test.conflist"),
    JSON.stringify({
      cniVersion: "0.4.0",
      name: "test",
      plugins: [
        {
          type: "bridge",
          bridge: "test0",
          isGateway: true,
          ipam: { type: "host-local", ranges: [[{ subnet: PODS }]], routes: [{ dst: "0.0.0.0/0" }] },
        },
      ],
    }),
  );
  return configuration;
}
