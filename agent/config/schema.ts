/**
 * The configuration: one declaration a setting gives its type, default, check, documentation and JSON Schema. Sizes come
 * out in bytes, durations in milliseconds, templates compiled, secrets as objects that do not show themselves. More than
 * 300 lines, so that every setting is found in one place.
 */
import * as z from "zod";
import { outputMatch, podSettings, processors } from "./processors.ts";
import {
  address,
  backlog,
  bareSize,
  count,
  duration,
  endpoint,
  flag,
  list,
  name,
  projectId,
  type SettingMeta,
  secret,
  size,
  template,
  text,
  VARIABLE,
} from "./setting.ts";
import { formatSize, parseSize } from "./units.ts";

/** Checks of several settings together also run where one of them is wrong, so that all problems are told at once. */
const isMapping = ({ value }: { value: unknown }): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const BATCH_BYTES = "4MiB";
/** Some limits of Loki hold for a push as a whole: bursts of a tenant or a stream, messages between its parts. */
const LOKI_BATCH_BYTES = "1MiB";
const MEMORY = "32MiB";

const batch = z
  .strictObject({
    maxBytes: bareSize(1024, BATCH_BYTES)
      .optional()
      .describe(
        `Size of a request's body as encoded, before compression. To Loki by default ${LOKI_BATCH_BYTES}; where memory is less, the default is that.`,
      ),
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
      .record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "it must be the name of an HTTP header"), secret(true))
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
  .refine(({ certFile, keyFile }) => (certFile === "") === (keyFile === ""), {
    message: "certFile and keyFile go together; give both or none",
    when: isMapping,
  })
  .prefault({});

const auth = z
  .strictObject({
    username: z.string().min(1).optional().describe("For basic authentication, with password."),
    password: secret(false).optional().describe("The user's password."),
    apiKey: secret(true).optional().describe("As Elasticsearch gives it: encoded, or id:key."),
    bearerToken: secret(true).optional().describe("Sent as Authorization: Bearer."),
  })
  .refine(({ username, password }) => (username === undefined) === (password === undefined), {
    message: "username and password go together; give both or none",
    when: isMapping,
  })
  .refine(
    ({ username, password, apiKey, bearerToken }) =>
      [username ?? password, apiKey, bearerToken].filter((kind) => kind !== undefined).length <= 1,
    {
      message: "more than one kind of credentials; allowed are username and password, or apiKey, or bearerToken",
      when: isMapping,
    },
  )
  .prefault({});

/** The keys that every type has. */
const common = {
  name: name().describe("Unique; names its checkpoints, metrics and dead letters."),
  match: outputMatch,
  processors: processors.describe("After the common ones and match, for this output only."),
  memory: size(128 * 1024, MEMORY).describe("Raw bytes read but not yet accepted, at most."),
  maxBacklog: backlog().describe(
    "0: no limit. A size (of all containers together) or an age: what is further behind is left out, oldest first, and counted as lost.",
  ),
  batch,
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
};

const elasticsearch = z.strictObject({
  ...common,
  type: z.literal("elasticsearch").describe("Elasticsearch 7-9 or OpenSearch 1-3."),
  endpoints: z.array(endpoint()).min(1).describe("Several: spread over those that answer."),
  index: template("logs-kubernetes.container_logs-default").describe(
    'A data stream or an index; a template, e.g. "logs-{namespace}" or "logs-{yyyy.MM.dd}" (by the record\'s time).',
  ),
  op: z.enum(["create", "index"]).default("create").describe("Data streams take only create."),
  pipeline: text("").describe("An ingest pipeline."),
  schema: z.enum(["ecs", "fluentbit"]).default("ecs").describe("Field names."),
  dedupe: flag(true).describe("A deterministic _id, so that a record sent twice is stored once."),
  setupTemplate: flag(true).describe(
    "Install an index template when there is none of its name: data streams (with op create and a name without a time), nanoseconds, labels that can't conflict. Without the right to, a warning.",
  ),
});

/** limits_config.max_label_names_per_series, which Loki holds against the labels we send; service_name is its own. */
const MAX_LABELS = 15;
/** limits_config.max_structured_metadata_entries_count. */
const MAX_METADATA = 128;

/** A name that Loki takes as it is; others refuse a whole push, or come out changed. */
const lokiName = z
  .string()
  .max(1024, "it must be at most 1024 characters long")
  .regex(
    /^[a-zA-Z_][a-zA-Z0-9_]*$/,
    "it must be made of letters, digits and _, without a digit in front: a name in Loki",
  )
  .regex(/^(?!__)(?!_+$)/, "it must not begin with __ or be nothing but _, which Loki keeps for itself");

