/**
 * Exchange: one request and its whole answer, as a handler of undici's. Its `request` makes a stream of each answer, with
 * an iterator and several listeners for what is mostly one chunk.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Dispatcher } from "undici";
import { answers } from "./spare.ts";

export interface Answer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** Owned by the caller, who may give them to `answers`. */
  readonly bytes: Buffer;
}

/** The code of an error: the answer is larger than is taken. */
export const REPLY_TOO_LARGE = "REPLY_TOO_LARGE";

/** From here on an answer gets room of its own, so that the socket's pieces live no longer than it takes to copy them. */
const LONG_BYTES = 32 * 1024;

/** For a single dispatch. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #signal: AbortSignal;
  readonly #maxBytes: number;
  readonly #settle = Promise.withResolvers<Answer>();
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  /** Room for all of a long one whose length is known; what comes of any other is kept as `#chunks`. */
  #room: Buffer | undefined;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #over = false;

  /** @param maxBytes of the answer's body; a longer one is an error. */
  constructor(signal: AbortSignal, maxBytes: number) {
    this.#signal = signal;
    this.#maxBytes = maxBytes;
    signal.addEventListener("abort", this);
  }

  /** @throws undici's and system errors; the signal's reason. */
  get answer(): Promise<Answer> {
    return this.#settle.promise;
  }

  /** Whether an answer has begun. */
  get begun(): boolean {
    return this.#status !== 0;
  }

  /** The signal's. */
  handleEvent(): void {
    this.#fail(this.#signal.reason as Error);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Given up while it waited for a connection.
    if (this.#over) controller.abort(this.#signal.reason as Error);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    const length = Number(headers["content-length"]);
    if (!this.#over && length >= LONG_BYTES && length <= this.#maxBytes) this.#room = answers.take(length);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return;
    const before = this.#bytes;
    this.#bytes += chunk.length;
    if (this.#bytes > (this.#room?.length ?? this.#maxBytes))
      this.#fail(
        Object.assign(new Error(`the answer is larger than ${this.#maxBytes / 1024 ** 2} MiB`), {
          code: REPLY_TOO_LARGE,
        }),
      );
    else if (this.#room === undefined) this.#chunks.push(chunk);
    else chunk.copy(this.#room, before);
  }

  onResponseEnd(): void {
    if (!this.#end()) return;
    const [first] = this.#chunks;
    const bytes =
      this.#room?.subarray(0, this.#bytes) ??
      (this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks, this.#bytes));
    this.#settle.resolve({ status: this.#status, headers: this.#headers, bytes });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#end()) this.#settle.reject(error);
  }

  #fail(error: Error): void {
    if (!this.#end()) return;
    this.#settle.reject(error);
    this.#controller?.abort(error);
  }

  /** @returns false when it was over already. */
  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#signal.removeEventListener("abort", this);
    return true;
  }
}
