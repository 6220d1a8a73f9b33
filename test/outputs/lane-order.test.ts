/** What must not overtake, what must not wait for each other, and what travels apart. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ClosedRequest, OpenRequest, Outcome, Piece } from "../../outputs/output.ts";
import { letters, makeLane, quick, Settled } from "../support/lane.ts";
import { until } from "../support/program.ts";
import { rowsOf } from "../support/rows.ts";
import { ScriptedOutput } from "../support/scripted-output.ts";

const ok: Outcome = { kind: "delivered", code: "204" };
const sequenceOf = (message: string): string => message.slice(0, 1);

/** Messages of one sequence begin with the same letter; each letter of `apart` travels in a request of its own. */
class SequencedOutput extends ScriptedOutput {
  readonly apart = new Set<string>();

  override open(): OpenRequest {
    const open = super.open();
    const closeApart = (): Piece[] => {
      const closed = open.close();
      const messages = closed.body.toString().split("\n");
      const groups = new Map<string, number[]>();
      messages.forEach((message, row) => {
        const sequence = sequenceOf(message);
        const group = this.apart.has(sequence) ? sequence : "";
        groups.set(group, [...(groups.get(group) ?? []), row]);
      });
      return [...groups.values()].map((rows) => ({
        closed: this.pick(closed, rows),
        runs: Uint32Array.from(rows.flatMap((row) => [row, row + 1])),
      }));
    };
    return Object.assign(open, { closeApart });
  }
  override pick(request: ClosedRequest, rows: readonly number[]): ClosedRequest {
    const picked = super.pick(request, rows);
    return { ...picked, sequences: [...new Set(picked.body.toString().split("\n").map(sequenceOf))] };
  }
}

const verdict = fc.constantFrom("delivered", "retry", "alone", "split", "pieces", "mixed");

test("what is stored of one sequence is stored in the order it came, whatever the backend answers", async (context) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 9 }), {
        minLength: 1,
        maxLength: 8,
      }),
      fc.array(fc.tuple(verdict, fc.nat(7)), { maxLength: 30 }),
      fc.subarray(["a", "b", "c"]),
      async (batches, script, apart) => {
        let step = 0;
        const output = new SequencedOutput((sent): Outcome => {
          const [kind, a] = script[step++] ?? ["delivered", 0];
          const rows = sent.map((_, row) => row);
          if (kind === "retry") return { kind, code: "503", reason: "busy" };
          if (kind === "alone") return { kind: "retry", code: "429", reason: "busy", alone: true };
          if (kind === "split") return { kind, code: "413", type: "large", reason: "too large" };
          if (kind === "delivered") return ok;
          const refused = rows.filter((row) => row % (a + 2) === 1);
          const rejected = refused.map((row) => ({ row, type: "bad", reason: "bad" }));
          const rest = rows.filter((row) => !refused.includes(row));
          if (kind === "mixed") return { kind, code: "200", reason: "", retry: [], rejected };
          return { kind: "split", code: "400", type: "bad", reason: "bad", rejected, into: [rest] };
        });
        for (const letter of apart) output.apart.add(letter);
        const { lane, folder } = makeLane(context, output, { ...quick, request: { timeout: 10_000, concurrency: 3 } });
        let count = 0;
        const all: string[] = [];
        const receipts = batches.map((letters) => {
          const texts = letters.map((letter) => `${letter}${String(count++).padStart(3, "0")}`);
          all.push(...texts);
          const receipt = new Settled();
          lane.append(rowsOf(texts), receipt);
          return receipt;
        });
        await lane.flush();
        await lane.close();
        for (const letter of ["a", "b", "c"]) {
          const stored = output.stored.filter((message) => sequenceOf(message) === letter);
          assert.deepEqual(stored, stored.toSorted());
        }
        const dead = letters(folder).map(({ entry }) => entry);
        assert.deepEqual([...output.stored, ...dead].toSorted(), all.toSorted());
        receipts.forEach((receipt, i) => {
          assert.equal(receipt.shippedRows + receipt.droppedRows, batches[i]?.length);
          assert.equal(receipt.bytes, (batches[i]?.length ?? 0) * 44);
        });
      },
    ),
    { numRuns: 80 },
  );
});

test("a request that waits alone keeps back its own sequence and no other", async (context) => {
  let full = true;
  const output = new SequencedOutput((sent) =>
    full && sent[0]?.startsWith("h") ? { kind: "retry", code: "429", reason: "hot", alone: true, afterMs: 60_000 } : ok,
  );
  output.apart.add("h");
  const { lane, lines } = makeLane(context, output, { ...quick, request: { timeout: 10_000, concurrency: 2 } });
  for (let i = 0; i < 5; i++) {
    lane.append(rowsOf([`h${i}`, `q${i}`]), new Settled());
    await until(() => output.stored.length === i + 1, "the quiet one goes on");
  }
  assert.deepEqual(output.stored, ["q0", "q1", "q2", "q3", "q4"]);
  assert.equal(output.sent.filter(([first]) => first?.startsWith("h")).length, 1, "the hot one waits as it was told");
  assert.equal(lane.state, "retrying");
  assert.equal(lane.lastError, "hot");
  assert.ok(lane.retryAfterMs > 30_000);
  assert.ok(lines.some(({ msg }) => String(msg).includes("the others go on")));
  full = false;
});

test("a backend that fails is asked by one request at a time until it is well", async (context) => {
  const others: number[] = [];
  const output: SequencedOutput = new SequencedOutput(() => {
    others.push(output.inFlight);
    return others.length <= 8 ? { kind: "retry", code: "503", reason: "busy" } : ok;
  });
  output.hold = true;
  const { lane } = makeLane(context, output, { ...quick, request: { timeout: 10_000, concurrency: 4 } });
  const letters = ["a", "b", "c", "d"].flatMap((letter) => Array.from({ length: 10 }, () => letter));
  lane.append(rowsOf(letters), new Settled());
  await until(() => output.inFlight === 4, "all slots are taken");
  output.hold = false;
  output.release();
  await lane.flush();
  assert.deepEqual(others.slice(0, 9), [3, 2, 1, 0, 0, 0, 0, 0, 0]);
  assert.equal(output.stored.length, 40);
});
