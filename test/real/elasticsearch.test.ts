/** The real Elasticsearch and OpenSearch: all that the agent ships is there, whatever happens to either side. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { askOf, assertAnswers } from "../support/answers.ts";
import type { EcsDocument } from "../support/arrived.ts";
import { LogNode } from "../support/node.ts";
import { buildBundle, temporaryFolder } from "../support/program.ts";
import { tlsFile } from "../support/tls.ts";
import { ShippingAgent } from "./agent.ts";
import { type ElasticOptions, ElasticServer } from "./elastic.ts";
import { fetchServer, type ServerName, whyNot } from "./fetch.ts";
import { Gate } from "./gate.ts";
import { ship } from "./ship.ts";

buildBundle();

const STREAM = "logs-kubernetes.container_logs-default";
const TIMEOUT_MS = 900_000;

const ROLES = `installer:
  cluster: [manage_index_templates]
  indices: [{ names: ["logs-*", "plain-*"], privileges: [create_doc, auto_configure] }]
writer:
  indices: [{ names: ["logs-*", "plain-*"], privileges: [create_doc, auto_configure] }]
`;

/** What differs between them. */
interface Kind {
  readonly name: ServerName;
  readonly version: string;
  readonly options: ElasticOptions;
  /** The type of labels in the template that it takes. */
  readonly map: "flattened" | "flat_object";
  readonly hasGate: boolean;
}

const SECURITY = { users: { agent: { password: "first", role: "installer" } }, roles: ROLES };
const KINDS: readonly Kind[] = [
  {
    name: "elasticsearch-8",
    version: "Elasticsearch 8.19.21 (TLS, users, roles)",
    options: { security: SECURITY },
    map: "flattened",
    hasGate: false,
  },
  { name: "elasticsearch-9", version: "Elasticsearch 9.5.3", options: {}, map: "flattened", hasGate: false },
  {
    name: "opensearch-2",
    version: "OpenSearch 2.19.6 (2 MB a request)",
    // Below the agent's default of 4 MiB, so requests have to be halved.
    options: { settings: { "http.max_content_length": "2mb" } },
    map: "flat_object",
    hasGate: false,
  },
  {
    name: "opensearch-3",
    version: "OpenSearch 3.6.0 (behind TLS and basic authentication)",
    options: {},
    map: "flat_object",
    hasGate: true,
  },
];

/** A server and how an agent reaches it. */
interface Setting {
  readonly kind: Kind;
  readonly server: ElasticServer;
  readonly url: string;
  /** More keys of an output: credentials and certificates. */
  readonly access: string;
  /** Where the agent's password is. */
  readonly passwordFile: string;
  setPassword(password: string, role?: "installer" | "writer"): Promise<void>;
}

for (const kind of KINDS) {
  const reason = whyNot(kind.name);
  test(`${kind.version} has every message of a node, byte by byte`, {
    skip: reason,
    timeout: TIMEOUT_MS,
  }, async (context) => {
    const setting = await setUp(context, kind);
    const { server, url, access } = setting;
    await ship(context, {
      server: kind.version,
      output: `  - { name: es, type: elasticsearch, endpoints: ["${url}"]${access} }`,
      restart: async () => {
        await server.kill();
        await server.run();
      },
      hard: true,
      read: () => server.documents<EcsDocument>(STREAM),
      recognisesRepeats: true,
    });
    await context.test("its data stream keeps nanoseconds, and labels that can't conflict", () =>
      checkMapping(setting),
    );
    if (kind.options.security === undefined)
      await context.test("it answers as the fake of the other tests does", () => assertAnswers(askOf(server.url)));
    await context.test("documents are found by the id that the agent gave them", () => checkIds(setting));
    await context.test("a document that does not fit the mapping is a dead letter, alone", (context) =>
      checkConflict(context, setting),
    );
    await context.test("a read-only index gets everything once it is open again", (context) =>
      checkReadOnly(context, setting),
    );
    if (access !== "")
      await context.test("credentials that change lose nothing", (context) => checkCredentials(context, setting));
  });
}

async function setUp(context: TestContext, kind: Kind): Promise<Setting> {
  const server = await ElasticServer.start(await fetchServer(kind.name), kind.options);
  context.after(() => server.close());
  const passwordFile = join(temporaryFolder(context), "password");
  writeFileSync(passwordFile, "first\n");
  const gate = kind.hasGate ? await Gate.open(server.port, "first") : undefined;
  context.after(() => gate?.close());
  const isSecured = kind.options.security !== undefined || gate !== undefined;
  return {
    kind,
    server,
    url: gate?.url ?? server.url,
    access: isSecured
      ? `, tls: { caFile: ${tlsFile("ca.pem")} }, auth: { username: agent, password: { file: ${passwordFile} } }`
      : "",
    passwordFile,
    setPassword: async (password, role = "installer") => {
      if (gate === undefined) await server.setUsers({ agent: { password, role } });
      else gate.password = password;
    },
  };
}

