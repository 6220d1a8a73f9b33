/**
 * What a new configuration means for a running agent: which outputs are rebuilt, and what of it only a restart can take
 * up. It decides and does nothing; agent.ts does it.
 */
import { type Change, differences, outputOf } from "./config/difference.ts";
import type { Config } from "./config/schema.ts";

export interface Plan {
  /** The new configuration, but for what only a restart changes. */
  readonly config: Config;
  readonly changes: readonly Change[];
  /** Changed keys that stay as they were until the next start. */
  readonly restart: readonly string[];
  /** Names of outputs. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly rebuilt: readonly string[];
  /** What is asked of the API server, or put into every record. */
  readonly pods: boolean;
  /** Which files are followed. */
  readonly files: boolean;
}

/** The lock, the checkpoints and the listeners are there once for the agent's life. */
const FIXED = /^(dataDir|admin\..*)$/;
const PODS = /^(nodeName|clusterName|kubernetes\..*)$/;
/** What pods' settings may name, and which annotations and labels rules look at. */
const NAMED = /^(outputs\[[^\]]*\]\.)?(processors|match)\b/;
const FILES = /^source\.(include|exclude|roots)$/;
/** What is looked up anew each time it is needed. */
const LIVE = /^(logLevel|shutdownTimeout|source\.hold\..*)$/;

export function planReload(before: Config, after: Config): Plan {
  const all = differences(before, after);
  const changes = all.filter(({ path }) => !FIXED.test(path));
  const names = (config: Config): string[] => config.outputs.map(({ name }) => name);
  const [old, now] = [names(before), names(after)];
  // What is left over is built into every output: how lines are read, and what is done to records.
  const common = changes.some(
    ({ path }) => outputOf(path) === undefined && ![PODS, FILES, LIVE].some((pattern) => pattern.test(path)),
  );
  const changed = new Set(changes.map(({ path }) => outputOf(path)));
  return {
    config: { ...after, dataDir: before.dataDir, admin: before.admin },
    changes,
    restart: all.filter(({ path }) => FIXED.test(path)).map(({ path }) => path),
    added: now.filter((name) => !old.includes(name)),
    removed: old.filter((name) => !now.includes(name)),
    rebuilt: now.filter((name) => old.includes(name) && (common || changed.has(name))),
    pods:
      changes.some(({ path }) => PODS.test(path) || NAMED.test(path)) ||
      old.toSorted().join() !== now.toSorted().join(),
    files: changes.some(({ path }) => FILES.test(path)),
  };
}
