/** Processors on real files: what is held back across rotations and crashes, what is dropped, what is not even read. */
import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { type TestContext, test } from "node:test";
import type { ConsumerOptions } from "../../../agent/consumer.ts";
import { criLine, type LogContainer, LogNode } from "../../support/node.ts";
import { planOf } from "../../support/plan.ts";
import { temporaryFolder, until } from "../../support/program.ts";
import { Reader } from "../../support/reader.ts";

interface Setting {
  readonly root: string;
  readonly node: LogNode;
  start(accepting?: boolean, options?: Partial<ConsumerOptions>): Promise<Reader>;
}

function setUp(context: TestContext, processors: string, output = ""): Setting {
  const root = temporaryFolder(context);
  const plan = planOf(context, processors, output);
  const start: Setting["start"] = async (accepting = true, options = {}) => {
    const reader = await Reader.start(root, options, accepting, undefined, undefined, plan);
    context.after(() => reader.stop());
    return reader;
  };
  return { root, node: new LogNode(root), start };
}

const STARTS = "[{ multiline: { start: /^S/, timeout: 60s } }]";

function committed(reader: Reader): number | undefined {
  const [cursor] = reader.consumer.cursors.values();
  return cursor?.acks.committed?.offset;
}

test("a group goes on across a rotation, and is one record with the place of its first line", async (context) => {
  const { node, start } = setUp(context, STARTS);
  const container = node.container("web");
  const reader = await start();
  container.write("S one", " a");
  await until(() => reader.ledger().read > 0, "the beginning is read");
  container.rotate();
  container.write(" b", "S two", " c");
  container.restart();
  await until(() => reader.records.length === 2, "two records");
  assert.deepEqual(reader.messages, ["S one\n a\n b", "S two\n c"]);
  assert.match(reader.records[0]?.id ?? "", /-0$/);
  const { read, shipped, pending } = reader.ledger();
  assert.equal(read, shipped + pending);
});

test("a group that nobody goes on with is given back after its timeout", async (context) => {
  const { node, start } = setUp(context, "[{ multiline: { start: /^S/, timeout: 50ms } }]");
  const container = node.container("web");
  const reader = await start();
  container.write("S one", " a");
  await until(() => reader.records.length === 1, "the record");
  assert.deepEqual(reader.messages, ["S one\n a"]);
  await until(() => reader.ledger().pending === 0, "all settled");
  assert.equal(committed(reader), statSync(container.file).size);
});

test("the checkpoint stays at a held group's first byte, so that a kill repeats it whole with the same id", async (context) => {
  const { node, start } = setUp(context, STARTS);
  const container = node.container("web");
  container.write("S done", " x");
  const before = statSync(container.file).size;
  const first = await start();
  container.write("S one", " a");
  await until(() => first.records.length === 1, "the first record");
  await until(() => committed(first) === before, "the checkpoint at the group");
  await first.stop();
  container.write(" b", "S next");
  const second = await start();
  await until(() => second.records.length >= 1, "the group");
  assert.deepEqual(second.messages, ["S one\n a\n b"]);
  assert.match(second.records[0]?.id ?? "", new RegExp(`-${before}$`));
});

test("the older of a split message and a held group holds the checkpoint back", async (context) => {
  const { node, start } = setUp(context, STARTS);
  const container = node.container("web");
  container.raw(criLine("part ", "stdout", "P"));
  container.raw(criLine("S err", "stderr"));
  const reader = await start();
  await until(() => reader.ledger().read === statSync(container.file).size, "all is read");
  await until(() => committed(reader) === 0, "nothing is committed");
  container.raw(criLine("end", "stdout"));
  const group = criLine("part ", "stdout", "P").length;
  // The joined message is no start, but the first of its stream: it is held in its turn, from the same byte on.
  await until(() => reader.ledger().read === statSync(container.file).size, "the end is read");
  assert.equal(committed(reader), 0);
  container.raw(criLine("S out"));
  await until(() => reader.records.length === 1, "the joined message");
  assert.deepEqual(reader.messages, ["part end"]);
  await until(() => (committed(reader) ?? 0) >= group, "the checkpoint at the other stream's group");
});

test("what rules drop is settled at once and counted to the byte", async (context) => {
  const { node, start } = setUp(context, "[{ drop: { match: { message: /noise/ } } }]", "match: { stream: stdout }");
  const container = node.container("web");
  container.write("a", "noise 1", "noise 2");
  container.raw(criLine("b", "stderr"));
  const reader = await start();
  await until(() => reader.ledger().read === statSync(container.file).size, "all is read");
  await until(() => reader.ledger().pending === 0, "all is settled");
  assert.deepEqual(reader.messages, ["a"]);
  const [cursor] = reader.consumer.cursors.values();
  const sizes = ["noise 1", "noise 2"].map((message) => criLine(message).length).reduce((a, b) => a + b);
  assert.deepEqual(
    [...(cursor?.ledger.dropped ?? [])],
    [
      ["drop", sizes],
      ["match", criLine("b", "stderr").length],
    ],
  );
  assert.equal(committed(reader), statSync(container.file).size);
  // Where all of a read is dropped the checkpoint moves too.
  container.write("noise 3");
  await until(() => committed(reader) === statSync(container.file).size, "the checkpoint behind the noise");
});

