/** Containers whose lines go to one place are read at one pace: on real files, and who waits for whom. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Convoys, type Member } from "../../agent/convoy.ts";
import { type LogContainer, LogNode } from "../support/node.ts";
import { temporaryFolder, until } from "../support/program.ts";
import { Reader } from "../support/reader.ts";
import { origin } from "../support/rows.ts";

const SPREAD = 600;
const REPEAT = 2400;
type Mutable = { -readonly [key in keyof Member]: Member[key] };
const NOW = Math.floor(Date.parse("2026-11-24T10:00:00Z") / 1000);

/** Lines whose message tells the pod and the time. */
function write(container: LogContainer, pod: string, from: number, to: number, step: number, tag = "F"): string[] {
  const messages: string[] = [];
  let lines = "";
  for (let at = from; at < to; at += step) {
    const message = `${pod} ${at} ${"x".repeat(Math.floor(at) % 300)}`;
    messages.push(message);
    lines += `${new Date(at * 1000).toISOString().slice(0, 19)}.5Z stdout ${tag} ${message}\n`;
  }
  container.raw(lines);
  return messages;
}

/** The times in the order in which they were handed on. */
const seconds = (messages: readonly string[]): number[] => messages.map((message) => Number(message.split(" ")[1]));

/** How far a line came behind a newer one, at most. */
function disorder(messages: readonly string[]): number {
  let newest = Number.NEGATIVE_INFINITY;
  let most = 0;
  for (const at of seconds(messages)) {
    newest = Math.max(newest, at);
    most = Math.max(most, newest - at);
  }
  return most;
}

const shape = fc.record({
  /** Hours before now at which its lines begin and end. */
  from: fc.integer({ min: 1, max: 30 }),
  to: fc.integer({ min: 0, max: 30 }),
  /** Seconds between two lines. */
  step: fc.constantFrom(7, 60, 600, 5000),
  rotations: fc.nat(3),
  gzip: fc.boolean(),
});

test("whatever backlogs several containers have, their lines come in order of time within the spread, and all come", async (context) => {
  await fc.assert(
    fc.asyncProperty(fc.array(shape, { minLength: 2, maxLength: 4 }), async (shapes) => {
      const root = temporaryFolder(context);
      const node = new LogNode(root);
      const expected = shapes.map(({ from, to, step, rotations, gzip }, i) => {
        const container = node.container(`web-${i}`);
        const begin = NOW - Math.max(from, to) * 3600;
        const length = (Math.abs(from - to) * 3600) / (rotations + 1);
        const all: string[] = [];
        for (let part = 0; part <= rotations; part++) {
          if (part > 0) container.rotate({ gzip });
          all.push(...write(container, `web-${i}`, begin + part * length, begin + (part + 1) * length, step));
        }
        return all;
      });
      const reader = await Reader.start(root, { convoy: ({ namespace }) => namespace });
      const count = expected.reduce((sum, all) => sum + all.length, 0);
      await until(() => reader.records.length >= count, "all is read");
      await reader.stop();
      expected.forEach((all, i) => {
        assert.deepEqual(
          reader.messages.filter((message) => message.startsWith(`web-${i} `)),
          all,
        );
      });
      assert.ok(disorder(reader.messages) <= SPREAD, `${disorder(reader.messages)} s`);
      reader.ledger();
    }),
    { numRuns: 12 },
  );
});

test("without a convoy each container is read at its own pace", async (context) => {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  for (const pod of ["web-0", "web-1"]) write(node.container(pod), pod, NOW - 6 * 3600, NOW, pod === "web-0" ? 600 : 5);
  for (const convoy of [undefined, ({ pod }: { pod: string }) => pod]) {
    const reader = await Reader.start(`${root}`, { convoy, name: String(convoy) });
    await until(() => reader.records.length === 36 + 4320, "all is read");
    await reader.stop();
    assert.ok(disorder(reader.messages) > SPREAD);
  }
});

test("a container that is up to date goes on by itself, and new lines wait for a backlog", async (context) => {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const quiet = node.container("quiet");
  write(quiet, "quiet", NOW - 10, NOW, 5);
  const reader = await Reader.start(root, { convoy: () => "" });
  await until(() => reader.records.length === 2, "the first lines are read");
  write(quiet, "quiet", NOW, NOW + 5, 5);
  await until(() => reader.records.length === 3, "it needs no other to go on");
  await reader.stop();
  write(quiet, "quiet", NOW + 5, NOW + 10, 5);
  const late = node.container("late");
  write(late, "late", NOW - 7200, NOW, 60);
  const next = await Reader.start(root, { convoy: () => "" });
  await until(() => next.records.length === 121, "both are read");
  await next.stop();
  assert.ok(disorder(next.messages) <= SPREAD);
});

test("a member waits for the oldest unread line, and for one of whom nothing is known yet", () => {
  const convoys = new Convoys<Mutable>(({ pod }) => pod);
  const one: Mutable = { unread: true, nextSeconds: 5000, repeatSeconds: Number.POSITIVE_INFINITY };
  const other: Mutable = { ...one, nextSeconds: Number.NaN };
  convoys.join(one, { ...origin, pod: "a" });
  assert.equal(convoys.until(one), Number.POSITIVE_INFINITY, "alone");
  convoys.join(other, { ...origin, pod: "a" });
  assert.equal(convoys.until(one), Number.NEGATIVE_INFINITY);
  assert.ok(convoys.park(one));
  assert.deepEqual(convoys.moved(other), []);
  other.nextSeconds = 100;
  assert.ok(!convoys.park(other));
  assert.equal(convoys.until(one), 100 + SPREAD);
  assert.deepEqual(convoys.moved(other), []);
  other.nextSeconds = 4500;
  assert.deepEqual(convoys.moved(other), [one]);
  assert.ok(!convoys.isParked(one));
  other.nextSeconds = 100;
  assert.ok(convoys.park(one));
  other.unread = false;
  assert.deepEqual(convoys.moved(other), [one], "one without unread bytes holds nobody back");
  other.unread = true;
  assert.ok(convoys.park(one));
  assert.deepEqual(convoys.left(other), [one], "nor one that has left");
  convoys.join(other, { ...origin, pod: "a" });
  assert.ok(convoys.park(one));
  convoys.join(one, { ...origin, pod: "b" });
  assert.ok(!convoys.isParked(one), "another pod, another convoy");
});

test("no member is read so far that after a crash repeats would be far behind, and saving lets it go on", () => {
  const convoys = new Convoys<Mutable>(() => "");
  const one: Mutable = { unread: true, nextSeconds: 4000, repeatSeconds: 1000 };
  convoys.join(one, origin);
  assert.equal(convoys.until(one), 1000 + REPEAT);
  assert.ok(convoys.park(one));
  assert.deepEqual(convoys.freed(), []);
  one.repeatSeconds = 1800;
  assert.deepEqual(convoys.freed(), [one]);
  const silent: Mutable = { unread: false, nextSeconds: 0, repeatSeconds: 100 };
  convoys.join(silent, origin);
  assert.ok(convoys.park(one), "also of one that has no more to read, but is not settled");
});
