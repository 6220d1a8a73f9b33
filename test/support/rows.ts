/** Batches made by hand. */
import { Rows } from "../../agent/batch.ts";
import type { Origin } from "../../agent/pods/origin.ts";

export const origin: Origin = {
  path: "/var/log/containers/web-0_shop_app-abc.log",
  namespace: "shop",
  pod: "web-0",
  uid: "0e7a3c52-91b4-4f0e-8c65-2f6d1b9a7e10",
  container: "app",
  restart: 0,
  containerId: "ab".repeat(32),
  cluster: "",
  node: "node-a",
  ip: "",
  image: "",
  runtime: "",
  workloadKind: "",
  workload: "",
  labels: {},
  annotations: {},
  namespaceLabels: {},
};

/** One row a message; offsets 100 apart, times a second apart, raw size = message + 40. */
export function rowsOf(messages: readonly string[], of: Origin = origin): Rows {
  const rows = new Rows();
  rows.reset(of, { key: "0123456789abcdef" });
  messages.forEach((message, i) => {
    const bytes = Buffer.from(message);
    rows.reserve(bytes.length);
    bytes.copy(rows.bytes, rows.used);
    const row = rows.add();
    rows.from[row] = rows.used;
    rows.used += bytes.length;
    rows.to[row] = rows.used;
    rows.offset[row] = i * 100;
    rows.seconds[row] = 1_790_000_000 + i;
    rows.nanos[row] = 123_456_789;
    rows.digits[row] = 9;
    rows.flags[row] = 0;
    rows.size[row] = bytes.length + 40;
  });
  return rows;
}
