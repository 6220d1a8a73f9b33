/** The Loki output as tests make it. */

import { parseTemplate, type Template } from "../../agent/config/template.ts";
import type { Log } from "../../agent/log.ts";
import { LokiOutput } from "../../outputs/loki.ts";
import { type HttpVariations, httpOptions } from "./http.ts";
import { keepLog } from "./quiet-log.ts";

export interface LokiVariations extends HttpVariations {
  readonly tenant?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly structuredMetadata?: Readonly<Record<string, string>>;
  readonly encoding?: "protobuf" | "json";
  readonly compression?: "none" | "gzip";
  readonly log?: Log;
  readonly unseenRate?: number;
}

const templates = (texts: Readonly<Record<string, string>>): Record<string, Template> =>
  Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, parseTemplate(text)]));

export function lokiOutput(endpoint: string, more: LokiVariations = {}): LokiOutput {
  const {
    tenant = "",
    labels = { namespace: "{namespace}", app: "{app}", container: "{container}", stream: "{stream}", node: "{node}" },
    structuredMetadata = { pod: "{pod}", offset: "{offset}" },
    encoding = "protobuf",
    compression = "gzip",
    log = keepLog().log,
    unseenRate,
  } = more;
  const { endpoints: _, ...http } = httpOptions([], more);
  return new LokiOutput(
    {
      ...http,
      name: "loki",
      endpoint,
      request: { ...http.request, compression },
      tenant: parseTemplate(tenant),
      labels: templates(labels),
      structuredMetadata: templates(structuredMetadata),
      encoding,
      ...(unseenRate === undefined ? {} : { unseenRate }),
    },
    {},
    log,
    more.clock,
  );
}
