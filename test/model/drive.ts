/**
 * Drives real files and the agent's reading half by a seed: write, split, rotate, compress, rename back, cut, delete,
 * restart, crash, outage, reload, clock jump in random order, and in the end compares with the model. If wanted, lines are
 * joined into groups, some of which a rule drops.
 */
import assert from "node:assert/strict";
import { appendFileSync, copyFileSync, mkdtempSync, readdirSync, renameSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Plan } from "../../agent/process/plan.ts";
import { Descriptors } from "../../agent/tail/descriptors.ts";
import { criLine, type LogContainer, LogNode } from "../support/node.ts";
import { HeldClock } from "../support/pods.ts";
import { until } from "../support/program.ts";
import { type KeptRecord, Reader } from "../support/reader.ts";
import { compare, type Delivered } from "./compare.ts";
import { ModelContainer } from "./model.ts";
import { DROPPED_GROUP, GROUP } from "./written.ts";

/** Groups last longer than any history, but for its end. */
const JOINING = new Plan({
  output: "out",
  common: [
    { multiline: { start: `/^${GROUP}/`, timeout: 60_000, maxLines: 1000 } },
    { drop: { match: { message: [`/^${DROPPED_GROUP}/`] } } },
  ],
  match: {},
  own: [],
  maxRecordBytes: 1 << 20,
});

type Random = (below: number) => number;

/** mulberry32. */
function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

interface Pair {
  readonly real: LogContainer;
  readonly model: ModelContainer;
  readonly uid: string;
  /** Its files were renamed and there is no live one: (old name, new name). */
  renamed: [string, string] | undefined;
  deleted: boolean;
}

export class Drive {
  readonly #random: Random;
  readonly #joins: boolean;
  readonly #root = mkdtempSync(join(tmpdir(), "tailrace-model-"));
  readonly #node = new LogNode(this.#root);
  readonly #clock = new HeldClock();
  readonly #pairs: Pair[] = [];
  readonly #records: KeptRecord[] = [];
  #reader: Reader | undefined;
  #losses = 0;
  #written = 0;
  #jumped = false;
  readonly steps: string[] = [];

  /** @param joins whether lines are joined into groups. */
  constructor(seed: number, joins: boolean) {
    this.#random = randomOf(seed);
    this.#joins = joins;
    this.#clock.now = 1_000_000;
  }

  async run(steps: number): Promise<void> {
    try {
      this.#add();
      for (let i = 0; i < steps; i++) await this.#step();
      await this.#finish();
    } finally {
      await this.#reader?.stop(false);
      rmSync(this.#root, { recursive: true });
    }
  }

  #add(): void {
    const name = `pod-${this.#pairs.length}`;
    const real = this.#node.container(name);
    this.#pairs.push({ real, model: new ModelContainer(), uid: real.uid, renamed: undefined, deleted: false });
  }

  async #step(): Promise<void> {
    const living = this.#pairs.filter(({ deleted }) => !deleted);
    const pair = living[this.#random(living.length)];
    const dice = this.#random(100);
    if (pair === undefined || dice < 3) return this.#did("add", () => this.#add());
    if (dice < 45) return this.#did("write", () => this.#write(pair));
    if (dice < 58) return this.#did("look", () => this.#look());
    if (dice < 68) return this.#did("rotate", () => this.#rotate(pair));
    if (dice < 72) return this.#did("rename", () => this.#rename(pair));
    if (dice < 75) return this.#did("restart", () => this.#restart(pair));
    if (dice < 77) return this.#did("cut", () => this.#cut(pair));
    if (dice < 79) return this.#did("delete", () => this.#delete(pair));
    if (dice < 84) return this.#did("start or crash", () => this.#startOrCrash());
    if (dice < 88) return this.#did("save", () => this.#reader?.checkpoints.save());
    if (dice < 90) return this.#did("reload", () => this.#reader?.reload());
    if (dice < 92) return this.#did("outage", () => this.#outage());
    if (dice < 96) return this.#did("accept", () => this.#reader?.accept());
    return this.#did("clock jump", () => this.#jump());
  }

