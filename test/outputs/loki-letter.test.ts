/** Dead letters of Loki and the way back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { STDERR } from "../../agent/batch.ts";
import { startLoki } from "../support/loki.ts";
import { lokiOutput } from "../support/loki-output.ts";
import { origin, rowsOf } from "../support/rows.ts";

const NEVER = new AbortController().signal;

for (const encoding of ["protobuf", "json"] as const)
  test(`${encoding}: letters arrive as the records they were, each at its tenant and in its stream`, async (context) => {
    const fake = await startLoki({ tenants: true });
    context.after(() => fake.close());
    fake.windowSeconds = 1e12;
    fake.limits("shop-stdout").maxAgeSeconds = 1e12;
    const made = lokiOutput(fake.url, { encoding, tenant: "{namespace}-{stream}" });
    context.after(() => made.close());
    const rows = rowsOf(["one", 'two \n"', "three", "four é"], { ...origin, labels: { app: 'a"b' } });
    rows.flags[2] = STDERR;
    rows.seconds[3] = -7;
    const letters: string[] = [];
    const open = made.open();
    open.append(rows, 0, 1e9, 1e9);
    for (const { closed, runs } of open.closeApart?.() ?? []) {
      assert.equal((await made.send(closed, NEVER)).kind, "delivered");
      let at = 0;
      for (let i = 0; i < runs.length; i += 2)
        for (let row = runs[i] ?? 0; row < (runs[i + 1] ?? 0); row++) letters[row] = made.entry(closed, at++);
    }
    const before = fake.stored.length;
    const restored: number[] = [];
    for (let at = 0; at < letters.length; ) {
      const push = made.restore("", letters.slice(at));
      assert.equal((await made.send(push, NEVER)).kind, "delivered");
      assert.equal(made.entry(push, push.rows - 1), letters[at + push.rows - 1]);
      restored.push(push.rows);
      at += push.rows;
    }
    assert.deepEqual(restored, [2, 1, 1], "a push has one stream, of one tenant");
    assert.equal(before, 4);
    assert.equal(fake.stored.length, 4, "every one was recognised as what is there already");
  });
