/** Where things stand in a YAML document: the offset of each value and key, by path, and the path at an offset. */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node } from "yaml";

export type Path = readonly PropertyKey[];

/** As in `outputs[0].batch.maxWait`. */
export function pathText(path: Path): string {
  return path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    "",
  );
}

export class Places {
  readonly #values = new Map<string, number>();
  readonly #keys = new Map<string, number>();
  readonly #paths = new Map<number, string>();

  /** Walks the document once, and takes out keys that were given before, so that the first of them counts. */
  constructor(document: Document) {
    this.#walk(document.contents, [], document, []);
  }

  /** Where a value stands; where it is missing, its nearest parent. */
  ofValue(path: Path): number {
    for (let length = path.length; length >= 0; length--) {
      const at = this.#values.get(pathText(path.slice(0, length)));
      if (at !== undefined) return at;
    }
    return 0;
  }

  ofKey(path: Path): number {
    return this.#keys.get(pathText(path)) ?? this.ofValue(path);
  }

  /** The path of the key or value that begins at an offset; "" when none does. */
  pathAt(at: number): string {
    return this.#paths.get(at) ?? "";
  }

  #walk(given: unknown, path: Path, document: Document, parents: readonly unknown[]): void {
    const text = pathText(path);
    const at = (given as Node | null | undefined)?.range?.[0];
    if (at !== undefined) {
      this.#values.set(text, at);
      if (!this.#paths.has(at)) this.#paths.set(at, text);
    }
    const node = isAlias(given) ? given.resolve(document) : given;
    // An alias of its own parent has no end.
    if (parents.includes(node)) return;
    const above = [...parents, node];
    if (isSeq(node)) for (const [i, item] of node.items.entries()) this.#walk(item, [...path, i], document, above);
    if (!isMap(node)) return;
    const seen = new Set<string>();
    node.items = node.items.filter(({ key, value }) => {
      const name = isScalar(key) ? String(key.value) : "?";
      const below = [...path, name];
      const keyAt = (key as Node | null)?.range?.[0];
      if (keyAt !== undefined) this.#paths.set(keyAt, pathText(below));
      if (seen.has(name)) return false;
      seen.add(name);
      if (keyAt !== undefined) this.#keys.set(pathText(below), keyAt);
      this.#walk(value, below, document, above);
      return true;
    });
  }
}
