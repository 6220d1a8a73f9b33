/** Who watches sees what passes, within bounds. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { type TestContext, test } from "node:test";
import { Tap, type TapFilter } from "../../../agent/admin/tap.ts";
import { type Batch, DROPPED } from "../../../agent/batch.ts";
import { until } from "../../support/program.ts";
import { origin, rowsOf } from "../../support/rows.ts";

class Sink extends EventEmitter {
  text = "";
  full = false;
  write(text: string): boolean {
    this.text += text;
    return !this.full;
  }
  get lines(): { output?: string; record?: string; missed?: number }[] {
    return this.text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  }
}

function render(batch: Batch, row: number): string {
  return JSON.stringify(batch.bytes.toString("utf8", batch.from[row], batch.to[row]));
}

function open(context: TestContext, tap: Tap, filter: TapFilter = {}): Sink {
  const sink = new Sink();
  assert.ok(tap.open(filter, sink));
  context.after(() => sink.emit("close"));
  return sink;
}

const FILTERS: { filter: TapFilter; seen: boolean }[] = [
  { filter: {}, seen: true },
  { filter: { namespace: "shop", pod: "web-0", container: "app", output: "es" }, seen: true },
  { filter: { namespace: "sh*" }, seen: true },
  { filter: { namespace: "prod" }, seen: false },
  { filter: { pod: "web" }, seen: false },
  { filter: { container: "istio-*" }, seen: false },
  { filter: { output: "loki" }, seen: false },
  { filter: { output: "" }, seen: true },
];

test("filters are globs, and all of them must match", async (context) => {
  const tap = new Tap(render);
  const sinks = FILTERS.map(({ filter }) => open(context, tap, filter));
  tap.see("es", rowsOf(["one"], origin));
  await until(() => sinks.every(({ text }, i) => text !== "" || FILTERS[i]?.seen === false), "all that match have it");
  FILTERS.forEach(({ filter, seen }, i) => {
    assert.deepEqual(sinks[i]?.lines, seen ? [{ output: "es", record: "one" }] : [], JSON.stringify(filter));
  });
});

test("what a rule dropped is not shown", async (context) => {
  const tap = new Tap(render);
  const sink = open(context, tap);
  const rows = rowsOf(["dropped", "kept"]);
  rows.flags[0] = DROPPED;
  tap.see("es", rows);
  await until(() => sink.text !== "", "something is written");
  assert.deepEqual(
    sink.lines.map(({ record }) => record),
    ["kept"],
  );
});

test("a full sink gets nothing until it has drained; then it is told how much it missed", async (context) => {
  const tap = new Tap(render);
  const sink = open(context, tap);
  sink.full = true;
  tap.see("es", rowsOf(["first"]));
  await until(() => sink.text !== "", "the first is written");
  const written = sink.text;
  const large = "x".repeat(100_000);
  for (let i = 0; i < 100; i++) tap.see("es", rowsOf([large, large]));
  assert.equal(sink.text, written);
  sink.full = false;
  sink.emit("drain");
  await until(() => sink.lines.some(({ missed }) => missed !== undefined), "what was missed is said");
  const shown = sink.lines.filter(({ record }) => record === large).length;
  assert.ok(shown >= 1 && shown <= 4, `${shown}`);
  assert.equal(shown + (sink.lines.at(-1)?.missed ?? 0), 200);
});

test("only so many watch at a time, and one who goes makes room", (context) => {
  const tap = new Tap(render);
  const sinks = Array.from({ length: 16 }, () => open(context, tap));
  assert.equal(tap.open({}, new Sink()), false);
  sinks[0]?.emit("close");
  open(context, tap);
});
