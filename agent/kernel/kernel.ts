/**
 * Kernel: the byte work in WebAssembly with SIMD, compiled from assembly/. One instance has a memory of 1.6 MB that is
 * made once and never grows, and does one thing at a time; whoever needs one for longer than a call takes it and gives
 * it back. Without SIMD, or switched off, there is none, and callers do the same work by their TypeScript twins.
 */
import { crc32 } from "node:zlib";
import type { Batch } from "../batch.ts";
import { Columns } from "./columns.ts";
import { Entries, type EntryLayout, type EntryLimits } from "./entries.ts";
import { Program } from "./program.ts";
import type { RowLayout } from "./row.ts";
import { WASM } from "./wasm.ts";

interface Exports {
  readonly COLUMNS: WebAssembly.Global;
  readonly CRC_REST: WebAssembly.Global;
  readonly ENTRIES: WebAssembly.Global;
  readonly HISTORY_BYTES: WebAssembly.Global;
  readonly INPUT: WebAssembly.Global;
  readonly INPUT_BYTES: WebAssembly.Global;
  readonly MAX_MEMBERS: WebAssembly.Global;
  readonly MAX_ROWS: WebAssembly.Global;
  readonly MEMBERS: WebAssembly.Global;
  readonly MEMORY_BYTES: WebAssembly.Global;
  readonly OUTPUT: WebAssembly.Global;
  readonly PIECE_BYTES: WebAssembly.Global;
  readonly PROGRAM: WebAssembly.Global;
  readonly PROGRAM_BYTES: WebAssembly.Global;
  readonly RUNS_BYTES: WebAssembly.Global;
  readonly WINDOW: WebAssembly.Global;
  readonly encodedTo: WebAssembly.Global;
  readonly stopped: WebAssembly.Global;
  prepare(): void;
  foldCrc(from: number, to: number, previous: number): number;
  beginDeflate(): void;
  deflate(low: number, from: number, to: number, target: number, final: number): number;
  snappy(from: number, to: number, target: number): number;
  packEntries(stream: number, target: number): number;
  moveDown(distance: number): void;
  encodeRows(
    rows: number,
    input: number,
    members: number,
    out: number,
    room: number,
    limit: number,
    first: number,
  ): number;
  encodeEntries(
    rows: number,
    input: number,
    room: number,
    most: number,
    head0: number,
    head1: number,
    first: number,
  ): number;
}

const PAGE_BYTES = 65_536;
const PAGES = 25;
/** Instances that are kept for the next who asks: as many as outputs usually are. */
const KEPT = 4;
/** Pieces of fewer bytes are not worth folding; below four they can't be. */
const FOLD_FROM_BYTES = 16_384;

/** Why rows were left: there is none left; no room in the window; over the limit; not a thing for the kernel. */
export type Stopped = "done" | "room" | "limit" | "slow";
const STOPPED: readonly Stopped[] = ["done", "room", "limit", "slow"];

let module: WebAssembly.Module | undefined;
let enabled = true;
const free: Kernel[] = [];

/** Turns the kernels off, or on again. Instances that are taken stay usable. */
export function switchKernels(on: boolean): void {
  enabled = on;
}

/** Whether they are switched on and the machine has SIMD. */
export function kernelsEnabled(): boolean {
  if (enabled && module === undefined) {
    const binary = Buffer.from(WASM, "base64");
    if (WebAssembly.validate(binary)) module = new WebAssembly.Module(binary);
    else enabled = false;
  }
  return enabled;
}

/** The kernels and a memory of so many pages for them; undefined where there are none. */
export function instantiate(pages = PAGES): { readonly exports: unknown; readonly memory: ArrayBuffer } | undefined {
  if (!kernelsEnabled()) return undefined;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const { exports } = new WebAssembly.Instance(module as WebAssembly.Module, { env: { memory } });
  return { exports, memory: memory.buffer };
}

/** An instance for the caller alone until it gives it back; undefined where there are no kernels. */
export function takeKernel(): Kernel | undefined {
  if (!kernelsEnabled()) return undefined;
  const kept = free.pop();
  if (kept !== undefined) return kept;
  const { exports, memory } = instantiate() as NonNullable<ReturnType<typeof instantiate>>;
  return new Kernel(exports as Exports, memory);
}

export function giveKernel(kernel: Kernel): void {
  if (free.length < KEPT) free.push(kernel);
}

export class Kernel {
  readonly #exports: Exports;
  readonly #bytes: Buffer;
  readonly #program: Program;
  readonly #columns: Columns;
  readonly #historyBytes: number;
  readonly #input: number;
  readonly #output: number;
  /** Where a piece begins, and the most that it may hold. */
  readonly #piece: number;
  readonly pieceBytes: number;
  readonly #maxRows: number;
  /** Bytes of the piece that is being made. */
  length = 0;
  /** Bytes before it that may be repeated. */
  #history = 0;
  readonly #entries: Entries;

