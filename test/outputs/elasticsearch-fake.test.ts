/** The fake that other tests rely on is as strict as the real servers, which are held to the same table (test/real). */
import { test } from "node:test";
import { askOf, assertAnswers } from "../support/answers.ts";
import { startElasticsearch } from "../support/elasticsearch.ts";

test("the fake answers what the real ones were seen to answer", async (context) => {
  const fake = await startElasticsearch();
  context.after(() => fake.close());
  await assertAnswers(askOf(fake.url));
});
