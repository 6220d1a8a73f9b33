/** The effective configuration as YAML: all defaults filled in, secrets masked, in units that can be read again. */
import { stringify } from "yaml";
import { type Config, configSchema } from "./schema.ts";
import { Secret } from "./secret.ts";
import { childOf, printerOf, shapeOf } from "./shape.ts";
import { escapeVariables } from "./variables.ts";

export function effectiveYaml(config: Config): string {
  return stringify(plain(config, configSchema), { lineWidth: 0 });
}

function plain(value: unknown, schema: unknown): unknown {
  // Where a secret is read from is no secret, and tells more than asterisks.
  if (value instanceof Secret)
    return value.file === undefined ? value.toString() : { file: escapeVariables(value.file) };
  const shape = shapeOf(schema, value);
  const print = printerOf(shape);
  if (print !== undefined) return print(value as never);
  if (typeof value === "string") return escapeVariables(value);
  if (Array.isArray(value)) return value.map((item, i) => plain(item, childOf(shape, i)));
  if (typeof value !== "object" || value === null) return value;
  if ("text" in value && "render" in value) return plain(value.text, undefined);
  // A name before its details is easier to read than the order of the declaration.
  const { name, type, ...rest } = value as Record<string, unknown>;
  const entries = Object.entries({ name, type, ...rest }).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, plain(item, childOf(shape, key))]));
}