  constructor(exports: Exports, memory: ArrayBuffer) {
    this.#exports = exports;
    const { COLUMNS, ENTRIES, HISTORY_BYTES, INPUT, INPUT_BYTES, MAX_MEMBERS, MAX_ROWS, MEMBERS } = this.#exports;
    const { MEMORY_BYTES, OUTPUT, PIECE_BYTES, PROGRAM, PROGRAM_BYTES, RUNS_BYTES, WINDOW } = this.#exports;
    if (MEMORY_BYTES.value > PAGES * PAGE_BYTES) throw new Error(`kernels need ${MEMORY_BYTES.value} bytes`);
    this.#bytes = Buffer.from(memory);
    const program = { at: PROGRAM.value, bytes: PROGRAM_BYTES.value };
    this.#program = new Program(memory, program);
    this.#columns = new Columns(memory, {
      columns: COLUMNS.value,
      rows: MAX_ROWS.value,
      members: MEMBERS.value,
      maxMembers: MAX_MEMBERS.value,
      input: INPUT.value,
      inputBytes: INPUT_BYTES.value,
    });
    this.#historyBytes = HISTORY_BYTES.value;
    this.#input = INPUT.value;
    this.#output = OUTPUT.value;
    this.#piece = WINDOW.value + HISTORY_BYTES.value;
    this.pieceBytes = PIECE_BYTES.value;
    this.#maxRows = MAX_ROWS.value;
    this.#entries = new Entries(memory, ENTRIES.value, RUNS_BYTES.value, program, [this.#piece, this.#output]);
    this.#exports.prepare();
  }

  /** Begins a new body: what was before has nothing to do with it. */
  begin(): void {
    this.#exports.beginDeflate();
    this.#program.forget();
    this.length = 0;
    this.#history = 0;
  }

  /** What the piece holds. Borrowed: valid until the next call. */
  piece(): Buffer {
    return this.#bytes.subarray(this.#piece, this.#piece + this.length);
  }

  /** Adds as much of bytes[from, to) as there is room for. @returns where it stopped. */
  write(bytes: Buffer, from: number, to: number): number {
    const length = Math.min(to - from, this.pieceBytes - this.length);
    bytes.copy(this.#bytes, this.#piece + this.length, from, from + length);
    this.length += length;
    return from + length;
  }

  /** @returns the CRC-32 of the piece behind bytes of which it is `previous`. What `deflate` returned is invalid then. */
  crc(previous: number): number {
    if (this.length < FOLD_FROM_BYTES) return crc32(this.piece(), previous);
    const { CRC_REST, foldCrc } = this.#exports;
    const rest = foldCrc(this.#piece, this.#piece + this.length, previous);
    return crc32(this.#bytes.subarray(CRC_REST.value, CRC_REST.value + rest), 0xffff_ffff);
  }

  /** Ends the piece: raw deflate of it, all of the stream when `final`. Borrowed: valid until the next call. */
  deflate(final: boolean): Buffer {
    const { length } = this;
    const from = this.#piece;
    const end = this.#exports.deflate(from - this.#history, from, from + length, this.#output, final ? 1 : 0);
    const compressed = this.#bytes.subarray(this.#output, end);
    if (!final) {
      this.#bytes.copyWithin(from - this.#historyBytes, from + length - this.#historyBytes, from + length);
      this.#exports.moveDown(length);
      this.#history = Math.min(this.#historyBytes, this.#history + length);
    }
    this.length = 0;
    return compressed;
  }

  /** Ends the piece: its elements in snappy's block format. Borrowed: valid until the next call. */
  snappy(): Buffer {
    const end = this.#exports.snappy(this.#piece, this.#piece + this.length, this.#output);
    this.length = 0;
    return this.#bytes.subarray(this.#output, end);
  }

  /**
   * Adds rows [row, rows) of the batch to the piece, each made by the layout.
   * @param limit a row that makes the piece longer is not added, except when it is the `first`.
   * @param ends gets where each row ends in the piece.
   * @returns the first row that was not added, and why.
   */
  encode(
    batch: Batch,
    row: number,
    rows: number,
    layout: RowLayout,
    limit: number,
    first: boolean,
    ends?: number[],
  ): { row: number; stopped: Stopped } {
    let at = row;
    while (at < rows) {
      const end = this.#program.load(layout) ? this.#columns.load(batch, at, rows) : at;
      if (end === at) return { row: at, stopped: "slow" };
      const done = this.#exports.encodeRows(
        end - at,
        this.#columns.input,
        this.#columns.members,
        this.#piece + this.length,
        this.#piece + this.pieceBytes,
        this.#piece + Math.max(0, Math.min(limit, this.pieceBytes)),
        first && at === row ? 1 : 0,
      );
      this.length = this.#exports.encodedTo.value - this.#piece;
      if (ends !== undefined) this.#columns.ends(done, this.#piece, ends);
      const stopped = STOPPED[this.#exports.stopped.value] as Stopped;
      if (stopped !== "done") {
        // Where the constants of the row that was taken back were is wrong.
        this.#program.forget();
        return { row: at + done, stopped };
      }
      at = end;
    }
    return { row: at, stopped: "done" };
  }

  /**
   * Makes entries of Loki's push of rows [row, rows), as far as the kernel can and the limits allow. Nothing may have been
   * written to the piece.
   * @returns what was made. Borrowed: valid until the next call of any kind.
   */
  encodeEntries(batch: Batch, row: number, rows: number, layout: EntryLayout, limits: EntryLimits): Entries {
    this.#program.forget();
    const end = this.#entries.load(layout) ? this.#columns.loadLines(batch, row, rows) : row;
    const { room, most, heads, first } = limits;
    const done = this.#exports.encodeEntries(
      end - row,
      this.#columns.input,
      Math.max(0, Math.min(room, this.pieceBytes * 2)),
      Math.min(most, this.#maxRows),
      heads[0],
      heads[1],
      first ? 1 : 0,
    );
    this.#entries.rows = done;
    return this.#entries;
  }

  /**
   * Packs the entries that were made last: elements in snappy's block format. Borrowed: valid until the next call of any
   * kind, but the entries of the other stream stay as they are.
   */
  packEntries(stream: 0 | 1): Buffer {
    // The batch's bytes are in the entries by now, and elements take a few bytes more than their input at most.
    const end = this.#exports.packEntries(stream, this.#input);
    return this.#bytes.subarray(this.#input, end);
  }
}
