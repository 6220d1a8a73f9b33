/**
 * Convoys: containers whose lines go to one place that takes them only in order of time, more or less, as Loki does with
 * what shares a stream: at most an hour behind the newest. They are read at one pace:
 *
 * - A line is taken only when it is at most SPREAD_SECONDS newer than the oldest line that any of them has yet to read. So
 *   whatever backlog each of them has, no line that is handed on is more than that behind one handed on before.
 * - It is taken only when it is at most REPEAT_SECONDS newer than what would be sent again after a crash, lest the repeats
 *   are too far behind then. With a save every half second, a week's backlog of a container that writes little waits for some 200 of them.
 *
 * Containers without unread bytes hold nobody back, and one that can't be read leaves the convoy until it can.
 */
import type { Origin } from "./pods/origin.ts";

/** Leaves room within the hour for clocks and smaller settings. */
const SPREAD_SECONDS = 600;
const REPEAT_SECONDS = 2400;

/** A container on its way. Times are seconds since 1970. */
export interface Member {
  /** There are bytes that it has yet to read. */
  readonly unread: boolean;
  /** Of its oldest unread line, or a lower bound; NaN: not known. */
  readonly nextSeconds: number;
  /** Of the oldest line that would be sent again after a crash, or a lower bound; Infinity: none would. */
  readonly repeatSeconds: number;
}

export class Convoys<M extends Member> {
  readonly #nameOf: (origin: Origin) => string;
  readonly #names = new Map<M, string>();
  readonly #convoys = new Map<string, Set<M>>();
  readonly #parked = new Set<M>();

  /** @param nameOf which convoy a container belongs to by now. */
  constructor(nameOf: (origin: Origin) => string) {
    this.#nameOf = nameOf;
  }

  /** Puts a container where it belongs by now. */
  join(member: M | undefined, origin: Origin): void {
    if (member === undefined) return;
    const name = this.#nameOf(origin);
    if (this.#names.get(member) === name) return;
    this.#leave(member);
    this.#names.set(member, name);
    const convoy = this.#convoys.get(name);
    if (convoy === undefined) this.#convoys.set(name, new Set([member]));
    else convoy.add(member);
  }

  /** Lines that are newer than this, in seconds since 1970, must not be read yet. */
  until(member: M): number {
    return limit(this.#convoyOf(member) ?? [], member);
  }

  /** Whether it must wait; if so it is parked until it is given back. */
  park(member: M | undefined): boolean {
    if (member === undefined) return false;
    const waits = member.unread && member.nextSeconds > this.until(member);
    if (waits) this.#parked.add(member);
    return waits;
  }

  isParked(member: M | undefined): boolean {
    return member !== undefined && this.#parked.has(member);
  }

  /** A member was read. @returns those that need not wait any longer. */
  moved(member: M | undefined): M[] {
    return member === undefined || this.#parked.size === 0 ? [] : this.#freedOf(this.#convoyOf(member));
  }

  /** A member has no more to read, or can't be read. @returns those that need not wait any longer. */
  left(member: M | undefined): M[] {
    if (member === undefined) return [];
    const convoy = this.#convoyOf(member);
    this.#leave(member);
    return this.#freedOf(convoy);
  }

  /** After checkpoints may have been saved. @returns those that need not wait any longer. */
  freed(): M[] {
    const convoys = new Set([...this.#parked].map((member) => this.#convoyOf(member)));
    return [...convoys].flatMap((convoy) => this.#freedOf(convoy));
  }

  #leave(member: M): void {
    const name = this.#names.get(member);
    if (name === undefined) return;
    this.#names.delete(member);
    this.#parked.delete(member);
    const convoy = this.#convoys.get(name);
    convoy?.delete(member);
    if (convoy?.size === 0) this.#convoys.delete(name);
  }

  #convoyOf(member: M): Set<M> | undefined {
    const name = this.#names.get(member);
    return name === undefined ? undefined : this.#convoys.get(name);
  }

  #freedOf(convoy: ReadonlySet<M> | undefined): M[] {
    if (convoy === undefined) return [];
    // A parked one is not the oldest, so that whether it counts itself is all one, and one limit is good for all.
    const until = limit(convoy, undefined);
    const freed = [...convoy].filter((member) => this.#parked.has(member) && member.nextSeconds <= until);
    for (const member of freed) this.#parked.delete(member);
    return freed;
  }
}

/** @param self whose unread lines hold others back, but not itself, as they are in order. */
function limit<M extends Member>(convoy: Iterable<M>, self: M | undefined): number {
  let unread = Number.POSITIVE_INFINITY;
  let repeat = Number.POSITIVE_INFINITY;
  for (const member of convoy) {
    repeat = Math.min(repeat, member.repeatSeconds);
    if (member === self || !member.unread) continue;
    const { nextSeconds } = member;
    unread = Math.min(unread, Number.isNaN(nextSeconds) ? Number.NEGATIVE_INFINITY : nextSeconds);
  }
  return Math.min(unread + SPREAD_SECONDS, repeat + REPEAT_SECONDS);
}