/** A node with one pod, and an agent that ships it to an index. Not started yet. */
function small(context: TestContext, { url, access }: Setting, index: string) {
  const root = temporaryFolder(context);
  const pod = new LogNode(root).container("web-0");
  const agent = new ShippingAgent(
    temporaryFolder(context),
    { root, include: [join(root, "containers", "*.log")] },
    `  - { name: es, type: elasticsearch, endpoints: ["${url}"], index: ${index}, batch: { maxWait: 50ms }, retry: { maxDelay: 500ms }${access} }`,
  );
  context.after(() => agent.close());
  const messages = async (server: ElasticServer): Promise<string[]> =>
    (await server.documents<EcsDocument>(index)).map(({ message }) => message).sort();
  return { pod, agent, messages };
}

async function checkMapping({ kind, server }: Setting): Promise<void> {
  const { body } = await server.api("GET", `/${STREAM}/_mapping`);
  const [[backing = "", index]] = Object.entries(body as Record<string, { mappings: { properties: Properties } }>) as [
    [string, { mappings: { properties: Properties } }],
  ];
  assert.match(backing, /^\.ds-/);
  const { properties } = index.mappings;
  assert.equal(properties["@timestamp"]?.type, "date_nanos");
  assert.equal(properties.kubernetes?.properties?.labels?.type, kind.map);
  const search = { size: 2, sort: [{ "@timestamp": { order: "asc", numeric_type: "date_nanos" } }] };
  const found = await server.api("POST", `/${STREAM}/_search`, search);
  assert.equal(found.status, 200, JSON.stringify(found.body).slice(0, 300));
}

type Properties = Readonly<Record<string, { readonly type?: string; readonly properties?: Properties }>>;

async function checkIds({ server }: Setting): Promise<void> {
  const search = { size: 1000, query: { term: { stream: "stderr" } } };
  const { body } = await server.api("POST", `/${STREAM}/_search`, search);
  const hits = body.hits.hits as { _id: string; _source: EcsDocument }[];
  assert.equal(hits.length, 1000);
  for (const { _id, _source } of hits) assert.match(_id, new RegExp(`^\\d{19}-.+-${_source.log.offset}(?:-\\d+)?$`));
  const ids = hits.map(({ _id }) => _id);
  const again = await server.api("POST", `/${STREAM}/_search`, { size: 1000, query: { ids: { values: ids } } });
  assert.equal(again.body.hits.hits.length, 1000);
}

async function checkConflict(context: TestContext, setting: Setting): Promise<void> {
  const { server } = setting;
  const index = "plain-conflict";
  await server.api("PUT", `/${index}`, { mappings: { properties: { message: { type: "long" } } } });
  const { pod, agent, messages } = small(context, setting, index);
  pod.write("1", "two", "3", "4");
  await agent.start();
  await agent.idle();
  assert.deepEqual(await messages(server), ["1", "3", "4"]);
  assert.equal(await agent.metric("tailrace_output_dropped_records_total", "parsing_exception"), 1);
  assert.deepEqual(await agent.end("SIGTERM"), { code: 0, signal: null });
}

async function checkReadOnly(context: TestContext, setting: Setting): Promise<void> {
  const { server } = setting;
  const index = "plain-readonly";
  const block = (blocks: object): Promise<unknown> => server.api("PUT", `/${index}/_settings`, blocks);
  await server.api("PUT", `/${index}`, {});
  await block({ "index.blocks.write": true });
  const { pod, agent, messages } = small(context, setting, index);
  pod.write("while it is read-only");
  await agent.start();
  await agent.until(async () => (await agent.metric("tailrace_output_retries_total")) >= 2, "it is tried again");
  await block({ "index.blocks.write": false, "index.blocks.read_only_allow_delete": true });
  const before = await agent.metric("tailrace_output_retries_total");
  await agent.until(
    async () => (await agent.metric("tailrace_output_retries_total")) >= before + 2,
    "it is tried again with the other block",
  );
  pod.write("still read-only");
  await block({ "index.blocks.read_only_allow_delete": null });
  await agent.idle();
  assert.deepEqual(await messages(server), ["still read-only", "while it is read-only"]);
  assert.equal(await agent.metric("tailrace_output_dropped_records_total"), 0);
  assert.deepEqual(await agent.end("SIGTERM"), { code: 0, signal: null });
}

async function checkCredentials(context: TestContext, setting: Setting): Promise<void> {
  const { server, kind } = setting;
  const { pod, agent, messages } = small(context, setting, "logs-credentials-default");
  // Without the right to install a template records go all the same.
  await setting.setPassword("first", "writer");
  pod.write("with the first password");
  await agent.start();
  await agent.idle();
  const warnings = agent.log.filter(({ msg }) => String(msg).includes("index template"));
  assert.deepEqual(
    warnings.map(({ level }) => level),
    [kind.options.security === undefined ? "info" : "warn"],
  );
  await setting.setPassword("second");
  await agent.until(async () => {
    pod.write("while the password is wrong");
    return (await agent.metric("tailrace_output_requests_total", 'code="401"')) >= 2;
  }, "the old password is refused");
  writeFileSync(setting.passwordFile, "second\n");
  await agent.idle();
  const all = await messages(server);
  assert.equal(all[0], "while the password is wrong");
  assert.equal(all.at(-1), "with the first password");
  assert.equal(await agent.metric("tailrace_output_dropped_records_total"), 0);
  assert.deepEqual(await agent.end("SIGTERM"), { code: 0, signal: null });
}
