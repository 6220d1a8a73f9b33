/** The schema as a tree that is walked along with a value: which keys it allows where, and how a setting is printed. */
import * as z from "zod";
import { configSchema } from "./schema.ts";
import type { SettingMeta } from "./setting.ts";

/** The keys that the schema allows at a path. @param root the whole value, which tells the types of outputs. */
export function keysAt(path: readonly PropertyKey[], root: unknown): string[] {
  let shape = shapeOf(configSchema, root);
  let value = root;
  for (const key of path) {
    value = (value as Record<PropertyKey, unknown> | null | undefined)?.[key];
    shape = shapeOf(childOf(shape, key), value);
  }
  return shape instanceof z.ZodObject ? Object.keys(shape.shape) : [];
}

/** What is below defaults, conversions, and the choice that a value's `type` makes. */
export function shapeOf(schema: unknown, value: unknown): unknown {
  let inner = schema;
  for (;;) {
    if (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional)
      inner = inner.unwrap();
    else if (inner instanceof z.ZodPipe) inner = inner.in;
    else break;
  }
  if (!(inner instanceof z.ZodDiscriminatedUnion)) return inner;
  const type = (value as { type?: unknown } | null | undefined)?.type;
  const options: readonly unknown[] = inner.options;
  return options.find((option) => option instanceof z.ZodObject && option.shape.type?.value === type);
}

export function childOf(shape: unknown, key: PropertyKey): unknown {
  if (shape instanceof z.ZodObject) return shape.shape[key as string];
  if (shape instanceof z.ZodArray) return shape.element;
  return undefined;
}

/** How people write the setting, where that differs from what it becomes. */
export function printerOf(shape: unknown): SettingMeta["print"] {
  return shape instanceof z.ZodAny ? (shape.meta() as Partial<SettingMeta> | undefined)?.print : undefined;
}
