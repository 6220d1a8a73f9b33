/**
 * Loading a configuration file: YAML or JSON, variables, checks. All problems are found at once, each with its line,
 * column, path, what is wrong and what is allowed.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { isCollection, isMap, isScalar, LineCounter, type Node, parseDocument, visit, type YAMLMap } from "yaml";
import type { z } from "zod";
import { errorText } from "../errors.ts";
import { nearest } from "./nearest.ts";
import { type Config, configSchema } from "./schema.ts";
import { Secret } from "./secret.ts";
import { keysAt } from "./shape.ts";

export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** As in `outputs[0].batch.maxWait`; "" for the whole file. */
  readonly path: string;
  /** What is wrong; what is allowed. */
  readonly message: string;
}

export type Loaded = { readonly config: Config; readonly hash: string } | { readonly problems: readonly Problem[] };

export interface LoadOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly hostname: string;
  /** Whether the files of secrets and certificates must be there. */
  readonly checkFiles: boolean;
}

type Path = readonly PropertyKey[];

export function formatProblem({ file, line, column, path, message }: Problem): string {
  return `${file}:${line}:${column}: ${path === "" ? "" : `${path}: `}${message}`;
}

export function loadConfig(file: string, options: LoadOptions): Loaded {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const message = `can't be read (${errorText(error)}); give the configuration's path with -c FILE`;
    return { problems: [{ file, line: 1, column: 1, path: "", message }] };
  }
  return new Loader(file, text, options).load();
}

class Loader {
  readonly #file: string;
  readonly #text: string;
  readonly #options: LoadOptions;
  readonly #lines = new LineCounter();
  readonly #problems: (Problem & { readonly at: number })[] = [];
  /** Places of values whose variables are missing: that is told, and nothing more. */
  readonly #unset = new Set<number>();
  #root: Node | null = null;

  constructor(file: string, text: string, options: LoadOptions) {
    this.#file = file;
    this.#text = text;
    this.#options = options;
  }

  load(): Loaded {
    const document = parseDocument(this.#text, { lineCounter: this.#lines, prettyErrors: false, merge: true });
    this.#root = document.contents;
    for (const { code, message, pos } of document.errors) {
      if (code === "DUPLICATE_KEY") this.#add(pos[0], "", "a key that was given already; keep one of the two");
      else {
        this.#add(pos[0], "", `not valid YAML: ${message}${this.#quoteHint(pos[0])}`);
        // What follows the first mistake in the syntax only follows from it.
        break;
      }
    }
    if (document.errors.length === 0) {
      this.#expand();
      const value: unknown = this.#root === null ? {} : document.toJS();
      const parsed = configSchema.safeParse(this.#withNode(value));
      if (!parsed.success) for (const issue of parsed.error.issues) this.#explain(issue);
      else {
        if (this.#options.checkFiles) this.#checkFiles(parsed.data);
        if (this.#problems.length === 0)
          return {
            config: parsed.data,
            hash: createHash("sha256").update(JSON.stringify(document.toJS())).digest("hex").slice(0, 16),
          };
      }
    }
    this.#problems.sort((a, b) => a.at - b.at);
    return { problems: this.#problems.map(({ at: _, ...problem }) => problem) };
  }

  /** `{ apiKey: ${KEY} }` is the usual mistake: braces mean something in YAML. */
  #quoteHint(at: number): string {
    const line = this.#text.split("\n")[this.#lines.linePos(at).line - 1] ?? "";
    return /[^"']\$\{/.test(line) ? "; a value with ${…} must be in quotes here" : "";
  }

  /** The node's name comes from the environment when the file does not give it. */
  #withNode(value: unknown): unknown {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const { nodeName } = value as { nodeName?: unknown };
    if (nodeName !== undefined && nodeName !== "" && nodeName !== null) return value;
    return { ...value, nodeName: this.#options.env.NODE_NAME || this.#options.hostname };
  }

  /** Puts variables into text values, after parsing, so that no value can break out of its place. */
  #expand(): void {
    visit(this.#root, {
      Scalar: (key, node) => {
        if (key === "key" || typeof node.value !== "string") return;
        const at = node.range?.[0] ?? 0;
        node.value = node.value.replace(
          /\$(\$\{)|\$\{([^}]*)\}/g,
          (whole, literal: string | undefined, inner: string | undefined) => {
            if (literal !== undefined) return literal;
            const [, name = "", fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inner ?? "") ?? [];
            if (name === "")
              this.#add(
                at,
                "",
                `${whole} is no variable; write \${NAME} or \${NAME:-default}, and $\${ for the text itself`,
              );
            const value = this.#options.env[name] || fallback || this.#options.env[name];
            if (value === undefined) this.#unset.add(at);
            if (name !== "" && value === undefined && fallback === undefined)
              this.#add(
                at,
                "",
                `the environment variable ${name} is not set; set it, or give a default: \${${name}:-…}`,
              );
            return value ?? "";
          },
        );
      },
    });
  }

  #explain(issue: z.core.$ZodIssue): void {
    const { path } = issue;
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        const allowed = keysAt(path, this.#value(path));
        const guess = nearest(key, allowed);
        const hint = guess === undefined ? `allowed are ${allowed.join(", ")}` : `did you mean "${guess}"?`;
        this.#add(this.#keyAt(path, key), name([...path, key]), `unknown key; ${hint}`);
      }
      return;
    }
    const at = this.#valueAt(path);
    if (!this.#unset.has(at)) this.#add(at, name(path), this.#sentence(issue));
  }

