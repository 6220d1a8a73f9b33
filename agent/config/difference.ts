/**
 * What differs between two configurations, setting by setting, as people can be told: paths, values as they are written,
 * secrets masked. Outputs are compared by name, wherever they stand in the list.
 */
import { plainConfig } from "./effective.ts";
import type { Config } from "./schema.ts";

export interface Change {
  /** As in `outputs[main].batch.maxWait`. */
  readonly path: string;
  /** As written; "" when the setting, or the whole output, was not there. */
  readonly before: string;
  readonly after: string;
}

interface Setting {
  readonly shown: string;
  /** Tells apart what must not be shown. */
  readonly compared: string;
}

export function differences(before: Config, after: Config): Change[] {
  const old = settingsOf(before);
  const now = settingsOf(after);
  const names = [outputNames(before), outputNames(after)] as const;
  const changes: Change[] = [];
  for (const path of new Set([...old.keys(), ...now.keys()])) {
    const [a, b] = [old.get(path), now.get(path)];
    if (a?.compared === b?.compared) continue;
    const output = outputOf(path);
    // Of an output that comes or goes its type says enough.
    if (output !== undefined && names[0].has(output) !== names[1].has(output) && path !== `outputs[${output}].type`)
      continue;
    changes.push({ path, before: a?.shown ?? "", after: b?.shown ?? "" });
  }
  return changes;
}

/** The name of the output that a path is about. */
export function outputOf(path: string): string | undefined {
  return /^outputs\[([^\]]*)\]/.exec(path)?.[1];
}

/** One line for a log or a terminal. */
export function changeText({ path, before, after }: Change): string {
  return `${path}: ${before === "" ? "(none)" : before} -> ${after === "" ? "(none)" : after}`;
}

function outputNames({ outputs }: Config): Set<string> {
  return new Set(outputs.map(({ name }) => name));
}

function settingsOf(config: Config): Map<string, Setting> {
  const settings = new Map<string, Setting>();
  const secrets = plainConfig(config, ({ identity }) => identity);
  walk(plainConfig(config), secrets, "", settings);
  return settings;
}

function walk(shown: unknown, compared: unknown, path: string, into: Map<string, Setting>): void {
  if (isMapping(shown) && isMapping(compared)) {
    for (const [key, value] of Object.entries(shown))
      walk(value, compared[key], path === "" ? key : `${path}.${key}`, into);
  } else if (Array.isArray(shown) && Array.isArray(compared) && shown.some(isMapping)) {
    shown.forEach((value: unknown, i) => {
      const name = path === "outputs" && isMapping(value) ? String(value.name) : i;
      walk(value, compared[i], `${path}[${name}]`, into);
    });
  } else into.set(path, { shown: textOf(shown), compared: JSON.stringify(compared) });
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" && value !== "" ? value : JSON.stringify(value);
}
