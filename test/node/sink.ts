/** Where the records of the test node go: the strict stand-in for Elasticsearch, with what came sorted by pod. */
import type { Document } from "../support/bulk.ts";
import { type ElasticsearchFake, type FakeOptions, startElasticsearch } from "../support/elasticsearch.ts";
import { type Shipped, shipped } from "./witness.ts";

export class Sink {
  readonly #byPod = new Map<string, Shipped[]>();
  readonly #fakes: ElasticsearchFake[] = [];
  /** Milliseconds since 1970 when the first record was accepted. */
  firstAt = 0;
  /** Records accepted, none counted twice. */
  total = 0;

  async listen(options: FakeOptions): Promise<void> {
    const fake = await startElasticsearch(options);
    // Asked for what is about to be stored, after all that could be said against it.
    fake.refuse = (document) => {
      this.#keep(document);
      return undefined;
    };
    this.#fakes.push(fake);
  }

  /** In the order of arrival. @param pod uid. */
  of(pod: string, container?: string): Shipped[] {
    const all = this.#byPod.get(pod) ?? [];
    return container === undefined ? all : all.filter(({ kubernetes }) => kubernetes.container.name === container);
  }

  messages(pod: string, container?: string): string[] {
    return this.of(pod, container).map(({ message }) => message);
  }

  /** Records that were sent again, and stored once because they had the same id. */
  get repeats(): number {
    return this.#fakes.reduce((sum, { received }) => sum + received, 0) - this.total;
  }

  /** Requests so far at the nth of the addresses. */
  requestsAt(listener: number): number {
    return this.#fakes[listener]?.requests.length ?? 0;
  }

  async close(): Promise<void> {
    for (const fake of this.#fakes) await fake.close();
  }

  #keep(document: Document): void {
    const record = shipped(document);
    if (this.total++ === 0) this.firstAt = Date.now();
    const { uid } = record.kubernetes.pod;
    const known = this.#byPod.get(uid);
    if (known === undefined) this.#byPod.set(uid, [record]);
    else known.push(record);
  }
}
