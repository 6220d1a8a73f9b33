import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { Trim } from "../../agent/trim.ts";

const MB = 1 << 20;

test("memory is given back once there is little to do, all that starting took first, and again when it has grown", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const collected: boolean[] = [];
  let [cpu, used] = [0, 20 * MB];
  const trim = new Trim({
    cpuMs: () => cpu,
    used: () => used,
    collect(all) {
      collected.push(all);
      used = 13 * MB;
    },
  });
  const pass = (ms: number, share: number): void => {
    for (let left = ms; left > 0; left -= 2000) {
      cpu += 2000 * share;
      t.mock.timers.tick(2000);
    }
  };
  trim.start();
  pass(20_000, 0.06);
  deepEqual(collected, [], "not while it is busy");
  pass(2000, 0.04);
  deepEqual(collected, [true], "as soon as it is not");
  used = 15 * MB;
  pass(120_000, 0.01);
  deepEqual(collected, [true], "not for so little");
  used = 15 * MB + 1;
  pass(60_000, 0.06);
  deepEqual(collected, [true], "not while it is busy");
  pass(60_000, 0.04);
  deepEqual(collected, [true, false], "without the code that runs now and then");
  used = 30 * MB;
  trim.stop();
  pass(120_000, 0.01);
  deepEqual(collected, [true, false], "not after its end");
});

test("the process's own heap becomes smaller by it", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const before = process.memoryUsage().heapUsed;
  let garbage: unknown[] | undefined = Array.from({ length: 300_000 }, (_, i) => ({ i }));
  const full = process.memoryUsage().heapUsed;
  deepEqual([garbage.length, full - before > 8 * MB], [300_000, true]);
  garbage = undefined;
  const trim = new Trim();
  trim.start();
  t.mock.timers.tick(2000);
  trim.stop();
  deepEqual(process.memoryUsage().heapUsed < full - 8 * MB, true);
});
