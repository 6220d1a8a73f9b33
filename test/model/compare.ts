/** What was delivered of a container against what the model says must be. */
import assert from "node:assert/strict";
import type { ModelContainer } from "./model.ts";
import { DROPPED_GROUP, type Written } from "./written.ts";

export interface Delivered {
  readonly id: string;
  readonly stream: string;
  readonly message: string;
}

/**
 * Every message at least once, whole, in order by stream, under an id of its own; what is missing may be missing, and what a
 * rule drops is.
 */
export function compare(model: ModelContainer, delivered: readonly Delivered[], losses: number): void {
  const { written, disordered } = model;
  const ids = new Map<string, string>();
  for (const { id, stream, message } of delivered) {
    // Where names do not tell the order of files, parts of messages can't be matched either.
    if (!disordered)
      assert.equal(ids.get(id) ?? `${stream} ${message}`, `${stream} ${message}`, `one id, two messages: ${id}`);
    ids.set(id, `${stream} ${message}`);
  }
  const missing: string[] = [];
  for (const stream of new Set(written.map((message) => message.stream))) {
    const mine = written.filter((message) => message.stream === stream);
    const first = new Map<string, number>();
    for (const { message } of delivered.filter((record) => record.stream === stream))
      if (!first.has(message)) first.set(message, first.size);
    let last = -1;
    for (const { text, mayBeLost, mustBeNoticed, mayBeDropped } of mine) {
      const at = first.get(text);
      assert.ok(at === undefined || !text.startsWith(DROPPED_GROUP), `delivered though a rule drops it: ${text}`);
      if (at === undefined && mustBeNoticed && !mayBeDropped && !disordered) missing.push(text.slice(0, 20));
      assert.ok(
        at !== undefined || mayBeLost || mayBeDropped || disordered,
        `never delivered: ${stream} ${text.slice(0, 60)}`,
      );
      assert.ok(at === undefined || at > last || disordered, `out of order: ${stream} ${text.slice(0, 60)}`);
      last = at ?? last;
    }
    const strange = [...first.keys()].filter((text) => !mine.some((message) => isOf(message, text)));
    const broken = disordered || mine.some(({ mayBeLost }) => mayBeLost);
    assert.ok(broken || strange.length === 0, `never written: ${stream} ${strange[0]?.slice(0, 60)}`);
  }
  assert.ok(
    missing.length === 0 || losses > 0,
    `no loss was counted, and ${missing.length} messages are missing: ${missing.slice(0, 3)} of ${written.length}`,
  );
}

function isOf({ text, mayComeHeadless }: Written, delivered: string): boolean {
  return text === delivered || (mayComeHeadless && text.endsWith(delivered));
}
