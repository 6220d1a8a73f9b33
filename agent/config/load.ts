/**
 * Loading a configuration file: YAML or JSON, variables, checks. All problems are found at once, each with its line,
 * column, path, what is wrong and what is allowed. No message shows a value that may be a secret.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Document, LineCounter, parseDocument, visit } from "yaml";
import type { z } from "zod";
import { errorText } from "../errors.ts";
import { nearest } from "./nearest.ts";
import { type Path, Places, pathText } from "./places.ts";
import { type Config, configSchema } from "./schema.ts";
import { Secret } from "./secret.ts";
import { ABOUT_VALUE } from "./setting.ts";
import { keysAt } from "./shape.ts";
import { type Environment, expandVariables } from "./variables.ts";

export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** As in `outputs[0].batch.maxWait`; "" for the whole file. */
  readonly path: string;
  /** What is wrong; what is allowed. */
  readonly message: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Tells versions of the file apart: the first 16 digits of its SHA-256, the same on every node. */
  readonly hash: string;
  /** The file as read. May hold secrets. */
  readonly text: string;
}

export type Loaded = LoadedConfig | { readonly problems: readonly Problem[] };

export interface LoadOptions {
  readonly env: Environment;
  readonly hostname: string;
  /** Whether the files of secrets and certificates must be there. */
  readonly checkFiles: boolean;
}

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
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 16);
  // A byte order mark is no column.
  const loader = new Loader(file, text.replace(/^\ufeff/, ""), options);
  const config = loader.load();
  return config === undefined ? { problems: loader.problems() } : { config, hash, text };
}

class Loader {
  readonly #file: string;
  readonly #text: string;
  readonly #options: LoadOptions;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  #places!: Places;
  #value: unknown;
  readonly #problems: (Problem & { readonly at: number })[] = [];
  /** Offsets of values that came from variables, which may be secrets. */
  readonly #expanded = new Set<number>();
  /** Offsets of values whose variables are wrong: that is told, and nothing more. */
  readonly #unset = new Set<number>();

  constructor(file: string, text: string, options: LoadOptions) {
    this.#file = file;
    this.#text = text;
    this.#options = options;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, merge: true });
  }

  problems(): Problem[] {
    this.#problems.sort((a, b) => a.at - b.at);
    return this.#problems.map(({ at: _, ...problem }) => problem);
  }

