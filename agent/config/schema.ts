/**
 * The configuration: one declaration a setting gives its type, default, check, documentation and JSON Schema. Sizes come
 * out in bytes, durations in milliseconds.
 */
import { z } from "zod";
import { Secret } from "./secret.ts";
import { parseTemplate, TemplateError } from "./template.ts";
import { parseDuration, parseSize, SIZE_HINT, SIZE_PATTERN, TIME_HINT, TIME_PATTERN } from "./units.ts";

type Issue = (message: string) => void;

/** A value that is written in one form and used in another. `schema`: its JSON Schema. */
function converted<T>(
  schema: Record<string, unknown>,
  hint: string,
  convert: (value: unknown, issue: Issue) => T | undefined,
) {
  return z
    .any()
    .meta({ schema, hint })
    .transform((value, context): T => {
      const result = convert(value, (message) => context.addIssue({ code: "custom", message }));
      if (result === undefined) {
        if (context.issues.length === 0)
          context.addIssue({ code: "custom", message: `${shown(value)} is not ${hint}` });
        return z.NEVER;
      }
      return result;
    });
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "a mapping" : JSON.stringify(value);
}

const isScalar = (value: unknown): value is string | number => typeof value === "string" || typeof value === "number";

function size(min: number, fallback: string) {
  return converted(
    { type: ["string", "integer"], pattern: SIZE_PATTERN, default: fallback },
    SIZE_HINT,
    (value, issue) => {
      const bytes = isScalar(value) ? parseSize(value) : undefined;
      if (bytes !== undefined && bytes < min) issue(`${shown(value)} is too small; it must be at least ${min} bytes`);
      return bytes;
    },
  ).default(parseSize(fallback) as number);
}

function duration(fallback: string, minMs = 0) {
  return converted(
    { type: ["string", "integer"], pattern: TIME_PATTERN, default: fallback },
    TIME_HINT,
    (value, issue) => {
      const ms = isScalar(value) ? parseDuration(value) : undefined;
      if (ms !== undefined && ms < minMs) issue(`${shown(value)} is too short; it must be at least ${minMs} ms`);
      return ms;
    },
  ).default(parseDuration(fallback) as number);
}

/** Also as text, since variables are text. */
function count(min: number, max: number, fallback: number) {
  return converted(
    { type: "integer", minimum: min, maximum: max, default: fallback },
    `a whole number from ${min} to ${max}`,
    (value) => {
      const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
      return typeof number === "number" && Number.isInteger(number) && number >= min && number <= max
        ? number
        : undefined;
    },
  ).default(fallback);
}

function flag(fallback: boolean) {
  return converted({ type: "boolean", default: fallback }, "true or false", (value) =>
    value === "true" || value === true ? true : value === "false" || value === false ? false : undefined,
  ).default(fallback);
}

function text(fallback: string) {
  return z.string().default(fallback);
}

const list = (fallback: string[]) => z.array(z.string()).default(fallback);

function template(fallback?: string) {
  const schema = { type: "string", ...(fallback === undefined ? {} : { default: fallback }) };
  const parsed = converted(schema, "a text with placeholders such as {namespace}", (value, issue) => {
    if (typeof value !== "string" || value === "") return undefined;
    try {
      return parseTemplate(value);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      issue(error.message);
      return undefined;
    }
  });
  return fallback === undefined ? parsed : parsed.default(parseTemplate(fallback));
}

const secret = converted(
  {
    anyOf: [
      { type: "string" },
      { type: "object", properties: { file: { type: "string" } }, required: ["file"], additionalProperties: false },
    ],
  },
  "a text, or { file: PATH } to read it from there",
  (value) => {
    if (typeof value === "string" && value !== "") return Secret.ofText(value);
    const file =
      typeof value === "object" && value !== null && Object.keys(value).length === 1 && "file" in value && value.file;
    return typeof file === "string" && file !== "" ? Secret.ofFile(file) : undefined;
  },
);

const address = (fallback: string) =>
  converted({ type: "string", default: fallback }, "an address such as 0.0.0.0:9780 or [::1]:9780", (value) =>
    typeof value === "string" &&
    /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+):\d{1,5}$/.test(value) &&
    Number(value.split(":").at(-1)) < 65536
      ? value
      : undefined,
  ).default(fallback);

