/** One node for all tests: started before the first, taken away after the last, with the figures that were found. */
import { after, afterEach, before } from "node:test";
import { reports } from "./events.ts";
import { TestNode } from "./node.ts";

let started: TestNode | undefined;
let failed = false;
export const figures: Record<string, string> = {};

export function theNode(): TestNode {
  if (started === undefined) throw new Error("the node did not start");
  return started;
}

before(async () => {
  started = await TestNode.start();
});

afterEach((context) => {
  if ("passed" in context && !context.passed) failed = true;
});

after(async () => {
  if (failed) console.log(await theNode().troubles());
  console.table(figures);
  console.table(reports);
  await started?.stop();
});
