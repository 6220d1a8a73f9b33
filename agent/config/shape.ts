/** Which keys the schema allows where, for the hints in error messages. */
import { z } from "zod";
import { configSchema } from "./schema.ts";

/** The keys that the schema allows at a path. @param value what stands there, to tell an output's type. */
export function keysAt(path: readonly PropertyKey[], value: unknown): string[] {
  let schema: unknown = configSchema;
  for (const key of path) schema = step(unwrap(schema, value), key);
  const inner = unwrap(schema, value);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function step(schema: unknown, key: PropertyKey): unknown {
  if (schema instanceof z.ZodObject) return schema.shape[key as string];
  if (schema instanceof z.ZodArray) return schema.element;
  if (schema instanceof z.ZodDiscriminatedUnion) {
    for (const option of schema.options)
      if (option instanceof z.ZodObject && key in option.shape) return option.shape[key as string];
  }
  return undefined;
}

function unwrap(schema: unknown, value: unknown): unknown {
  let inner = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional)
    inner = inner.unwrap();
  if (!(inner instanceof z.ZodDiscriminatedUnion)) return inner;
  const type = (value as { type?: unknown } | undefined)?.type;
  const options = inner.options as readonly unknown[];
  return options.find((option) => option instanceof z.ZodObject && option.shape.type?.value === type) ?? inner;
}
