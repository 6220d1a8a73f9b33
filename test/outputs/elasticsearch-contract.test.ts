/** Elasticsearch keeps the contract of all outputs. */
import { startElasticsearch } from "../support/elasticsearch.ts";
import { elasticsearchOutput } from "../support/elasticsearch-output.ts";
import { secret } from "../support/http.ts";
import { holdToContract } from "./contract.ts";

holdToContract("elasticsearch", async (context) => {
  const fake = await startElasticsearch({ authorization: "Bearer good" });
  context.after(() => fake.close());
  return {
    fake,
    output: () => elasticsearchOutput([fake.url], { auth: { bearerToken: secret("good") } }),
    stored: () => fake.documents().map(({ message }) => String(message)),
    refuse: (refused) => {
      const reason = "failed to parse field [x] of type [long]";
      fake.refuse = ({ message }) =>
        message === refused ? { status: 400, type: "document_parsing_exception", reason } : undefined;
    },
    limit: (maxBytes = 100 << 20) => {
      fake.maxBodyBytes = maxBytes;
    },
    authorize: (accepted) => {
      fake.authorization = accepted ? "Bearer good" : "Bearer other";
    },
  };
});