  /** @returns undefined when there are problems. */
  load(): Config | undefined {
    if (!this.#read()) return undefined;
    const parsed = configSchema.safeParse(this.#withNode());
    if (!parsed.success) for (const issue of parsed.error.issues) this.#explain(issue);
    else if (this.#options.checkFiles) this.#checkFiles(parsed.data);
    return parsed.success && this.#problems.length === 0 ? parsed.data : undefined;
  }

  /** Makes the value that the document holds. @returns false when it holds none that can be looked at. */
  #read(): boolean {
    const { errors, warnings } = this.#document;
    const syntax = errors.find(({ code }) => code !== "DUPLICATE_KEY");
    // What follows the first mistake in the syntax only follows from it.
    if (syntax !== undefined) {
      const message = syntax.code === "MULTIPLE_DOCS" ? "a file holds one document, without ---" : syntax.message;
      this.#add(syntax.pos[0], "", `not valid YAML: ${message}${this.#quoteHint(syntax.pos[0])}`);
    }
    visit(this.#document, {
      Alias: (_, node) => {
        if (node.resolve(this.#document) === undefined)
          this.#add(node.range?.[0] ?? 0, "", "an alias without its anchor; a text that begins with * needs quotes");
      },
    });
    for (const { pos } of warnings)
      this.#add(pos[0], "", "tags such as !name mean nothing here; a text that begins with ! needs quotes");
    if (this.#problems.length > 0) return false;
    this.#places = new Places(this.#document);
    for (const { pos } of errors)
      this.#add(pos[0], this.#places.pathAt(pos[0]), "a key that was given already; keep one of the two");
    this.#expand();
    try {
      // Duplicates are told and taken out by now.
      this.#value = this.#document.contents === null ? {} : this.#document.toJS();
      return true;
    } catch {
      this.#add(0, "", "aliases that expand to too much; write the values out");
      return false;
    }
  }

  /** `{ apiKey: ${KEY} }` is the usual mistake: braces mean something in YAML. */
  #quoteHint(at: number): string {
    const line = this.#text.split("\n")[this.#lines.linePos(at).line - 1] ?? "";
    return /[^"']\$\{/.test(line) ? "; a value with ${…} must be in quotes here" : "";
  }

  /** The node's name comes from the environment when the file does not give it. */
  #withNode(): unknown {
    const value = this.#value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const { nodeName } = value as { nodeName?: unknown };
    if (nodeName !== undefined && nodeName !== "") return value;
    return { ...value, nodeName: this.#options.env.NODE_NAME || this.#options.hostname };
  }

  /** Puts variables into text values, after parsing, so that no value can break out of its place. */
  #expand(): void {
    visit(this.#document, {
      Scalar: (key, node) => {
        if (key === "key" || typeof node.value !== "string" || !node.value.includes("${")) return;
        const at = node.range?.[0] ?? 0;
        this.#expanded.add(at);
        node.value = expandVariables(node.value, this.#options.env, (message) => {
          this.#unset.add(at);
          this.#add(at, this.#places.pathAt(at), message);
        });
      },
    });
  }

  #explain(issue: z.core.$ZodIssue): void {
    const { path } = issue;
    if (issue.code === "unrecognized_keys") {
      const allowed = keysAt(path, this.#value);
      for (const key of issue.keys) {
        const guess = nearest(key, allowed);
        const hint = guess === undefined ? `allowed are ${allowed.join(", ")}` : `did you mean "${guess}"?`;
        this.#add(this.#places.ofKey([...path, key]), pathText([...path, key]), `unknown key; ${hint}`);
      }
      return;
    }
    const at = issue.code === "invalid_key" ? this.#places.ofKey(path) : this.#places.ofValue(path);
    if (!this.#unset.has(at)) this.#add(at, pathText(path), this.#sentence(issue, at));
  }

  #sentence(issue: z.core.$ZodIssue, at: number): string {
    const value = this.#valueAt(issue.path);
    const wrong =
      value === undefined ? "missing" : value === null ? "empty" : `${this.#shown(value, issue, at)} is wrong`;
    switch (issue.code) {
      case "custom":
        return issue.params?.[ABOUT_VALUE] === true ? `${wrong}; ${issue.message}` : issue.message;
      case "invalid_type": {
        const quotes = issue.expected === "string" && typeof value !== "object" && value !== undefined;
        return `${wrong}; it must be ${TYPES[issue.expected] ?? issue.expected}${quotes ? ", so put it in quotes" : ""}`;
      }
      case "invalid_value":
        return `${wrong}; allowed are ${choices(value, issue.values)}`;
      case "invalid_union":
        return `${wrong}; allowed are ${choices(value, (issue as { options?: readonly unknown[] }).options ?? [])}`;
      case "too_small":
        return issue.origin === "array" ? "empty; it must have at least one item" : "empty; it must be a text";
      case "invalid_key":
        return `not a key that is allowed here; ${issue.issues[0]?.message ?? issue.message}`;
      default:
        return issue.message;
    }
  }

  /** A value as it is quoted in a message, unless it may be a secret: where one belongs, or from a variable, or in a URL. */
  #shown(value: unknown, { path }: z.core.$ZodIssue, at: number): string {
    if (Array.isArray(value)) return "a list";
    if (typeof value === "object") return "a mapping";
    const text = JSON.stringify(value);
    const isPrivate = path.includes("auth") || path.includes("headers") || this.#expanded.has(at) || text.includes("@");
    return isPrivate ? "the value" : text.length > 100 ? `${text.slice(0, 100)}…` : text;
  }

  #valueAt(path: Path): unknown {
    return path.reduce<unknown>(
      (value, key) =>
        typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
      this.#value,
    );
  }

  /** Mounted Secrets and certificates that are not there are configuration errors too. */
  #checkFiles({ outputs }: Config): void {
    const check = (path: Path, read: () => void): void => {
      try {
        read();
      } catch (error) {
        const message = `can't be read (${errorText(error)}); mount the file there, or correct the path`;
        this.#add(this.#places.ofValue(path), pathText(path), message);
      }
    };
    outputs.forEach((output, i) => {
      const { auth, tls, request } = output;
      const at = ["outputs", i];
      if ("credentialsFile" in output && output.credentialsFile !== "")
        check([...at, "credentialsFile"], () => readFileSync(output.credentialsFile));
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
      path,
      message,
      at,
    });
  }
}

const TYPES: Readonly<Record<string, string>> = {
  string: "a text",
  array: "a list",
  object: "a mapping",
  record: "a mapping",
};

function choices(value: unknown, allowed: readonly unknown[]): string {
  const guess = typeof value === "string" ? nearest(value, allowed.map(String)) : undefined;
  return allowed.map(String).join(", ") + (guess === undefined ? "" : `; did you mean "${guess}"?`);
}
