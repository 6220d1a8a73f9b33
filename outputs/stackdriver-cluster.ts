/**
 * ClusterIdentity: project, location and name of the cluster, which stand in every entry. What the configuration does not
 * give comes from the metadata server, which may not answer yet when the first records are encoded: until it does, bytes
 * that no text holds stand for the values, and are replaced before a request goes out.
 */
import type { GoogleAuth } from "./google-auth.ts";
import type { MetadataServer } from "./google-metadata.ts";

export interface ClusterOptions {
  /** "" is unknown, as with the others. */
  readonly projectId: string;
  readonly location: string;
  readonly clusterName: string;
}

/** Bytes that UTF-8 never has, one for each value. */
const FIRST_MARK = 0xf8;
const VALUES = ["projectId", "location", "clusterName"] as const;

const PATHS: Readonly<Record<(typeof VALUES)[number], readonly string[]>> = {
  projectId: ["/computeMetadata/v1/project/project-id"],
  // The second is for machines that are no nodes of GKE: projects/NUMBER/zones/ZONE.
  location: ["/computeMetadata/v1/instance/attributes/cluster-location", "/computeMetadata/v1/instance/zone"],
  clusterName: ["/computeMetadata/v1/instance/attributes/cluster-name"],
};

export class ClusterIdentity {
  readonly #metadata: MetadataServer;
  readonly #auth: GoogleAuth | undefined;
  readonly #found: Record<(typeof VALUES)[number], string>;
  #asking: Promise<string> | undefined;

  constructor(options: ClusterOptions, metadata: MetadataServer, auth: GoogleAuth | undefined) {
    const { projectId, location, clusterName } = options;
    this.#found = { projectId, location, clusterName };
    this.#metadata = metadata;
    this.#auth = auth;
  }

  get isKnown(): boolean {
    return VALUES.every((name) => this.#found[name] !== "");
  }

  /** As the inside of a JSON string; a mark while unknown. */
  value(name: (typeof VALUES)[number]): Buffer {
    const found = this.#found[name];
    return found === "" ? Buffer.of(FIRST_MARK + VALUES.indexOf(name)) : inside(found);
  }

  /** Asks for what is unknown. @returns "" when all is known now, else why not. */
  async discover(signal: AbortSignal): Promise<string> {
    if (this.isKnown) return "";
    this.#asking ??= this.#discover(signal).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Puts the values where their marks are. @param offsets in `body`, ascending; moved along. */
  resolve(body: Buffer, offsets: number[]): Buffer {
    const pieces: Buffer[] = [];
    let from = 0;
    let moved = 0;
    let next = 0;
    for (let at = 0; at < body.length; at++) {
      const value = (body[at] as number) >= FIRST_MARK ? VALUES[(body[at] as number) - FIRST_MARK] : undefined;
      if (value === undefined) continue;
      for (; next < offsets.length && offsets[next]! <= at; next++) offsets[next]! += moved;
      const text = this.value(value);
      pieces.push(body.subarray(from, at), text);
      from = at + 1;
      moved += text.length - 1;
    }
    for (; next < offsets.length; next++) offsets[next]! += moved;
    pieces.push(body.subarray(from));
    return Buffer.concat(pieces);
  }

  async #discover(signal: AbortSignal): Promise<string> {
    this.#found.projectId ||= this.#auth?.projectId ?? "";
    let why = "";
    for (const name of VALUES) {
      let said = "";
      for (const path of this.#found[name] === "" ? PATHS[name] : []) {
        const reply = await this.#metadata.get(path, signal);
        const text = "error" in reply || reply.status !== 200 ? "" : reply.body.trim();
        if (text !== "") {
          this.#found[name] = text.slice(text.lastIndexOf("/") + 1);
          break;
        }
        said ||= "error" in reply ? `gave no answer (${reply.error})` : `answered ${path} with ${reply.status}`;
        // What may be there, but is not well, is asked for again before anything stands in for it.
        if ("error" in reply || reply.status !== 404) break;
      }
      if (this.#found[name] === "") why ||= `${name} is not set, and the metadata server ${said}`;
    }
    return this.isKnown ? "" : why;
  }
}

function inside(text: string): Buffer {
  return Buffer.from(JSON.stringify(text.toWellFormed()).slice(1, -1));
}
