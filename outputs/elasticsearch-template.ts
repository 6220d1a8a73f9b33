/**
 * The index template, without which a server guesses types: with it times keep their nanoseconds, labels can't conflict,
 * and what looks like a date stays text. Installed once by each output before its first request, when no template of
 * its name is there; one that is there is never touched, so people can change it.
 *
 * Nothing depends on it: where rights, an old version or something in front forbid it, a warning says so and records go
 * on. Of a server nothing is asked beforehand, since `GET /` may be forbidden or missing; field types that it lacks show
 * in its refusal of a template, and the next body does without them.
 */
import type { Clock } from "../agent/clock.ts";
import type { Log } from "../agent/log.ts";
import type { DocumentSchema } from "./ecs.ts";
import { indexPattern } from "./elasticsearch-name.ts";
import { type HttpFailure, type HttpReply, type HttpTarget, retryAfterMs } from "./http.ts";
import type { Outcome } from "./output.ts";

export interface TemplateOptions {
  /** As configured, with placeholders. */
  readonly index: string;
  readonly op: "create" | "index";
  readonly schema: DocumentSchema;
}

/** What kinds of servers differ in. */
interface Features {
  /** For labels and annotations: one field for all keys, so that there are never too many. */
  readonly map: "flattened" | "flat_object" | "object";
  readonly text: "match_only_text" | "text";
  /** Elasticsearch 8.14 and newer: a new field over the limit is not indexed, instead of the document being refused. */
  readonly ignoresBeyondLimit?: true;
}

/** The most capable first: Elasticsearch, OpenSearch, and what all have. */
const FEATURES: readonly Features[] = [
  { map: "flattened", text: "match_only_text", ignoresBeyondLimit: true },
  { map: "flattened", text: "match_only_text" },
  { map: "flattened", text: "text" },
  { map: "flat_object", text: "match_only_text" },
  { map: "flat_object", text: "text" },
  { map: "object", text: "text" },
];

/**
 * Above Elastic's own `logs-*-*` (100) and below what people and integrations use (150, 200). In between the longer name
 * wins, since templates whose patterns overlap must differ in priority.
 */
const PRIORITY = { min: 101, max: 149 };
/** A pattern that catches the indices of others is worse than none. */
const MIN_PREFIX = 3;

const KEYWORD = { type: "keyword", ignore_above: 1024 };

interface IndexTemplate {
  readonly name: string;
  /** Alternatives, the most capable first. */
  readonly bodies: readonly Buffer[];
}

/** @returns undefined for an index whose name begins with a placeholder. */
export function indexTemplate({ index, op, schema }: TemplateOptions): IndexTemplate | undefined {
  const pattern = indexPattern(index);
  const prefix = pattern.split("*", 1)[0] as string;
  if (prefix !== pattern && prefix.length < MIN_PREFIX) return undefined;
  // Daily names are indices that somebody deletes by name; the others have to roll over.
  const isStream = op === "create" && !/\{(?:yyyy[^}]*|HH)\}/.test(index);
  const bodies = FEATURES.map((features) =>
    Buffer.from(
      JSON.stringify({
        index_patterns: [pattern],
        priority: Math.min(PRIORITY.max, PRIORITY.min + pattern.replaceAll("*", "").length),
        ...(isStream ? { data_stream: {} } : {}),
        template: { settings: settings(features), mappings: mappings(features, schema) },
        _meta: { managed_by: "tailrace", description: "Container logs; not changed again once it is there." },
      }),
    ),
  );
  return { name: `tailrace-${pattern.replaceAll("*", "any")}`, bodies };
}

function settings({ ignoresBeyondLimit }: Features): Record<string, unknown> {
  return {
    "index.codec": "best_compression",
    // A field of another type than before is left out of the index, and its document kept.
    "index.mapping.ignore_malformed": true,
    ...(ignoresBeyondLimit === true ? { "index.mapping.total_fields.ignore_dynamic_beyond_limit": true } : {}),
  };
}

function mappings({ map, text }: Features, schema: DocumentSchema): Record<string, unknown> {
  const keyed = map === "flattened" ? { type: map, ignore_above: 1024 } : { type: map };
  const labels = { labels: keyed, annotations: keyed };
  return {
    date_detection: false,
    dynamic_templates: [{ strings: { match_mapping_type: "string", mapping: KEYWORD } }],
    properties: {
      "@timestamp": { type: "date_nanos", ignore_malformed: false },
      stream: KEYWORD,
      ...(schema === "ecs"
        ? {
            message: { type: text },
            error: { properties: { message: { type: text } } },
            log: { properties: { offset: { type: "long" }, level: KEYWORD } },
            kubernetes: {
              properties: {
                namespace: KEYWORD,
                pod: { properties: { name: KEYWORD, uid: KEYWORD, ip: { type: "ip" } } },
                ...labels,
                namespace_labels: keyed,
              },
            },
          }
        : { log: { type: text }, kubernetes: { properties: { ...labels, pod_ip: { type: "ip" } } } }),
    },
  };
}

