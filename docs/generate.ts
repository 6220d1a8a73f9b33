/**
 * Writes docs/configuration.md: every key with its type, default and description, from the schema that checks
 * configurations; and the copy of daemonset.yaml that overlays build on. `--check` writes nothing, and exits 1 when a file
 * is not what would be written.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { jsonSchema } from "../agent/config/schema.ts";
import { PLACEHOLDERS } from "../agent/config/template.ts";

/** What the tables need of a JSON Schema. */
interface Schema {
  readonly title?: string;
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
}

const INTRODUCTION = `<!-- Made by docs/generate.ts from agent/config/schema.ts: change it there. -->
# Configuration

YAML or JSON. An unknown key, a wrong type, an impossible value or a missing variable is an error; \`tailrace validate\` tells all of them, each with its line and column.

- **size**: bytes, or a number with \`KB\`, \`MB\`, \`GB\`, \`KiB\`, \`MiB\`, \`GiB\`, \`Ki\`, \`Mi\` or \`Gi\`.
- **duration**: a number with \`ms\`, \`s\`, \`m\` or \`h\`.
- **secret**: a text, or \`{ file: PATH }\` to read it from there, and again when that file changes.
- **template**: a text with placeholders: ${PLACEHOLDERS.map((name) => `\`{${name}}\``).join(" ")}. Times are UTC. An empty value becomes \`unknown\`.
- Any value takes environment variables: \`\${NAME}\`, or \`\${NAME:-default}\`; \`$\${\` is the text \`\${\` itself. In a list or mapping that is written in brackets, put such a value in quotes.
`;

function table(title: string, rows: readonly string[]): string {
  return `## ${title}\n\n| key | type | default | description |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`;
}

/** One row for each key that holds a value; mappings only lead to their own keys. */
function rowsOf({ properties = {}, required = [] }: Schema, prefix: string, keys = Object.keys(properties)): string[] {
  return keys.flatMap((key) => {
    const schema = properties[key] ?? {};
    const path = `${prefix}${key}`;
    if (schema.properties !== undefined) return rowsOf(schema, `${path}.`);
    const fallback = schema.default === undefined ? "" : code(inline(schema.default));
    const cells = [
      code(path),
      typeOf(schema),
      required.includes(key) ? "required" : fallback,
      schema.description ?? "",
    ];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
}

function typeOf(schema: Schema): string {
  const choices = schema.enum ?? schema.anyOf?.find((option) => option.enum !== undefined)?.enum;
  if (choices !== undefined) return choices.map(code).join(", ");
  if (schema.const !== undefined) return code(schema.const);
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  if (typeof schema.additionalProperties === "object") return `mapping to ${typeOf(schema.additionalProperties)}`;
  return schema.title ?? (schema.type === "string" ? "text" : (schema.type ?? ""));
}

const code = (text: string): string => `\`${text}\``;

function inline(value: unknown): string {
  return value === "" ? '""' : stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trimEnd();
}

function page(): string {
  const { outputs, ...others } = (jsonSchema() as Schema).properties ?? {};
  const types = outputs?.items?.oneOf ?? [];
  const [first = {}] = types;
  const common = Object.keys(first.properties ?? {}).filter(
    (key) => key !== "type" && types.every(({ properties = {} }) => key in properties),
  );
  const isGroup = ([, { properties }]: [string, Schema]): boolean => properties !== undefined;
  const entries = Object.entries(others);
  return [
    INTRODUCTION,
    table("Top level", rowsOf({ properties: Object.fromEntries(entries.filter((entry) => !isGroup(entry))) }, "")),
    ...entries.filter(isGroup).map(([key, schema]) => table(key, rowsOf(schema, `${key}.`))),
    `## outputs\n\n${outputs?.description ?? ""} Each item has the common keys, and those of its type.\n`,
    table("outputs: common keys", rowsOf(first, "", common)),
    ...types.map((schema) => {
      const keys = Object.keys(schema.properties ?? {}).filter((key) => !common.includes(key));
      return table(`outputs: type ${schema.properties?.type?.const ?? ""}`, rowsOf(schema, "", keys));
    }),
  ].join("\n");
}

const top = join(import.meta.dirname, "..");
/** What is generated, by its path. */
const files = {
  "docs/configuration.md": page(),
  // Kustomize takes no file from outside of a base's folder.
  "deploy/base/daemonset.yaml": readFileSync(join(top, "daemonset.yaml"), "utf8"),
};

for (const [path, content] of Object.entries(files)) {
  const file = join(top, path);
  if (!process.argv.includes("--check")) writeFileSync(file, content);
  // A file that is missing is not up to date either.
  else if (!existsSync(file) || readFileSync(file, "utf8") !== content) {
    console.error(`${path} is not up to date; run \`node docs/generate.ts\` and commit the result`);
    process.exitCode = 1;
  }
}
