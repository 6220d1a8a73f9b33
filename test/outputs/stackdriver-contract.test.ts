/** The Cloud Logging output keeps the contract. */
import { startStackdriver } from "../support/stackdriver.ts";
import { stackdriverOutput } from "../support/stackdriver-output.ts";
import { holdToContract } from "./contract.ts";

holdToContract("stackdriver", async (context) => {
  const fake = await startStackdriver("my-project");
  context.after(() => fake.close());
  const limit = fake.maxBodyBytes;
  return {
    fake,
    output: () => stackdriverOutput(fake.url),
    stored: () => fake.entries.map(({ textPayload, jsonPayload }) => textPayload ?? JSON.stringify(jsonPayload)),
    refuse: (message) => {
      fake.refuse = ({ textPayload }) => (textPayload === message ? { code: 3, message: "not this one" } : undefined);
    },
    limit: (maxBytes) => {
      fake.maxBodyBytes = maxBytes ?? limit;
    },
    authorize: (accepted) => {
      fake.tokens = new Set(accepted ? ["token-1"] : []);
    },
  };
});
