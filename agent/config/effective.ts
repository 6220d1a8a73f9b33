/** The effective configuration as YAML: all defaults filled in, secrets masked, in units that can be read again. */
import { stringify } from "yaml";
import type { Config } from "./schema.ts";
import { Secret } from "./secret.ts";
import { formatDuration, formatSize } from "./units.ts";

const SIZES = new Set(["memory", "maxBytes", "maxRecordBytes"]);
const DURATIONS = new Set([
  "shutdownTimeout",
  "partialTimeout",
  "metadataTimeout",
  "maxWait",
  "timeout",
  "initialDelay",
  "maxDelay",
]);

export function effectiveYaml(config: Config): string {
  return stringify(plain(config), { lineWidth: 0 });
}

function plain(value: unknown, key = ""): unknown {
  if (value instanceof Secret) return value.file === undefined ? value.toString() : { file: value.file };
  if (Array.isArray(value)) return value.map((item) => plain(item));
  if (typeof value === "number")
    return SIZES.has(key) ? formatSize(value) : DURATIONS.has(key) ? formatDuration(value) : value;
  if (typeof value !== "object" || value === null) return value;
  if ("text" in value && "render" in value) return value.text;
  // A name before its details is easier to read than the order of the declaration.
  const { name, type, ...rest } = value as Record<string, unknown>;
  const entries = Object.entries({ name, type, ...rest }).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, plain(item, key)]));
}
