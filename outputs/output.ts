/**
 * What a backend adapter must do: encode and send. No timers, no retries, no queues: those live in lane.ts.
 */
import type { Batch } from "../agent/batch.ts";
import type { Origin } from "../agent/pods/origin.ts";

/** A body under construction. */
export interface OpenRequest {
  /** Encoded bytes so far, before compression. */
  readonly bytes: number;
  /** Rows so far. */
  readonly rows: number;
  /**
   * Encodes rows of a batch from `row` on, skipping those flagged DROPPED, until the batch ends or one more row would
   * bring the request over `maxBytes` or `maxRows`. A request always takes at least one row, however large.
   * Nothing of the batch is kept.
   * @returns the first row that was not looked at; `batch.rows` when all were.
   */
  append(batch: Batch, row: number, maxBytes: number, maxRows: number): number;
  /** Ends the body and compresses it. The open request must not be used afterwards. */
  close(): ClosedRequest;
  /** In place of `close`, where rows that came together must not all travel together, or not in the order they came. */
  closeApart?(): readonly Piece[];
}

/** Some rows of an open request, as a request of their own. */
export interface Piece {
  readonly closed: ClosedRequest;
  /** The rows of `closed` are the open request's rows [runs[0], runs[1]), then [runs[2], runs[3]), and so on. Borrowed: valid until the next request is opened. */
  readonly runs: Uint32Array;
}

/** A finished body. Immutable; owned by the lane until it is settled. */
export interface ClosedRequest {
  /** As it goes over the wire, compressed where the output compresses. */
  readonly body: Buffer;
  readonly rows: number;
  /** Encoded bytes before compression. */
  readonly bytes: number;
  /** Requests with a name in common are sent one after the other, in the order in which they were closed. */
  readonly sequences?: readonly string[];
}

/** A row that the backend will never take. */
export interface Rejected {
  readonly row: number;
  /** A short name with few values, for the counter: the backend's error type, for instance. */
  readonly type: string;
  /** The backend's own words. */
  readonly reason: string;
}

/** How one attempt ended. Anything unknown is a retry. `code`: the backend's, or why there is none; "" where nothing was sent. */
export type Outcome =
  | {
      readonly kind: "delivered";
      readonly code: string;
      /** Of the delivered rows: those that the backend has put aside, as into a failure store. */
      readonly putAside?: number;
    }
  /**
   * All rows go again. `afterMs`: what the backend asked for. `alone`: only this request has to wait, the backend is well
   * otherwise. `cut`: the connection was closed without a word, which can mean that the request is too large.
   */
  | {
      readonly kind: "retry";
      readonly code: string;
      readonly reason: string;
      readonly afterMs?: number;
      readonly alone?: boolean;
      readonly cut?: boolean;
    }
  /**
   * Too large or malformed as a whole: halved until the row at fault is alone, and then rejected. With `into` those
   * pieces go again instead, at once, and `rejected` is all that is rejected; each row is in one of them.
   */
  | {
      readonly kind: "split";
      readonly code: string;
      readonly type: string;
      readonly reason: string;
      readonly into?: readonly (readonly number[])[];
      readonly rejected?: readonly Rejected[];
    }
  /** By row; rows in neither list are delivered. */
  | {
      readonly kind: "mixed";
      readonly code: string;
      readonly retry: readonly number[];
      readonly rejected: readonly Rejected[];
      /** Why rows go again; "" when none do. */
      readonly reason: string;
      readonly afterMs?: number;
      /** As above. */
      readonly putAside?: number;
    };

export interface Output {
  readonly type: string;
  /** Batches of different keys never share a request (a tenant, for instance). */
  requestKey(batch: Batch): string;
  open(key: string): OpenRequest;
  /** Containers for which it gives the same text are read at one pace, so that their lines come in order of time. */
  convoy?(origin: Origin): string;
  /** One attempt. Never throws for what a network or a backend can do; aborts promptly on `signal`. */
  send(request: ClosedRequest, signal: AbortSignal): Promise<Outcome>;
  /** The same request with only these rows (ascending), for partial retries and splitting. May be slow. */
  pick(request: ClosedRequest, rows: readonly number[]): ClosedRequest;
  /** One row as text, for the dead letter: what `send` would have sent for it. */
  entry(request: ClosedRequest, row: number): string;
  /**
   * The inverse, to send dead letters again: one request of the first of these entries, whose rows had this key; of as
   * many as can share one, at least one. Only where a backend can refuse rows for good.
   */
  restore?(key: string, entries: readonly string[]): ClosedRequest;
  /** Frees sockets, files and timers. */
  close(): Promise<void>;
}
