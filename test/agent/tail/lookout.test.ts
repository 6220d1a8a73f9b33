/** When files are looked at: of silent ones the kernel tells, and where it does not, looking finds all the same. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { type FSWatcher, truncateSync, watch } from "node:fs";
import { type TestContext, test } from "node:test";
import { Alarms, type Watch } from "../../../agent/tail/alarms.ts";
import { Chain } from "../../../agent/tail/chain.ts";
import { Descriptors } from "../../../agent/tail/descriptors.ts";
import { Lookout } from "../../../agent/tail/lookout.ts";
import { chainKey, resolveLog } from "../../../agent/tail/path.ts";
import { type LogContainer, LogNode } from "../../support/node.ts";
import { HeldClock } from "../../support/pods.ts";
import { temporaryFolder, until } from "../../support/program.ts";
import { keepLog } from "../../support/quiet-log.ts";

/** Longer than a file has to be silent. */
const SILENCE_MS = 6000;
/** After this long it is looked at by its name. */
const LOOK_MS = 2000;

interface Set {
  readonly container: LogContainer;
  readonly chain: Chain;
  readonly clock: HeldClock;
  readonly changes: Chain[];
  /** A look as at each tick. */
  look(): Promise<boolean>;
}

/** A container that has been silent for a while. */
async function silent(context: TestContext, watchFile: Watch): Promise<Set> {
  const root = temporaryFolder(context);
  const container = new LogNode(root).container("web");
  container.write("line 0");
  const found = resolveLog(container.link, [root]);
  assert.ok(found.kind === "log");
  const clock = new HeldClock();
  clock.now = 1_000_000;
  const chain = new Chain(chainKey(found.log), new Descriptors(16), () => {});
  context.after(() => chain.close());
  chain.link(found.log, found.target);
  const changes: Chain[] = [];
  const alarms = new Alarms<Chain>(() => void lookout.answer(() => true), clock, keepLog().log, watchFile);
  const lookout = new Lookout(alarms, (changed) => changes.push(changed), clock);
  context.after(() => lookout.close());
  const look = async (): Promise<boolean> => lookout.look(chain, clock.now, false);
  await look();
  await look();
  clock.now += SILENCE_MS;
  assert.equal(await look(), false, "looked at by its name");
  changes.length = 0;
  return { container, chain, clock, changes, look };
}

const deaf: Watch = () => Object.assign(new EventEmitter(), { close: () => {} }) as unknown as FSWatcher;

const EVENTS: { name: string; act: (container: LogContainer) => void }[] = [
  { name: "is written to", act: (container) => container.write("line 1") },
  { name: "is rotated", act: (container) => container.rotate() },
  { name: "is cut", act: (container) => truncateSync(container.file) },
];

for (const { name, act } of EVENTS)
  test(`that a silent file ${name} is known without a look`, async (context) => {
    const { container, chain, changes, look } = await silent(context, watch);
    assert.equal(await look(), true, "an alarm is set");
    act(container);
    await until(() => changes.includes(chain), "the alarm");
  });

test("what came before the alarm was set is found", async (context) => {
  const { container, changes, look } = await silent(context, (path, options, listener) => {
    container.write("line 1");
    return watch(path, options, listener);
  });
  await look();
  assert.equal(changes.length, 1);
});

test("where no alarm can be had each look finds what has come", async (context) => {
  const { container, changes, look } = await silent(context, () => {
    throw Object.assign(new Error("no watches left"), { code: "ENOSPC" });
  });
  assert.equal(await look(), false);
  container.write("line 1");
  assert.equal(await look(), false);
  assert.equal(changes.length, 1);
});

test("an alarm that does not ring is found out by a look at the name, and no other is relied upon", async (context) => {
  const { container, clock, changes, look } = await silent(context, deaf);
  assert.equal(await look(), true);
  container.write("line 1");
  assert.equal(await look(), true);
  assert.equal(changes.length, 0);
  clock.now += LOOK_MS;
  await look();
  assert.equal(changes.length, 1);
  await look();
  await look();
  clock.now += SILENCE_MS;
  await look();
  assert.equal(await look(), false, "none is set any more");
  container.write("line 2");
  await look();
  assert.equal(changes.length, 2);
});

test("a file of which one reader has seen more than the others were told is no silent one", async (context) => {
  const { container, chain, clock, changes, look } = await silent(context, watch);
  container.write("line 1");
  chain.last?.refresh(clock.now - SILENCE_MS);
  await look();
  assert.equal(changes.length, 1);
});
