/** The Elasticsearch output as tests make it. */
import { parseTemplate } from "../../agent/config/template.ts";
import type { Log } from "../../agent/log.ts";
import type { DocumentSchema } from "../../outputs/ecs.ts";
import { ElasticsearchOutput } from "../../outputs/elasticsearch.ts";
import { type HttpVariations, httpOptions } from "./http.ts";
import { keepLog } from "./quiet-log.ts";

export interface ElasticsearchVariations extends HttpVariations {
  readonly index?: string;
  readonly op?: "create" | "index";
  readonly pipeline?: string;
  readonly schema?: DocumentSchema;
  readonly dedupe?: boolean;
  readonly compression?: "none" | "gzip";
  readonly setupTemplate?: boolean;
  readonly log?: Log;
}

export function elasticsearchOutput(
  endpoints: readonly string[],
  more: ElasticsearchVariations = {},
): ElasticsearchOutput {
  const { setupTemplate = false } = more;
  const { index = "logs-test-default", op = "create", pipeline = "", schema = "ecs", dedupe = true } = more;
  const http = httpOptions(endpoints, more);
  const request = { ...http.request, compression: more.compression ?? "gzip" };
  return new ElasticsearchOutput(
    { ...http, name: "out", request, index: parseTemplate(index), op, pipeline, schema, dedupe, setupTemplate },
    {},
    more.log ?? keepLog().log,
    more.clock,
  );
}
