/** Index templates as Elasticsearch and OpenSearch keep them: what they were seen to refuse is refused here. */
import { type Answer, failure } from "./bulk.ts";

interface Body {
  readonly index_patterns: readonly string[];
  readonly priority?: number;
  readonly data_stream?: object;
  readonly template?: { readonly settings?: Record<string, unknown>; readonly mappings?: Mapping };
}

interface Mapping {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Mapping>>;
}

/** Of Elasticsearch 8 and 9. */
const FIELD_TYPES = ["keyword", "text", "match_only_text", "long", "ip", "date_nanos", "object", "flattened"];
const SETTINGS = [
  "index.codec",
  "index.mapping.ignore_malformed",
  "index.mapping.total_fields.ignore_dynamic_beyond_limit",
];
const BODY_KEYS = new Set(["index_patterns", "priority", "data_stream", "template", "_meta"]);

export class Templates {
  readonly all = new Map<string, Body>();
  /** Field types and settings that this server has. */
  readonly fieldTypes = new Set(FIELD_TYPES);
  readonly settings = new Set(SETTINGS);

  /** Whether an index of this name is made a data stream. */
  makesStream(index: string): boolean {
    const matching = [...this.all.values()].filter(({ index_patterns }) =>
      index_patterns.some((p) => matches(p, index)),
    );
    const best = matching.sort((a, b) => (b.priority ?? 0) - (a.priority ?? 0))[0];
    return best?.data_stream !== undefined;
  }

  put(name: string, bytes: Buffer, create: boolean): Answer {
    if (create && this.all.has(name)) return refused(`index template [${name}] already exists`);
    const body = JSON.parse(bytes.toString()) as Body;
    for (const key of Object.keys(body))
      if (!BODY_KEYS.has(key))
        return failure(400, "x_content_parse_exception", `[1:2] [index_template] unknown field [${key}]`);
    const rival = [...this.all].find(
      ([other, { index_patterns, priority = 0 }]) =>
        other !== name &&
        priority === (body.priority ?? 0) &&
        index_patterns.some((a) => body.index_patterns.some((b) => matches(a, b) || matches(b, a))),
    );
    if (rival !== undefined)
      return refused(
        `index template [${name}] has index patterns matching patterns from [${rival[0]}] of the same priority`,
      );
    for (const setting of Object.keys(body.template?.settings ?? {}))
      if (!this.settings.has(setting))
        return failure(
          400,
          "invalid_index_template_exception",
          `index_template [${name}] invalid, cause [unknown setting [${setting}]]`,
        );
    const type = typesOf(body.template?.mappings ?? {}).find((type) => !this.fieldTypes.has(type));
    if (type !== undefined) {
      const cause = { type: "mapper_parsing_exception", reason: `The mapper type [${type}] does not exist.` };
      const reason = `composable template [${name}] template after composition is invalid`;
      const error = { type: "illegal_argument_exception", reason, caused_by: cause };
      return { status: 400, body: { error: { root_cause: [error], ...error }, status: 400 } };
    }
    this.all.set(name, body);
    return { status: 200, body: { acknowledged: true } };
  }
}

function refused(reason: string): Answer {
  return failure(400, "illegal_argument_exception", reason);
}

function typesOf({ type, properties = {} }: Mapping): string[] {
  return [...(type === undefined ? [] : [type]), ...Object.values(properties).flatMap(typesOf)];
}

function matches(pattern: string, name: string): boolean {
  const expression = pattern.split("*").map((part) => part.replace(/[.+^$(){}|[\]\\]/g, "\\$&"));
  return new RegExp(`^${expression.join(".*")}$`).test(name);
}
