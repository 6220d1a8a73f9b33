/**
 * ScanKernel: the scan of plain lines in WebAssembly (assembly/scan.ts), with a memory of its own that never grows. Lines
 * are copied in and columns copied out, so that nobody else has views of it: 0.1 CPU-seconds per GB.
 */
import type { Rows } from "../batch.ts";
import { instantiate, kernelsEnabled } from "./kernel.ts";

interface Exports {
  readonly SCAN_COLUMNS: WebAssembly.Global;
  readonly SCAN_INPUT: WebAssembly.Global;
  readonly SCAN_INPUT_BYTES: WebAssembly.Global;
  readonly SCAN_MEMORY_BYTES: WebAssembly.Global;
  readonly SCAN_ROWS: WebAssembly.Global;
  readonly SCAN_TEXT: WebAssembly.Global;
  readonly scannedAscii: WebAssembly.Global;
  readonly scannedText: WebAssembly.Global;
  readonly scannedTo: WebAssembly.Global;
  prepareScan(): void;
  scanLines(
    at: number,
    to: number,
    formats: number,
    base: number,
    shift: number,
    textShift: number,
    maxBytes: number,
  ): number;
}

const PAGES = 12;
const LF = 0x0a;

/** Bits of `formats`. */
export const SCAN_CRI = 1;
export const SCAN_DOCKER = 2;

let shared: ScanKernel | undefined;

/** The one instance, for a call that awaits nothing; undefined where there are no kernels. */
export function scanKernel(): ScanKernel | undefined {
  if (!kernelsEnabled()) return undefined;
  if (shared === undefined) {
    const { exports, memory } = instantiate(PAGES) as NonNullable<ReturnType<typeof instantiate>>;
    shared = new ScanKernel(exports as Exports, memory);
  }
  return shared;
}

export class ScanKernel {
  readonly #exports: Exports;
  readonly #bytes: Buffer;
  readonly #inputBytes: number;
  readonly #input: number;
  readonly #text: number;
  readonly #offset: Float64Array;
  readonly #seconds: Float64Array;
  readonly #size: Float64Array;
  readonly #from: Uint32Array;
  readonly #to: Uint32Array;
  readonly #nanos: Uint32Array;
  readonly #digits: Uint8Array;
  readonly #flags: Uint8Array;
  /** What is loaded are the caller's bytes [start, end). */
  #start = 0;
  #end = 0;
  /** Rows that the last scan made. */
  scanned = 0;
  /** Whether their lines are ASCII, and so valid UTF-8. */
  ascii = false;

  constructor(exports: Exports, memory: ArrayBuffer) {
    const { SCAN_COLUMNS, SCAN_INPUT, SCAN_INPUT_BYTES, SCAN_MEMORY_BYTES, SCAN_ROWS, SCAN_TEXT } = exports;
    if (SCAN_MEMORY_BYTES.value > memory.byteLength) throw new Error(`scanning needs ${SCAN_MEMORY_BYTES.value} bytes`);
    this.#exports = exports;
    this.#bytes = Buffer.from(memory);
    this.#input = SCAN_INPUT.value;
    this.#inputBytes = SCAN_INPUT_BYTES.value;
    this.#text = SCAN_TEXT.value;
    const [at, rows] = [SCAN_COLUMNS.value, SCAN_ROWS.value];
    this.#offset = new Float64Array(memory, at, rows);
    this.#seconds = new Float64Array(memory, at + rows * 8, rows);
    this.#size = new Float64Array(memory, at + rows * 16, rows);
    this.#from = new Uint32Array(memory, at + rows * 24, rows);
    this.#to = new Uint32Array(memory, at + rows * 28, rows);
    this.#nanos = new Uint32Array(memory, at + rows * 32, rows);
    this.#digits = new Uint8Array(memory, at + rows * 36, rows);
    this.#flags = new Uint8Array(memory, at + rows * 37, rows);
    exports.prepareScan();
  }

  /** Takes as much of bytes[from, to) as there is room for. @returns where that ends. */
  load(bytes: Buffer, from: number, to: number): number {
    this.#start = from;
    this.#end = Math.min(to, from + this.#inputBytes);
    bytes.copy(this.#bytes, this.#input, from, this.#end);
    this.#bytes[this.#input + this.#end - from] = LF;
    return this.#end;
  }

  /**
   * Appends the rows of plain lines from `at` on, which must be loaded and the head of a line.
   * @param base added to a position it gives the offset in the file. @param maxBytes of a message.
   * @returns where the first line begins that is left: not plain, or not all there.
   */
  scan(rows: Rows, at: number, formats: number, base: number, maxBytes: number): number {
    const shift = this.#start - this.#input;
    const count = this.#exports.scanLines(
      at - shift,
      this.#end - shift,
      formats,
      base + shift,
      shift,
      rows.used - this.#text,
      maxBytes,
    );
    this.scanned = count;
    this.ascii = this.#exports.scannedAscii.value === 1;
    if (count === 0) return at;
    const row = rows.addMany(count);
    rows.offset.set(this.#offset.subarray(0, count), row);
    rows.seconds.set(this.#seconds.subarray(0, count), row);
    rows.size.set(this.#size.subarray(0, count), row);
    rows.from.set(this.#from.subarray(0, count), row);
    rows.to.set(this.#to.subarray(0, count), row);
    rows.nanos.set(this.#nanos.subarray(0, count), row);
    rows.digits.set(this.#digits.subarray(0, count), row);
    rows.flags.set(this.#flags.subarray(0, count), row);
    const textEnd = this.#exports.scannedText.value;
    if (textEnd > this.#text) {
      rows.reserve(textEnd - this.#text);
      rows.used += this.#bytes.copy(rows.bytes, rows.used, this.#text, textEnd);
    }
    return this.#exports.scannedTo.value + shift;
  }
}