const endpoint = converted({ type: "string", format: "uri" }, "a URL such as https://es:9200", (value, issue) => {
  if (typeof value !== "string" || !/^https?:\/\//.test(value) || !URL.canParse(value)) return undefined;
  const { username, password } = new URL(value);
  if (username !== "" || password !== "") issue("a URL must hold no user or password: put them under auth");
  return value.replace(/\/+$/, "");
});

const batch = (maxBytes: string) =>
  z
    .strictObject({
      maxBytes: size(1024, maxBytes).describe("Size of a request's body as encoded, before compression."),
      maxRecords: count(1, 1_000_000, 20_000).describe("Records in a request."),
      maxWait: duration("1s").describe("How long a record waits for others to share its request."),
    })
    .prefault({});

const request = z
  .strictObject({
    timeout: duration("90s", 1).describe("Of one attempt, from connecting to the end of the answer."),
    concurrency: count(1, 64, 2).describe("Requests in flight."),
    compression: z.enum(["none", "gzip"]).default("gzip").describe("Of request bodies."),
    headers: z
      .record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/), secret)
      .default({})
      .describe("More HTTP headers; a value may be { file: PATH }."),
  })
  .prefault({});

const retry = z
  .strictObject({
    initialDelay: duration("500ms", 1).describe(
      "Before the first repeat; doubled for each further one, with full jitter.",
    ),
    maxDelay: duration("30s", 1).describe("The longest pause. Retries go on for ever; Retry-After is honoured."),
  })
  .prefault({});

const tls = z
  .strictObject({
    caFile: text("").describe("Certificates of authorities, PEM; they replace the system's."),
    certFile: text("").describe("Client certificate, PEM."),
    keyFile: text("").describe("Its key, PEM."),
    serverName: text("").describe("Name to check the server's certificate for; default: the host of the endpoint."),
    insecureSkipVerify: flag(false).describe("Accept any certificate. Never in production."),
  })
  .refine(({ certFile, keyFile }) => (certFile === "") === (keyFile === ""), "certFile and keyFile go together")
  .prefault({});

const auth = z
  .strictObject({
    username: z.string().optional().describe("For basic authentication, with password."),
    password: secret.optional().describe("Its password."),
    apiKey: secret.optional().describe("As Elasticsearch gives it: encoded, or id:key."),
    bearerToken: secret.optional().describe("Sent as Authorization: Bearer."),
  })
  .refine(
    ({ username, password }) => (username === undefined) === (password === undefined),
    "username and password go together",
  )
  .refine(
    ({ password, apiKey, bearerToken }) =>
      [password, apiKey, bearerToken].filter((kind) => kind !== undefined).length <= 1,
    "only one of username and password, apiKey, or bearerToken can be used",
  )
  .prefault({});

const common = (maxBytes: string) => ({
  name: z
    .string()
    .regex(
      /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/,
      "a name has 1 to 63 letters, digits, dots, dashes or underscores, and begins with a letter or digit",
    )
    .describe("Unique; names its checkpoints, metrics and dead letters."),
  memory: size(128 * 1024, "32MiB").describe("Raw bytes read but not yet accepted, at most."),
  batch: batch(maxBytes),
  request,
  retry,
  deadLetter: z
    .strictObject({
      maxBytes: size(0, "64MiB").describe(
        "Disk space for records that the backend refuses for good; 0: they are only counted.",
      ),
    })
    .prefault({}),
  tls,
  auth,
});

const elasticsearch = z.strictObject({
  ...common("4MiB"),
  type: z.literal("elasticsearch").describe("Elasticsearch 7-9 or OpenSearch 1-3."),
  endpoints: z.array(endpoint).min(1).describe("Several: spread over those that answer."),
  index: template("logs-kubernetes.container_logs-default").describe(
    'A data stream or an index; a template, e.g. "logs-{namespace}" or "logs-{yyyy.MM.dd}" (by the record\'s time).',
  ),
  op: z.enum(["create", "index"]).default("create").describe("Data streams take only create."),
  pipeline: text("").describe("An ingest pipeline."),
  schema: z.enum(["ecs", "fluentbit"]).default("ecs").describe("Field names."),
  dedupe: flag(true).describe("A deterministic _id, so that a record sent twice is stored once."),
});