test("a container that no rule lets through is not read, and counted by its files' sizes", async (context) => {
  const { node, start } = setUp(context, "[{ drop: { match: { pods: noisy } } }]");
  const noisy = node.container("noisy");
  noisy.write("1", "2");
  noisy.rotate();
  noisy.write("3");
  noisy.rotate({ gzip: true });
  noisy.write("4", "5");
  const quiet = node.container("quiet");
  quiet.write("kept");
  const reader = await start();
  const size = ["1", "2", "3", "4", "5"].map((message) => criLine(message).length).reduce((a, b) => a + b);
  const dropped = (): number =>
    [...reader.consumer.cursors.values()].reduce((sum, { ledger }) => sum + (ledger.dropped.get("drop") ?? 0), 0);
  await until(() => dropped() === size, "the sizes are counted");
  noisy.write("6");
  await until(() => dropped() === size + criLine("6").length, "what comes is counted");
  // Half a line is not passed over: it would be read from its middle if a rule changed.
  noisy.raw(criLine("7").slice(0, 20));
  await until(() => reader.records.length === 1, "the other container");
  noisy.raw(criLine("7").slice(20));
  await until(() => dropped() === size + 2 * criLine("6").length, "the whole line is counted");
  assert.deepEqual(reader.messages, ["kept"]);
  assert.equal(reader.ledger().pending, 0);
  await reader.stop();
  // The checkpoint is behind all that, so nothing of it is counted again.
  const again = await start();
  noisy.write("8");
  await until(() => again.ledger().dropped === criLine("8").length, "only what is new");
});

/** A generator of numbers below n, the same for the same seed. */
function numbersOf(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

/** What must come of the lines: groups by stream, without those that a rule drops. */
class Model {
  readonly groups: string[] = [];
  readonly #open = new Map<string, string[]>();

  line(stream: string, text: string): void {
    const open = this.#open.get(stream);
    if (open !== undefined && !text.startsWith("S")) open.push(text);
    else {
      this.#close(stream);
      this.#open.set(stream, [text]);
    }
  }

  end(): void {
    for (const stream of [...this.#open.keys()]) this.#close(stream);
  }

  #close(stream: string): void {
    const message = this.#open.get(stream)?.join("\n");
    this.#open.delete(stream);
    if (message !== undefined && !message.includes("drop")) this.groups.push(message);
  }
}

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8])
  test(`records are the same whatever happens between lines: two streams, rotations, kills (seed ${seed})`, async (context) => {
    const { node, start } = setUp(
      context,
      `[{ multiline: { start: /^S/, timeout: 60s } }, { drop: { match: { message: /drop/ } } }]`,
    );
    const random = numbersOf(seed);
    const container: LogContainer = node.container("web");
    const model = new Model();
    const seen = new Map<string, string>();
    let reader = await start(random(2) === 0);
    const collect = (): void => {
      for (const { id, message } of reader.records) {
        assert.equal(seen.get(id) ?? message, message, "a repeat is the same record");
        seen.set(id, message);
      }
    };
    // kubelet rotates what has grown, so no file is empty.
    const rotate = (): void => {
      if (statSync(container.file).size > 0) container.rotate({ gzip: random(2) === 0 });
    };
    for (let step = 0; step < 120; step++) {
      const action = random(20);
      if (action < 15) {
        const stream = random(3) === 0 ? "stderr" : "stdout";
        const text = `${random(3) === 0 ? "S" : " c"} ${step}${random(8) === 0 ? " drop" : ""}`;
        model.line(stream, text);
        if (random(4) === 0) {
          container.raw(criLine(text.slice(0, 2), stream, "P"));
          if (random(3) === 0) rotate();
          container.raw(criLine(text.slice(2), stream));
        } else container.raw(criLine(text, stream));
      } else if (action < 18) rotate();
      else {
        if (random(2) === 0) reader.accept();
        await reader.stop(random(3) > 0);
        collect();
        reader = await start(random(2) === 0);
      }
    }
    model.end();
    container.restart();
    reader.accept();
    await until(() => {
      collect();
      return seen.size >= model.groups.length;
    }, "all records");
    assert.deepEqual([...seen.values()].sort(), model.groups.sort());
    const { read, shipped, dropped, pending } = reader.ledger();
    assert.equal(read, shipped + dropped + pending);
  });

test("a group of the one stream that ended within one of the other is not repeated in pieces after a kill", async (context) => {
  const { node, start } = setUp(context, STARTS);
  const container = node.container("web");
  container.raw(criLine("S out", "stdout") + criLine("S err", "stderr"));
  container.raw(criLine(" out", "stdout") + criLine("S out two", "stdout") + criLine(" err", "stderr"));
  const first = await start();
  await until(() => first.records.length === 1 && first.ledger().pending > 0, "the first group of stdout");
  const size = statSync(container.file).size;
  await until(() => committed(first) === criLine("S out").length, "the checkpoint is at stderr's group");
  await first.stop();
  assert.ok(first.ledger().read <= size);
  container.rotate();
  container.raw(criLine(" out two", "stdout") + criLine("S err two", "stderr") + criLine("S out three", "stdout"));
  const second = await start();
  await until(() => second.records.length === 2, "the other groups");
  assert.deepEqual(first.messages, ["S out\n out"]);
  assert.deepEqual(second.messages.sort(), ["S err\n err", "S out two\n out two"]);
});

test("split messages of two streams that cross each other are not repeated in pieces either", async (context) => {
  const { node, start } = setUp(context, "[]");
  const container = node.container("web");
  container.raw(criLine("out ", "stdout", "P") + criLine("err ", "stderr", "P") + criLine("end", "stdout"));
  const first = await start();
  await until(() => first.records.length === 1, "the message of stdout");
  await until(
    () => committed(first) === criLine("out ", "stdout", "P").length,
    "the checkpoint is at stderr's message",
  );
  await first.stop();
  container.raw(criLine("end", "stderr") + criLine("next", "stdout"));
  const second = await start();
  await until(() => second.records.length === 2, "the rest");
  assert.deepEqual([...first.messages, ...second.messages], ["out end", "err end", "next"]);
});
