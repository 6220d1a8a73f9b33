/**
 * The effective configuration as plain values and as YAML: all defaults filled in, secrets masked, in units that can be
 * read again.
 */
import { stringify } from "yaml";
import { type Config, configSchema } from "./schema.ts";
import { Secret } from "./secret.ts";
import { childOf, printerOf, shapeOf } from "./shape.ts";
import { escapeVariables } from "./variables.ts";

export function effectiveYaml(config: Config): string {
  return stringify(plainConfig(config), { lineWidth: 0 });
}

/** @param ofSecret what stands for a secret; without it where it is read from, or asterisks. */
export function plainConfig(config: Config, ofSecret: (secret: Secret) => unknown = masked): Record<string, unknown> {
  return plain(config, configSchema, ofSecret) as Record<string, unknown>;
}

/** Where a secret is read from is no secret, and tells more than asterisks. */
function masked(secret: Secret): unknown {
  return secret.file === undefined ? secret.toString() : { file: escapeVariables(secret.file) };
}

function plain(value: unknown, schema: unknown, ofSecret: (secret: Secret) => unknown): unknown {
  if (value instanceof Secret) return ofSecret(value);
  const shape = shapeOf(schema, value);
  const print = printerOf(shape);
  if (print !== undefined) return print(value as never);
  if (typeof value === "string") return escapeVariables(value);
  if (Array.isArray(value)) return value.map((item, i) => plain(item, childOf(shape, i), ofSecret));
  if (typeof value !== "object" || value === null) return value;
  if ("text" in value && "render" in value) return plain(value.text, undefined, ofSecret);
  // A name before its details is easier to read than the order of the declaration.
  const { name, type, ...rest } = value as Record<string, unknown>;
  const entries = Object.entries({ name, type, ...rest }).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, plain(item, childOf(shape, key), ofSecret)]));
}