const console = z.strictObject({
  ...common("4MiB"),
  type: z.literal("console").describe("Standard output."),
  format: z.enum(["pretty", "json"]).default("pretty").describe("For people, or one ECS document a line."),
});

const file = z.strictObject({
  ...common("4MiB"),
  type: z.literal("file").describe("Files on the node, one ECS document a line."),
  path: template().describe('A template, e.g. "/data/{namespace}/{pod}/{container}.ndjson".'),
  rotate: z
    .strictObject({
      maxBytes: size(1024, "100MiB").describe("A file that would grow beyond it is renamed to FILE.1 first."),
      maxFiles: count(1, 1000, 5).describe("Files kept, the current one included."),
    })
    .prefault({}),
});

const output = z
  .discriminatedUnion("type", [elasticsearch, console, file])
  .superRefine(({ memory, batch }, context) => {
    if (batch.maxBytes > memory)
      context.addIssue({
        code: "custom",
        path: ["batch", "maxBytes"],
        message: "batch.maxBytes must not be larger than memory",
      });
  });

export const configSchema = z.strictObject({
  nodeName: text("").describe("Default: $NODE_NAME, else the host's name."),
  clusterName: text("").describe("Added to every record when set."),
  dataDir: text("/var/lib/tailrace").describe("Checkpoints and dead letters; must outlive the pod."),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info").describe("Of the agent's own log."),
  shutdownTimeout: duration("25s").describe("After SIGTERM: deliver what was read for at most this long."),
  source: z
    .strictObject({
      include: list(["/var/log/containers/*.log"]).describe(
        "Globs; links are followed, but only to files under roots.",
      ),
      exclude: list([]).describe("Globs of paths to leave alone."),
      roots: list(["/var/log/pods", "/var/log/containers", "/var/lib/docker/containers"]).describe(
        "Folders that may be read; a link that leads elsewhere is never opened.",
      ),
      startAt: z
        .enum(["beginning", "end"])
        .default("beginning")
        .describe(
          "For files that are there when an output runs for the very first time; a file that appears later is always read from its beginning.",
        ),
      format: z.enum(["auto", "cri", "docker"]).default("auto").describe("auto tells them apart line by line."),
      maxRecordBytes: size(1024, "1MiB").describe("Of one joined message: the rest is cut off, marked and counted."),
      partialTimeout: duration("5s", 1).describe(
        "An unfinished message of a container that no longer writes is shipped after this long.",
      ),
    })
    .prefault({}),
  kubernetes: z
    .strictObject({
      enabled: flag(true).describe("Ask the API server for pod metadata."),
      kubeconfig: text("").describe("Default: the in-cluster service account."),
      labels: list(["*"]).describe("Globs of pod labels to attach."),
      annotations: list([]).describe("Globs of pod annotations to attach."),
      namespaceLabels: list([]).describe("Globs of namespace labels to attach."),
      metadataTimeout: duration("5s").describe(
        "A new container's first read waits at most this long for its pod's metadata, then goes on with what the path tells.",
      ),
    })
    .prefault({}),
  outputs: z
    .array(output)
    .min(1)
    .superRefine((outputs, context) => {
      outputs.forEach(({ name }, i) => {
        if (outputs.findIndex((other) => other.name === name) < i)
          context.addIssue({
            code: "custom",
            path: [i, "name"],
            message: `another output is named ${name} too; names must be unique`,
          });
      });
    })
    .describe("Where records go; at least one."),
  admin: z
    .strictObject({
      listen: address("0.0.0.0:9780").describe("/metrics, /healthz, /readyz."),
      uiListen: address("127.0.0.1:9781").describe(
        "/api/v1/status; it names pods, so keep it local and reach it by kubectl port-forward.",
      ),
    })
    .prefault({}),
});

export type Config = z.output<typeof configSchema>;
export type OutputConfig = Config["outputs"][number];

/** For editors and CI: what a configuration file may hold. */
export function jsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, {
    io: "input",
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      const { schema, ...rest } = jsonSchema as { schema?: Record<string, unknown>; hint?: string };
      if (schema === undefined) return;
      delete rest.hint;
      for (const key of Object.keys(jsonSchema)) delete (jsonSchema as Record<string, unknown>)[key];
      Object.assign(jsonSchema, schema, rest, schema);
    },
  });
  return { title: "tailrace", ...schema } as Record<string, unknown>;
}