const loki = z
  .strictObject({
    ...common,
    type: z.literal("loki").describe("Grafana Loki 2.9 or newer, and what takes its pushes."),
    endpoint: endpoint().describe("/loki/api/v1/push is added when the URL has no path."),
    tenant: template("").describe(
      'X-Scope-OrgID; a template, e.g. "{namespace}" or "{label.team}": one request each. Empty: none is sent.',
    ),
    labels: z
      .record(lokiName, template())
      .prefault({
        namespace: "{namespace}",
        app: "{app}",
        container: "{container}",
        stream: "{stream}",
        node: "{node}",
      })
      .describe("What makes a stream; few values each, see docs/loki.md."),
    structuredMetadata: z
      .record(lokiName, template())
      .prefault({ pod: "{pod}", offset: "{offset}" })
      .describe("Of each record. The offset keeps equal lines of one nanosecond apart, and makes a repeat identical."),
    encoding: z.enum(["protobuf", "json"]).default("protobuf").describe("protobuf is always compressed by snappy."),
  })
  .superRefine(
    ({ labels, structuredMetadata }, context) => {
      const issue = (path: string[], message: string): void => context.addIssue({ code: "custom", path, message });
      const names = Object.keys(labels);
      if (names.length === 0) issue(["labels"], "no label; Loki needs at least one");
      if (names.length > MAX_LABELS)
        issue(["labels"], `${names.length} labels; Loki takes at most ${MAX_LABELS}: move some to structuredMetadata`);
      if (Object.keys(structuredMetadata).length > MAX_METADATA)
        issue(["structuredMetadata"], `too many names; Loki takes at most ${MAX_METADATA}`);
      for (const name of Object.keys(structuredMetadata))
        if (names.includes(name))
          issue(["structuredMetadata", name], "there is a label of this name, and Loki would rename one of them");
    },
    {
      when: ({ value }) =>
        isMapping({ value }) &&
        ["labels", "structuredMetadata"].every((key) => isMapping({ value: (value as Record<string, unknown>)[key] })),
    },
  );

const stackdriver = z.strictObject({
  ...common,
  type: z.literal("stackdriver").describe("Google Cloud Logging."),
  projectId: projectId().describe("Default: the credentials file's project, else from the metadata server."),
  location: text("").describe("The cluster's region or zone. Default: from the metadata server."),
  clusterName: text("").describe("Default: from the metadata server."),
  credentialsFile: text("").describe(
    "The key of a service account, JSON; read again when it changes. Default: the file that GOOGLE_APPLICATION_CREDENTIALS names, else the metadata server.",
  ),
  endpoint: endpoint().default("https://logging.googleapis.com").describe("Of the API."),
  logName: template("{stream}").describe("The last part of the log's name; a template."),
  structured: flag(true).describe(
    "Messages that are JSON objects become jsonPayload; special fields that GKE knows are heeded, in them and in fields.",
  ),
});

const console = z.strictObject({
  ...common,
  type: z.literal("console").describe("Standard output."),
  format: z.enum(["pretty", "json"]).default("pretty").describe("For people, or one ECS document a line."),
});

const file = z.strictObject({
  ...common,
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
  .discriminatedUnion("type", [elasticsearch, loki, stackdriver, console, file])
  .superRefine(({ memory, batch: { maxBytes } }, context) => {
    if (typeof maxBytes !== "number" || typeof memory !== "number" || maxBytes <= memory) return;
    const message = `more than the output's memory of ${formatSize(memory)}; lower it, or raise memory`;
    context.addIssue({ code: "custom", path: ["batch", "maxBytes"], message });
  })
  .transform((output) => {
    const usual = parseSize(output.type === "loki" ? LOKI_BATCH_BYTES : BATCH_BYTES) as number;
    const { maxBytes = Math.min(usual, output.memory), ...rest } = output.batch;
    return { ...output, batch: { maxBytes, ...rest } };
  });

const outputs = z
  .array(output)
  .min(1)
  .superRefine(
    (outputs, context) => {
      const names = outputs.map((output: { name?: unknown } | null) => output?.name);
      names.forEach((name, i) => {
        if (typeof name === "string" && names.indexOf(name) < i)
          context.addIssue({
            code: "custom",
            path: [i, "name"],
            message: `another output is named ${name}; names must be unique`,
          });
      });
    },
    { when: ({ value }) => Array.isArray(value) },
  );

export const configSchema = z.strictObject({
  nodeName: text("").describe("Default: the variable NODE_NAME, else the host's name."),
  clusterName: text("").describe("Added to every record when set."),
  dataDir: z
    .string()
    .min(1)
    .default("/var/lib/tailrace")
    .describe("Checkpoints and dead letters; must outlive the pod."),
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
      hold: z
        .strictObject({
          maxBytes: size(0, "2GiB").describe(
            "Disk space of deleted log files that is kept alive for outputs that are behind; over it, the oldest file of the output furthest behind is given up and counted as lost.",
          ),
        })
        .prefault({}),
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
      annotationPrefix: text("tailrace.io").describe(
        "Of the annotations by which pods set how their logs are treated.",
      ),
      podSettings,
      events: flag(false).describe(
        "Tell a pod's owner of a wrong annotation by an Event on the pod; needs the right to create events.",
      ),
    })
    .prefault({}),
  processors: processors.describe("What becomes of records, in order, for every output; see processors.md."),
  outputs: outputs.describe("Where records go; at least one."),
  admin: z
    .strictObject({
      listen: address("0.0.0.0:9780").describe("/metrics, /healthz, /readyz."),
      uiListen: address("127.0.0.1:9781").describe(
        "Status page, /api/v1/status and /api/v1/tap: log content is shown, so keep it local and reach it by kubectl port-forward.",
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
      const { schema, print: _, ...rest } = jsonSchema as Partial<SettingMeta>;
      if (schema !== undefined) {
        for (const key of Object.keys(jsonSchema)) delete (jsonSchema as Record<string, unknown>)[key];
        Object.assign(jsonSchema, schema, rest, "default" in schema ? { default: schema.default } : {});
      } else if (jsonSchema.enum !== undefined) {
        jsonSchema.anyOf = [{ enum: jsonSchema.enum }, { pattern: VARIABLE }];
        delete jsonSchema.enum;
      }
    },
  });
  return { title: "tailrace", ...schema };
}