  #sentence(issue: z.core.$ZodIssue): string {
    const value = this.#value(issue.path);
    const is = value === undefined ? "missing" : `${shown(value)} is wrong`;
    switch (issue.code) {
      case "custom":
        return value === undefined && /^nothing is not /.test(issue.message)
          ? issue.message.replace("nothing is not", "missing; it must be")
          : issue.message;
      case "invalid_type":
        return `${is}; it must be ${TYPES[issue.expected] ?? issue.expected}`;
      case "invalid_value":
        return `${is}; allowed are ${issue.values.map(String).join(", ")}${this.#guess(value, issue.values)}`;
      case "invalid_union": {
        const { options = [] } = issue as { options?: readonly unknown[] };
        return `${is}; allowed are ${options.map(String).join(", ")}${this.#guess(value, options)}`;
      }
      case "too_small":
        return `${is === "missing" ? is : "empty"}; at least ${issue.minimum} must be given`;
      case "invalid_format":
        return `${is}; ${issue.message}`;
      case "invalid_key":
        return `not a name that is allowed here; ${issue.issues[0]?.message ?? issue.message}`;
      default:
        return issue.message;
    }
  }

  #guess(value: unknown, allowed: readonly unknown[]): string {
    const guess = typeof value === "string" ? nearest(value, allowed.map(String)) : undefined;
    return guess === undefined ? "" : `; did you mean "${guess}"?`;
  }

  /** Mounted Secrets and certificates that are not there are configuration errors too. */
  #checkFiles(config: Config): void {
    const check = (path: Path, read: () => void): void => {
      try {
        read();
      } catch (error) {
        this.#add(
          this.#valueAt(path),
          name(path),
          `can't be read (${errorText(error)}); mount the file there, or correct the path`,
        );
      }
    };
    config.outputs.forEach(({ auth, tls, request }, i) => {
      const at = ["outputs", i];
      for (const [key, value] of Object.entries(auth))
        if (value instanceof Secret && value.file !== undefined)
          check([...at, "auth", key, "file"], () => value.read());
      for (const [key, value] of Object.entries(request.headers))
        if (value.file !== undefined) check([...at, "request", "headers", key, "file"], () => value.read());
      for (const key of ["caFile", "certFile", "keyFile"] as const)
        if (tls[key] !== "") check([...at, "tls", key], () => readFileSync(tls[key]));
    });
  }

  #add(at: number, path: string, message: string): void {
    const { line, col } = this.#lines.linePos(at);
    this.#problems.push({
      file: this.#file,
      line: Math.max(1, line),
      column: Math.max(1, col),
      path: path || this.#pathOf(at),
      message,
      at,
    });
  }

  #value(path: Path): unknown {
    let node: unknown = this.#root;
    for (const key of path) node = isCollection(node) ? node.get(key, true) : undefined;
    return isScalar(node) ? node.value : isCollection(node) ? node.toJSON() : undefined;
  }

  /** Where a value stands; where it is missing, its nearest parent. */
  #valueAt(path: Path): number {
    let node: unknown = this.#root;
    let at = this.#root?.range?.[0] ?? 0;
    for (const key of path) {
      if (!isCollection(node)) break;
      const next: unknown = node.get(key, true);
      const range = (next as Node | undefined)?.range;
      if (range === undefined || range === null) break;
      node = next;
      at = range[0];
    }
    return at;
  }

  #keyAt(path: Path, key: string): number {
    let node: unknown = this.#root;
    for (const step of path) node = isCollection(node) ? node.get(step, true) : undefined;
    if (!isMap(node)) return this.#valueAt(path);
    const pair = (node as YAMLMap).items.find((item) => isScalar(item.key) && String(item.key.value) === key);
    return (pair?.key as Node | undefined)?.range?.[0] ?? this.#valueAt(path);
  }

  /** The path of the value that stands at a place, for problems that are found by place. */
  #pathOf(at: number): string {
    let found = "";
    const walk = (node: unknown, path: Path): void => {
      if (!isCollection(node)) {
        if (isScalar(node) && node.range?.[0] === at) found = name(path);
        return;
      }
      node.items.forEach((item, i) => {
        if (isMap(node)) {
          const { key, value } = item as { key: unknown; value: unknown };
          walk(value, [...path, isScalar(key) ? String(key.value) : "?"]);
        } else walk(item, [...path, i]);
      });
    };
    walk(this.#root, []);
    return found;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  boolean: "true or false",
  array: "a list",
  object: "a mapping",
  record: "a mapping",
};

function name(path: Path): string {
  return path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    "",
  );
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "a mapping";
  return JSON.stringify(value) ?? "nothing";
}
