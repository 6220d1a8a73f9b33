/**
 * File: records as one JSON object a line, in files whose names are a template, rotated by size. A record counts as
 * delivered once its file is synced.
 */
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Batch } from "../agent/batch.ts";
import type { Template } from "../agent/config/template.ts";
import { errorCode, errorText } from "../agent/errors.ts";
import type { Origin } from "../agent/pods/origin.ts";
import { ecsLine } from "./ecs.ts";
import type { ByteWriter } from "./json.ts";
import { type LineEncoder, LinesRequest, lineOf, linesOf, pickLines } from "./lines.ts";
import type { ClosedRequest, OpenRequest, Outcome, Output } from "./output.ts";

export interface FileOptions {
  readonly path: Template;
  readonly rotate: { readonly maxBytes: number; readonly maxFiles: number };
}

/** Which file each row goes to. */
interface FileRequest extends ClosedRequest {
  readonly paths: readonly string[];
}

export class FileOutput implements Output {
  readonly type = "file";
  readonly #options: FileOptions;
  /** One writer at a time for each file: rotation and appending must not cross. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: FileOptions) {
    this.#options = options;
  }

  requestKey(): string {
    return "";
  }

  open(): OpenRequest {
    const paths = new PathEncoder(this.#options.path);
    const lines = new LinesRequest(paths);
    return {
      get bytes() {
        return lines.bytes;
      },
      get rows() {
        return lines.rows;
      },
      append: (batch, row, maxBytes, maxRows) => {
        const next = lines.append(batch, row, maxBytes, maxRows);
        paths.paths.length = lines.rows;
        return next;
      },
      close: (): FileRequest => ({ ...lines.close(), paths: paths.paths }),
    };
  }

  send(request: ClosedRequest): Promise<Outcome> {
    const turn = this.#turn.then(() => this.#write(request as FileRequest));
    this.#turn = turn;
    return turn;
  }

  pick(request: ClosedRequest, rows: readonly number[]): FileRequest {
    const { paths } = request as FileRequest;
    return { ...pickLines(request, rows), paths: rows.map((row) => paths[row] ?? "") };
  }

  entry(request: ClosedRequest, row: number): string {
    return lineOf(request, row);
  }

  async close(): Promise<void> {
    await this.#turn;
  }

  async #write({ body, rows, paths }: FileRequest): Promise<Outcome> {
    const byPath = new Map<string, number[]>();
    for (let row = 0; row < rows; row++) {
      const path = paths[row] ?? "";
      const list = byPath.get(path);
      if (list === undefined) byPath.set(path, [row]);
      else list.push(row);
    }
    const retry: number[] = [];
    let reason = "";
    let code = "ok";
    for (const [path, wanted] of byPath) {
      try {
        await this.#append(path, Buffer.concat(linesOf(body, wanted)));
      } catch (error) {
        // One file's trouble is not the others': only its records go again.
        retry.push(...wanted);
        code = errorCode(error) || "error";
        reason = `can't write ${path} (${errorText(error)}): the folder must be writable and have room`;
      }
    }
    if (retry.length === 0) return { kind: "delivered", code };
    retry.sort((a, b) => a - b);
    return { kind: "mixed", code, retry, rejected: [], reason };
  }

  async #append(path: string, bytes: Buffer): Promise<void> {
    const { maxBytes, maxFiles } = this.#options.rotate;
    await mkdir(dirname(path), { recursive: true, mode: 0o750 });
    let file = await open(path, "a", 0o640);
    try {
      const { size } = await file.stat();
      if (size > 0 && size + bytes.length > maxBytes) {
        await file.close();
        await shift(path, maxFiles);
        file = await open(path, "a", 0o640);
        await this.#appendTo(file, 0, bytes);
      } else await this.#appendTo(file, size, bytes);
    } finally {
      await file.close();
    }
  }

  /** A write that fails half-way is taken back, so that what goes again does not stand there twice. */
  async #appendTo(file: FileHandle, size: number, bytes: Buffer): Promise<void> {
    try {
      await file.appendFile(bytes);
      await file.datasync();
    } catch (error) {
      await file.truncate(size).catch(() => undefined);
      throw error;
    }
  }
}

/** X.1 is the newest of the rotated files; at most maxFiles in all. */
async function shift(path: string, maxFiles: number): Promise<void> {
  if (maxFiles <= 1) {
    await rm(path, { force: true });
    return;
  }
  for (let i = maxFiles - 1; i > 0; i--) {
    try {
      await rename(i === 1 ? path : `${path}.${i - 1}`, `${path}.${i}`);
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
    }
  }
}

class PathEncoder implements LineEncoder {
  readonly paths: string[] = [];
  readonly #template: Template;
  readonly #line = ecsLine();
  #origin: Origin | undefined;
  #path = "";

  constructor(template: Template) {
    this.#template = template;
  }

  encode(writer: ByteWriter, batch: Batch, row: number): void {
    if (this.#template.perRow || batch.origin !== this.#origin) {
      this.#path = this.#template.render(batch, row, pathPart);
      this.#origin = batch.origin;
    }
    this.paths.push(this.#path);
    this.#line.encode(writer, batch, row);
  }
}

/** A value stays within its folder, whatever a pod calls itself. */
function pathPart(value: string): string {
  const clean = value.replace(/[/\\\x00-\x1f\x7f]/g, "_");
  return clean === "." || clean === ".." ? "_".repeat(clean.length) : clean.slice(0, 200);
}
