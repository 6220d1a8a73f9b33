/**
 * MetadataServer: what Google's machines tell the programs on them (cloud.google.com/compute/docs/metadata). Only an
 * answer that carries `Metadata-Flavor: Google` is one, and no proxy stands between.
 */
import type { Clock } from "../agent/clock.ts";
import { type HttpFailure, type HttpReply, HttpTarget } from "./http.ts";

const HOST = "metadata.google.internal";
const TIMEOUT_MS = 10_000;
const FLAVOR = { "metadata-flavor": "Google" };

export class MetadataServer {
  readonly #target: HttpTarget;

  /** @param env GCE_METADATA_HOST or GCE_METADATA_IP, host with or without port, stand for the server. */
  constructor(env: Readonly<Record<string, string | undefined>>, clock: Clock) {
    const host = env.GCE_METADATA_HOST || env.GCE_METADATA_IP || HOST;
    const tls = { caFile: "", certFile: "", keyFile: "", serverName: "", insecureSkipVerify: false };
    const request = { timeout: TIMEOUT_MS, concurrency: 2, headers: {} };
    this.#target = new HttpTarget({ endpoints: [`http://${host}`], request, tls, auth: {} }, {}, clock);
  }

  /** Never throws. */
  async get(path: string, signal: AbortSignal): Promise<HttpReply | HttpFailure> {
    const reply = await this.#target.request({ method: "GET", path, headers: FLAVOR }, signal);
    if ("error" in reply || reply.headers["metadata-flavor"] === FLAVOR["metadata-flavor"]) return reply;
    return { code: "FOREIGN", error: "the answer is not the metadata server's", begun: true, endpoint: reply.endpoint };
  }

  close(): Promise<void> {
    return this.#target.close();
  }
}
