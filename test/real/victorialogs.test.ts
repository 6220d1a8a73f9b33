/** The real VictoriaLogs, by its Elasticsearch door. It keeps what is sent twice, and no answer of it names a record. */
import { test } from "node:test";
import { buildBundle } from "../support/program.ts";
import { fetchServer, whyNot } from "./fetch.ts";
import { ship } from "./ship.ts";
import { VictoriaLogs } from "./victorialogs.ts";

buildBundle();

test("VictoriaLogs has every message of a node, byte by byte, by its Elasticsearch door", {
  skip: whyNot("victorialogs"),
  timeout: 600_000,
}, async (context) => {
  const server = await VictoriaLogs.start(await fetchServer("victorialogs"));
  context.after(() => server.close());
  await ship(context, {
    server: "VictoriaLogs 1.51.1 (Elasticsearch door)",
    output: `  - name: vl
    type: elasticsearch
    endpoints: ["${server.url}/insert/elasticsearch"]
    index: logs-{node}
    setupTemplate: false
    request:
      headers:
        VL-Msg-Field: message
        VL-Time-Field: "@timestamp"
        VL-Stream-Fields: kubernetes.namespace,kubernetes.pod.name,kubernetes.container.name`,
    restart: async () => {
      await server.stop();
      await server.run();
    },
    hard: false,
    read: () => server.documents(),
    recognisesRepeats: false,
  });
});