export class TemplateSetup {
  readonly #target: HttpTarget;
  readonly #output: string;
  readonly #template: IndexTemplate | undefined;
  readonly #clock: Clock;
  readonly #log: Log;
  #isOver = false;
  #running: Promise<Outcome | undefined> | undefined;

  /** @param output its name. */
  constructor(target: HttpTarget, output: string, options: TemplateOptions, clock: Clock, log: Log) {
    this.#target = target;
    this.#output = output;
    this.#template = indexTemplate(options);
    this.#clock = clock;
    this.#log = log;
    if (this.#template === undefined)
      this.#giveUp(
        options.index,
        "the index's name begins with a placeholder, so its pattern would catch other indices",
      );
  }

  /** @returns why records have to wait; undefined when they may go. */
  async ready(signal: AbortSignal): Promise<Outcome | undefined> {
    if (this.#isOver || this.#template === undefined) return undefined;
    this.#running ??= this.#install(this.#template, signal);
    try {
      return await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  async #install({ name, bodies }: IndexTemplate, signal: AbortSignal): Promise<Outcome | undefined> {
    const path = `/_index_template/${encodeURIComponent(name)}`;
    const there = await this.#ask("HEAD", path, undefined, signal);
    if (isUnwell(there)) return this.#wait(there);
    if (there.status === 200) return this.#finish();
    if (there.status !== 404) return this.#giveUp(name, said(there));
    let refusal = "";
    for (const body of bodies) {
      // With `create` one that another node's agent has just made is not overwritten.
      const reply = await this.#ask("PUT", `${path}?create=true`, body, signal);
      if (isUnwell(reply)) return this.#wait(reply);
      if (reply.status === 200) {
        this.#log.info({ output: this.#output, template: name }, "index template installed");
        return this.#finish();
      }
      refusal = said(reply);
      if (reply.status !== 400) break;
      const now = await this.#ask("HEAD", path, undefined, signal);
      if (isUnwell(now)) return this.#wait(now);
      if (now.status === 200) return this.#finish();
    }
    return this.#giveUp(name, refusal);
  }

  #ask(
    method: "HEAD" | "PUT",
    path: string,
    body: Buffer | undefined,
    signal: AbortSignal,
  ): Promise<HttpReply | HttpFailure> {
    const headers = { accept: "application/json", "user-agent": "tailrace" };
    return this.#target.request(
      body === undefined
        ? { method, path, headers }
        : { method, path, headers: { ...headers, "content-type": "application/json" }, body },
      signal,
    );
  }

  #finish(): undefined {
    this.#isOver = true;
  }

  #giveUp(template: string, reason: string): undefined {
    this.#log.warn(
      { output: this.#output, template, reason },
      "can't install the index template, so the server guesses types; grant manage_index_templates, install one of your own, or set setupTemplate: false",
    );
    this.#isOver = true;
  }

  #wait(reply: HttpReply | HttpFailure): Outcome {
    if ("error" in reply)
      return {
        kind: "retry",
        code: reply.code,
        reason: `${reply.endpoint} gave no answer (${reply.error}); is the address right, and the server up?`,
      };
    const afterMs = retryAfterMs(reply.headers, this.#clock.wall());
    const code = String(reply.status);
    const advice = reply.status === 401 ? "; check the credentials under auth" : "";
    const reason = `${reply.endpoint} answered ${code} when asked about the index template${advice}`;
    return { kind: "retry", code, reason, ...(afterMs === undefined ? {} : { afterMs }) };
  }
}

/** Whether records would fare no better. */
const UNWELL = new Set([401, 408, 429, 502, 503, 504]);

function isUnwell(reply: HttpReply | HttpFailure): reply is HttpFailure | (HttpReply & { unwell: true }) {
  return "error" in reply || UNWELL.has(reply.status);
}

/** The innermost cause is the one that names the field or setting. */
function said({ status, body }: HttpReply): string {
  try {
    let error = (JSON.parse(body) as { error?: unknown }).error as { reason?: string; caused_by?: unknown } | undefined;
    while (typeof error?.caused_by === "object" && error.caused_by !== null)
      error = error.caused_by as { reason?: string; caused_by?: unknown };
    return `${status} ${error?.reason ?? ""}`.trim().slice(0, 500);
  } catch {
    return String(status);
  }
}
