/** Lines through a chain of processors, with their CPU measured: what the benches of processors share. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Rows } from "../../agent/batch.ts";
import { loadConfig } from "../../agent/config/load.ts";
import { Scanner } from "../../agent/parse/scanner.ts";
import type { ProcessorChain } from "../../agent/process/chain.ts";
import { Plan } from "../../agent/process/plan.ts";
import { origin } from "../support/rows.ts";

const ROOM = 64 * 1024;

/** @param processors as YAML. */
export function planOf(processors: string): Plan {
  const folder = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  try {
    const file = join(folder, "config.yaml");
    writeFileSync(file, `processors: ${processors}\noutputs: [{ name: out, type: console }]\n`);
    const loaded = loadConfig(file, { env: {}, hostname: "bench", checkFiles: false });
    if ("problems" in loaded) throw new Error(loaded.problems.map(({ message }) => message).join("\n"));
    return new Plan({ output: "out", common: loaded.config.processors, match: {}, own: [], maxRecordBytes: 1 << 20 });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Scans chunks of whole lines and, where there is a chain, processes them. @returns CPU-seconds per GB. */
export function run(chunks: readonly Buffer[], rows: Rows, chain: ProcessorChain | undefined): number {
  const scanner = new Scanner({ format: "auto", maxRecordBytes: 1 << 20 });
  const generation = { key: "0123456789abcdef" };
  const before = process.cpuUsage();
  let offset = 0;
  for (const chunk of chunks) {
    rows.reset(origin, generation);
    rows.reserve(chunk.length + ROOM);
    chunk.copy(rows.bytes);
    rows.used = chunk.length;
    scanner.scan(rows, 0, chunk.length, offset, false);
    offset += chunk.length;
    chain?.process(rows, 0, Number.NEGATIVE_INFINITY);
  }
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1e3) / offset;
}
