/**
 * The model: what a container wrote, and which of it may be missing at the backend. It knows nothing of files' names,
 * inodes or offsets; a generation is just the messages that stand in one file.
 */
import { DROPPED_GROUP, GROUP, type Written, written } from "./written.ts";

export class ModelContainer {
  readonly written: Written[] = [];
  readonly #unfinished = new Map<string, Written>();
  /** Streams in which the next message may end one whose rest was lost. */
  readonly #gap = new Set<string>();
  /** Messages by the file in which they end, oldest first; the last one is the live file. */
  generations: Written[][] = [[]];
  /** Where those of the container's present run begin. */
  firstOfRun = 0;
  /** Generations that the agent has had a look at since they were made. */
  readonly seen = new Set<Written[]>();
  /** Streams in which a group that a rule drops goes on. */
  readonly #dropping = new Set<string>();
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
    const message = this.#unfinished.get(stream) ?? written(stream);
    if (message.text === "") this.written.push(message);
    message.text += text;
    if (end && this.#gap.delete(stream)) message.mayBeLost = true;
    this.#unfinished.set(stream, message);
    this.generations.at(-1)?.push(message);
    if (end) this.#complete(message);
  }

  #complete(message: Written): void {
    const { stream, text } = message;
    this.#unfinished.delete(stream);
    if (text.startsWith(GROUP)) this.#dropping.delete(stream);
    if (text.startsWith(DROPPED_GROUP)) this.#dropping.add(stream);
    message.mayBeDropped = this.#dropping.has(stream);
  }

  rotate(): void {
    this.generations.push([]);
  }

  /** The container's run is over: what is unfinished is complete. */
  restart(): void {
    for (const message of this.#unfinished.values()) this.#complete(message);
    this.#dropping.clear();
    this.firstOfRun = this.generations.length;
    this.rotate();
  }

  /** The live file was cut when it held whole messages only. A line that began another group may be lost, too. */
  cut(): void {
    for (const message of this.generations.at(-1) ?? []) message.mayBeLost = true;
    for (const { stream } of this.written) {
      this.#gap.add(stream);
      this.#dropping.add(stream);
    }
  }

  /** `count` generations are gone; a later run's go unnoticed. @param readable the agent has those open that it has seen. */
  lose(from: number, count: number, readable: boolean): void {
    for (const generation of this.generations.splice(from, count))
      for (const message of generation) {
        message.mayComeHeadless = true;
        if (readable && this.seen.has(generation)) continue;
        message.mayBeLost = true;
        message.mustBeNoticed = !readable && this.known && from === 0;
      }
  }
}
