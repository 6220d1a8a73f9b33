/** Errors that end the program with one sentence that says what to change. Everything expected is a value, not an error. */

/** The agent can't go on: exit status 1. The message is the sentence that the user sees. */
export class FatalError extends Error {
  override name = "FatalError";
}

/** Wrong usage or configuration: exit status 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The `code` of a Node.js system error, else "". */
export function errorCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "";
}

/** An error's message with its causes, in one line. */
export function errorText(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at !== undefined && at !== null && parts.length < 5; at = (at as Error).cause) {
    const text = at instanceof Error ? at.message || errorCode(at) || at.name : String(at);
    if (text !== "" && !parts.includes(text)) parts.push(text);
  }
  return parts.join(": ").replaceAll("\n", " ");
}
