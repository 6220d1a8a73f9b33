/** The real VictoriaLogs, by both its doors. It keeps what is sent twice, and no answer of it names a record. */
import { test } from "node:test";
import { buildBundle } from "../support/program.ts";
import { fetchServer, whyNot } from "./fetch.ts";
import { placeOf } from "./loki.ts";
import { type Shipment, ship } from "./ship.ts";
import { VictoriaLogs } from "./victorialogs.ts";

buildBundle();

interface Door extends Pick<Shipment, "place"> {
  readonly name: string;
  /** YAML of the output, as docs/victorialogs.md has it. */
  readonly output: (url: string) => string;
  readonly read: (server: VictoriaLogs) => ReturnType<Shipment["read"]>;
}

const ECS = {
  stream: "stream",
  offset: "log.offset",
  namespace: "kubernetes.namespace",
  pod: "kubernetes.pod.name",
  uid: "kubernetes.pod.uid",
  container: "kubernetes.container.name",
  node: "kubernetes.node.name",
};
const LOKI = {
  stream: "stream",
  offset: "offset",
  namespace: "namespace",
  pod: "pod",
  uid: "uid",
  container: "container",
  node: "node",
};

const DOORS: readonly Door[] = [
  {
    name: "Elasticsearch",
    output: (url) => `  - name: vl
    type: elasticsearch
    endpoints: ["${url}/insert/elasticsearch"]
    index: logs-{node}
    setupTemplate: false
    request:
      headers:
        VL-Msg-Field: message
        VL-Time-Field: "@timestamp"
        VL-Stream-Fields: kubernetes.namespace,kubernetes.pod.name,kubernetes.container.name`,
    read: (server) => server.documents(ECS, (record) => record["log.file.path"] ?? ""),
  },
  {
    name: "Loki",
    output: (url) => `  - name: vl
    type: loki
    endpoint: ${url}/insert/loki/api/v1/push?disable_message_parsing=1
    structuredMetadata: { pod: "{pod}", uid: "{uid}", offset: "{offset}" }`,
    read: (server) =>
      server.documents(LOKI, ({ namespace = "", pod = "", uid = "", container = "" }) =>
        placeOf({ namespace, pod, uid, container }),
      ),
    place: placeOf,
  },
];

for (const { name, output, read, place } of DOORS)
  test(`VictoriaLogs has every message of a node, byte by byte, by its ${name} door`, {
    skip: whyNot("victorialogs"),
    timeout: 600_000,
  }, async (context) => {
    const server = await VictoriaLogs.start(await fetchServer("victorialogs"));
    context.after(() => server.close());
    await ship(context, {
      server: `VictoriaLogs 1.51.1 (${name} door)`,
      output: output(server.url),
      restart: async () => {
        await server.stop();
        await server.run();
      },
      hard: false,
      read: () => read(server),
      recognisesRepeats: false,
      ...(place === undefined ? {} : { place }),
    });
  });
