/** What counts as stuck, minute by minute. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Health } from "../../agent/health.ts";

interface Moment {
  readonly seconds: number;
  readonly waiting?: boolean;
  readonly state?: string;
  readonly isAwaited?: boolean;
  /** When a byte last moved. */
  readonly moved?: number;
  /** When the folders were last looked at; now, unless it says otherwise. */
  readonly looked?: number;
  readonly stuck: boolean;
}

const CASES: Record<string, readonly Moment[]> = {
  "a quiet node": [
    { seconds: 0, waiting: false, stuck: false },
    { seconds: 1000, waiting: false, stuck: false },
  ],
  "bytes wait and nothing moves": [
    { seconds: 0, stuck: false },
    { seconds: 59, stuck: false },
    { seconds: 60, stuck: true },
    { seconds: 70, moved: 69, stuck: false },
    { seconds: 129, moved: 69, stuck: true },
  ],
  "bytes move all the while": [
    { seconds: 0, stuck: false },
    { seconds: 59, moved: 58, stuck: false },
    { seconds: 117, moved: 116, stuck: false },
  ],
  "a backend that refuses": [
    { seconds: 0, stuck: false },
    { seconds: 50, state: "retrying", stuck: false },
    { seconds: 500, state: "retrying", stuck: false },
    { seconds: 501, stuck: false },
    { seconds: 561, stuck: true },
  ],
  "a backend that does not answer, for as long as it may": [
    { seconds: 0, stuck: false },
    { seconds: 90, isAwaited: true, stuck: false },
    { seconds: 100, stuck: false },
    { seconds: 160, stuck: true },
  ],
  "bytes that began to wait after a long silence": [
    { seconds: 0, waiting: false, stuck: false },
    { seconds: 1000, stuck: false },
    { seconds: 1061, stuck: true },
  ],
  "folders that nobody looks at any more, though no byte is known to wait": [
    { seconds: 50, waiting: false, looked: 0, stuck: false },
    { seconds: 61, waiting: false, looked: 60, stuck: false },
    { seconds: 130, waiting: false, looked: 60, stuck: true },
  ],
};

for (const [name, moments] of Object.entries(CASES))
  test(`${name}: ${moments.at(-1)?.stuck === true ? "stuck in the end" : "not stuck"}`, () => {
    let now = 0;
    let moment: Moment = { seconds: 0, stuck: false };
    const consumer = {
      name: "es",
      get waiting() {
        return moment.waiting ?? true;
      },
      get movedAt() {
        return (moment.moved ?? 0) * 1000;
      },
    };
    const health = new Health(
      { monotonic: () => now * 1000, wall: () => 0 },
      () => [{ consumer, lane: { state: moment.state ?? "ok", isAwaited: moment.isAwaited ?? false } }],
      () => ({ lookedAt: (moment.looked ?? now) * 1000 }),
    );
    for (moment of moments) {
      now = moment.seconds;
      assert.equal(health.stuck() !== "", moment.stuck, `after ${now} s: ${health.stuck()}`);
    }
  });
