import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Queue } from "../../outputs/queue.ts";

interface Item {
  notBefore: number;
  readonly closed: { readonly sequences: readonly string[] };
}

/** The same by the words of the interface: the items that could go if nobody else were sending. */
function free(items: readonly Item[], inFlight: readonly Item[], now: number): number {
  return items.filter((item, i) => {
    const before = [...inFlight, ...items.slice(0, i)].flatMap(({ closed }) => closed.sequences);
    return item.notBefore <= now && !item.closed.sequences.some((name) => before.includes(name));
  }).length;
}

const action = fc.oneof(
  fc.record({
    kind: fc.constant("push" as const),
    sequences: fc.subarray(["a", "b", "c"]),
    afterMs: fc.constantFrom(0, 0, 0, 5),
  }),
  fc.record({ kind: fc.constant("take" as const) }),
  fc.record({ kind: fc.constant("done" as const), again: fc.boolean() }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(4) }),
);

test("whatever came and went, the queue knows how many of its items could be sent now", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const queue = new Queue<Item>();
      let items: Item[] = [];
      const inFlight: Item[] = [];
      let now = 1;
      for (const step of actions) {
        if (step.kind === "push") {
          const item = { notBefore: step.afterMs && now + step.afterMs, closed: { sequences: step.sequences } };
          items.push(item);
          queue.push(item);
        } else if (step.kind === "take") {
          const taken = queue.take(now);
          if (typeof taken === "number") continue;
          items = items.filter((item) => item !== taken);
          inFlight.push(taken);
        } else if (step.kind === "done") {
          const item = inFlight.shift();
          if (item === undefined) continue;
          item.notBefore = step.again ? now + 3 : item.notBefore;
          items.unshift(...(step.again ? [item] : []));
          queue.done(item, step.again ? [item] : []);
        } else now += step.ms;
        const expected = free(items, inFlight, now);
        for (const count of [1, 2, 3]) assert.equal(queue.holds(count, now), expected >= count);
      }
    }),
    { numRuns: 500 },
  );
});
