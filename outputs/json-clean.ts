/** JSON objects that are valid, but that no `google.protobuf.Struct` can hold as they are: made so that one can. */

/** Escapes in JSON text: pairs of surrogates, single ones, and all others. */
const ESCAPES = /\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)/gs;

/** Not in TypeScript's library yet: a number that is written with these digits (Node 22 and newer). */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/**
 * The last of equal keys stays, half characters become U+FFFD, and numbers that a double can't hold become texts, which
 * keep their digits. All other numbers keep theirs too.
 * @param json an object, not nested deeply.
 */
export function cleaned(json: string): Buffer {
  const text = json.replace(ESCAPES, (whole: string, half?: string) => (half === undefined ? whole : "\\ufffd"));
  const value: unknown = JSON.parse(text, (_, value: unknown, context?: { source?: string }) => {
    const source = context?.source;
    if (typeof value !== "number" || source === undefined) return value;
    const isLost = /^-?\d+$/.test(source) ? !Number.isSafeInteger(value) : !Number.isFinite(value);
    return isLost ? source : rawJSON(source);
  });
  return Buffer.from(JSON.stringify(value));
}
