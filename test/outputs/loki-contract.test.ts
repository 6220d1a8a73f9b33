/** Loki keeps the contract of all outputs, in both encodings. */
import { secret } from "../support/http.ts";
import { startLoki } from "../support/loki.ts";
import { lokiOutput } from "../support/loki-output.ts";
import { holdToContract } from "./contract.ts";

for (const encoding of ["protobuf", "json"] as const)
  holdToContract(`loki, ${encoding}`, async (context) => {
    const fake = await startLoki({ authorization: "Bearer good" });
    context.after(() => fake.close());
    return {
      fake,
      output: () => lokiOutput(fake.url, { encoding, auth: { bearerToken: secret("good") } }),
      stored: () => fake.lines(),
      refuse: (refused) => {
        fake.refuse = (line) => line === refused;
      },
      limit: (maxBytes = 4 << 20) => {
        fake.maxMessageBytes = maxBytes;
      },
      authorize: (accepted) => {
        fake.authorization = accepted ? "Bearer good" : "Bearer other";
      },
    };
  });
