/**
 * The model: what a container wrote, and which of it may be missing at the backend. It knows nothing of files' names,
 * inodes or offsets; a generation is just the messages that stand in one file.
 */
import assert from "node:assert/strict";

export interface Written {
  readonly stream: string;
  text: string;
  /** Its file was deleted or cut at a moment when the agent could not have it open. */
  mayBeLost: boolean;
  /** The agent must notice that it is missing: what it had read before is gone as well. */
  mustBeNoticed: boolean;
}

export interface Delivered {
  readonly id: string;
  readonly stream: string;
  readonly message: string;
}

export class ModelContainer {
  readonly written: Written[] = [];
  readonly #unfinished = new Map<string, Written>();
  /** Streams in which the next message may end one whose rest was lost. */
  readonly #gap = new Set<string>();
  /** Messages by the file in which they end, oldest first; the last one is the live file. */
  generations: Written[][] = [[]];
  /** Generations that the agent has had a look at since they were made. */
  readonly seen = new Set<Written[]>();
  /** Names no longer sort by age. */
  disordered = false;
  /** The agent has a checkpoint of it, so that it must notice what goes missing. */
  known = false;

  /** Streams whose last message has no end yet. */
  get unfinished(): string[] {
    return [...this.#unfinished.keys()];
  }

  /** A part of a message, or with `end` the last one. */
  write(stream: string, text: string, end: boolean): void {
    const afterGap = end && this.#gap.delete(stream);
    const message = this.#unfinished.get(stream) ?? { stream, text: "", mayBeLost: false, mustBeNoticed: false };
    if (message.text === "") this.written.push(message);
    message.text += text;
    if (afterGap) message.mayBeLost = true;
    this.#unfinished.set(stream, message);
    this.generations.at(-1)?.push(message);
    if (end) this.#unfinished.delete(stream);
  }

  rotate(): void {
    this.generations.push([]);
  }

  /** The container's run is over: what is unfinished is complete. */
  restart(): void {
    this.#unfinished.clear();
    this.rotate();
  }

  /** The live file was cut when it held whole messages only. */
  cut(): void {
    for (const message of this.generations.at(-1) ?? []) message.mayBeLost = true;
    for (const { stream } of this.written) this.#gap.add(stream);
  }

  /** The oldest `count` generations are gone. @param readable the agent runs, and has those open that it has seen. */
  lose(count: number, readable: boolean): void {
    for (const generation of this.generations.splice(0, count))
      for (const message of generation) {
        if (readable && this.seen.has(generation)) continue;
        message.mayBeLost = true;
        message.mustBeNoticed = !readable && this.known;
      }
  }

  /** Every message at least once, whole, in order by stream, under an id of its own; what is missing may be missing. */
  check(delivered: readonly Delivered[], losses: number): void {
    const ids = new Map<string, string>();
    for (const { id, stream, message } of delivered) {
      // Where names do not tell the order of files, parts of messages can't be matched either.
      if (!this.disordered)
        assert.equal(ids.get(id) ?? `${stream} ${message}`, `${stream} ${message}`, `one id, two messages: ${id}`);
      ids.set(id, `${stream} ${message}`);
    }
    const missing: string[] = [];
    for (const stream of new Set(this.written.map((message) => message.stream))) {
      const mine = this.written.filter((message) => message.stream === stream);
      const first = new Map<string, number>();
      for (const { message } of delivered.filter((record) => record.stream === stream))
        if (!first.has(message)) first.set(message, first.size);
      let last = -1;
      for (const { text, mayBeLost, mustBeNoticed } of mine) {
        const at = first.get(text);
        if (at === undefined && mustBeNoticed && !this.disordered) missing.push(text.slice(0, 20));
        assert.ok(at !== undefined || mayBeLost || this.disordered, `never delivered: ${stream} ${text.slice(0, 60)}`);
        assert.ok(at === undefined || at > last || this.disordered, `out of order: ${stream} ${text.slice(0, 60)}`);
        last = at ?? last;
      }
      const strange = [...first.keys()].filter((text) => !mine.some((message) => message.text === text));
      const broken = this.disordered || mine.some(({ mayBeLost }) => mayBeLost);
      assert.ok(broken || strange.length === 0, `never written: ${stream} ${strange[0]?.slice(0, 60)}`);
    }
    assert.ok(
      missing.length === 0 || losses > 0,
      `no loss was counted, and ${missing.length} messages are missing: ${missing.slice(0, 3)} of ${this.written.length}`,
    );
  }
}