  async #did(name: string, action: () => unknown): Promise<void> {
    this.steps.push(name);
    await action();
  }

  #line({ real, model, renamed }: Pair, stream: string, text: string, end: boolean): void {
    model.write(stream, text, end);
    appendFileSync(renamed?.[1] ?? real.file, criLine(text, stream, end ? "F" : "P"));
  }

  #write(pair: Pair): void {
    for (let lines = 1 + this.#random(20); lines > 0; lines--) {
      const stream = this.#random(3) === 0 ? "stderr" : "stdout";
      const end = this.#random(6) !== 0;
      const text = `${this.#joins ? this.#head() : ""}${this.#written++}.${"x".repeat(this.#random(4) === 0 ? this.#random(30_000) : this.#random(40))}`;
      this.#line(pair, stream, text, end);
    }
  }

  #head(): string {
    return ["c", "c", "c", GROUP, GROUP, DROPPED_GROUP][this.#random(6)] ?? "";
  }

  async #look(): Promise<void> {
    if (this.#reader === undefined) return;
    this.#clock.now += 1 + this.#random(1500);
    await this.#reader.look();
    for (const { model } of this.#pairs)
      for (const generation of model.generations) if (generation.length > 0) model.seen.add(generation);
    this.#reader.ledger();
  }

  #rotate(pair: Pair): void {
    if (pair.renamed !== undefined) this.#reopen(pair);
    else if (pair.model.generations.at(-1)?.length === 0) return;
    else {
      const keep = 4;
      pair.real.rotate({ gzip: this.#random(3) > 0, keep });
      this.#rotated(pair);
    }
  }

  #rotated({ real, model }: Pair): void {
    model.rotate();
    if (this.#jumped) model.disordered = true;
    const { firstOfRun, generations } = model;
    const names = readdirSync(real.folder).filter(
      (name) => name.startsWith(basename(real.file)) && !name.endsWith(".tmp"),
    );
    model.lose(firstOfRun, Math.max(0, generations.length - firstOfRun - names.length), this.#reader !== undefined);
  }

  /** The first half of a rotation: the live file is renamed and no new one is there yet. */
  #rename(pair: Pair): void {
    if (pair.renamed !== undefined || pair.model.generations.at(-1)?.length === 0) return;
    const stamped = pair.real.stamped();
    pair.renamed = [pair.real.file, stamped];
    renameSync(pair.real.file, stamped);
  }

  /** The second half, or kubelet takes the first one back. */
  #reopen(pair: Pair): void {
    const [live, stamped] = pair.renamed ?? ["", ""];
    pair.renamed = undefined;
    if (this.#random(2) === 0) renameSync(stamped, live);
    else {
      appendFileSync(live, "");
      this.#rotated(pair);
    }
  }

  #restart(pair: Pair): void {
    if (pair.renamed !== undefined) this.#reopen(pair);
    pair.model.restart();
    pair.real.restart();
  }

  /** copytruncate, as some do who don't know better. */
  #cut(pair: Pair): void {
    const { real, model } = pair;
    if (pair.renamed !== undefined || model.unfinished.length > 0) return;
    model.cut();
    if (this.#random(2) === 0) {
      // What the agent has not seen yet is found together with the copy, and nothing tells which is older.
      if (!model.seen.has(model.generations.at(-1) ?? [])) model.disordered = true;
      copyFileSync(real.file, real.stamped());
      this.#rotated(pair);
    } else {
      model.generations.pop();
      model.generations.push([]);
    }
    truncateSync(real.file, 0);
  }

  #delete(pair: Pair): void {
    pair.deleted = true;
    pair.real.delete();
    // With the container its checkpoint loses its meaning.
    pair.model.known = false;
    pair.model.lose(0, pair.model.generations.length, this.#reader !== undefined);
  }

  async #startOrCrash(): Promise<void> {
    if (this.#reader === undefined) {
      this.#reader = await Reader.start(
        this.#root,
        {},
        true,
        new Descriptors(512),
        this.#clock,
        this.#joins ? JOINING : undefined,
      );
      await this.#look();
      return;
    }
    const reader = this.#reader;
    this.#reader = undefined;
    // What was not accepted is read again, and what was unfinished too.
    const save = this.#random(2) === 0;
    await reader.stop(save);
    const saved = new Set(reader.checkpoints.entries("out").map(([key]) => key));
    if (save) for (const { model, uid } of this.#pairs) model.known = [...saved].some((key) => key.includes(uid));
    this.#keep(reader);
    for (const { model } of this.#pairs) {
      model.seen.clear();
      if (this.#jumped) model.disordered = true;
    }
  }

  #keep(reader: Reader): void {
    this.#records.push(...reader.records.filter(({ shipped }) => shipped));
    this.#losses += reader.losses.length;
    // Of a pod that was deleted, what was not accepted is gone with the agent.
    for (const { model, deleted } of this.#pairs)
      if (deleted) for (const message of model.written) message.mayBeLost = true;
  }

  #outage(): void {
    if (this.#reader !== undefined) this.#reader.accepting = false;
  }

  #jump(): void {
    this.#jumped = true;
    for (const { real } of this.#pairs) real.setClock(this.#random(800_000));
  }

  async #finish(): Promise<void> {
    for (const pair of this.#pairs) {
      if (pair.deleted) continue;
      if (pair.renamed !== undefined) this.#reopen(pair);
      for (const stream of pair.model.unfinished) this.#line(pair, stream, "end", true);
    }
    if (this.#reader === undefined) await this.#startOrCrash();
    const reader = this.#reader;
    assert.ok(reader);
    reader.accept();
    for (let round = 0; round < 6; round++) {
      this.#clock.now += 70_000;
      await this.#look();
    }
    // What nobody will end is shipped after partialTimeout, and a group after its own, counted from when it was read.
    await until(() => {
      this.#clock.now += 1000;
      return reader.consumer.budget.used === 0;
    }, "no bytes are in flight");
    reader.ledger();
    this.#keep(reader);
    for (const { model, uid } of this.#pairs)
      compare(model, this.#records.filter((record) => record.uid === uid).flatMap(linesOf), this.#losses);
  }
}

/** A record's lines, as many as were joined. */
function linesOf({ id, stream, message }: KeptRecord): Delivered[] {
  return message.split("\n").map((line, i) => ({ id: `${id} ${i}`, stream, message: line }));
}
