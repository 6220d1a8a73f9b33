/** The model test, a short run: every seed is a history of files; `npm run soak` takes as many as one wants. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Drive } from "./drive.ts";

/** Seeds that once failed. */
const KEPT: readonly number[] = [
  63, 86, 151, 333, 516, 535, 759, 844, 5023, 5117, 20136, 82236, 101353, 104657, 105520, 910014, 910078, 910129,
];

const first = (length: number): number[] => Array.from({ length }, (_, i) => i + 1);
const histories = [
  ...[...KEPT, ...first(24)].map((seed) => ({ seed, joins: false })),
  ...first(12).map((seed) => ({ seed, joins: true })),
];

for (const { seed, joins } of histories)
  test(`history ${seed}${joins ? ", joined" : ""}: every line once or more, in order, under its own id, and the ledger adds up`, async () => {
    const drive = new Drive(seed, joins);
    try {
      await drive.run(60);
    } catch (error) {
      assert.fail(`after ${drive.steps.join(", ")}: ${(error as Error).message}`);
    }
  });
