/** What becomes of a JSON object: by JSON.parse for what is one, and by a few lines for what JSON.parse would change. */

/** A value with everything that JSON.parse keeps apart or loses: numbers as their text, members of one name once. */
export type Kept = string | boolean | null | { number: string } | Kept[] | Map<string, Kept>;

/** Whether a text is a JSON object. */
export function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** Levels of nesting of a text that is JSON. */
export function depthOf(text: string): number {
  const [, deepest] = [...text.replace(/"(?:\\.|[^"\\])*"/gs, "")].reduce(
    ([level, most], char) => {
      const next = level + ("{[".includes(char) ? 1 : "}]".includes(char) ? -1 : 0);
      return [next, Math.max(most, next)];
    },
    [0, 0] as [number, number],
  );
  return deepest;
}

/** Reads a text that JSON.parse has found to be JSON. Lone surrogates become U+FFFD; of equal names the last counts. */
export function keep(text: string): Kept {
  const tokens = text.match(/"(?:\\.|[^"\\])*"|[-+\w.]+|[{}[\]:,]/gs) ?? [];
  let at = 0;
  const value = (): Kept => {
    const token = tokens[at++] ?? "";
    if (token === "{") {
      const members = new Map<string, Kept>();
      while (tokens[at] !== "}") {
        if (tokens[at] === ",") at++;
        const name = (JSON.parse(tokens[at++] ?? "") as string).toWellFormed();
        at++;
        members.delete(name);
        members.set(name, value());
      }
      at++;
      return members;
    }
    if (token === "[") {
      const items: Kept[] = [];
      while (tokens[at] !== "]") {
        if (tokens[at] === ",") at++;
        items.push(value());
      }
      at++;
      return items;
    }
    const parsed: unknown = JSON.parse(token);
    if (typeof parsed === "number") return { number: token };
    return typeof parsed === "string" ? parsed.toWellFormed() : (parsed as boolean | null);
  };
  return value();
}
