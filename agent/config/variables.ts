/**
 * Environment variables in texts: `${NAME}`, `${NAME:-default}`, and `$${` for the text `${` itself. What a variable
 * holds is taken as it is; a default may hold variables again, and braces that come in pairs, as templates do.
 */

export type Environment = Readonly<Record<string, string | undefined>>;

/** @param complain told what is wrong and what is allowed, for each variable that gives no text. */
export function expandVariables(text: string, env: Environment, complain: (message: string) => void): string {
  let result = "";
  let at = 0;
  for (;;) {
    const next = text.indexOf("${", at);
    if (next < 0) return result + text.slice(at);
    if (text[next - 1] === "$" && next > at) {
      result += `${text.slice(at, next - 1)}\${`;
      at = next + 2;
      continue;
    }
    const end = closingBrace(text, next + 2);
    if (end < 0) {
      complain("a ${ without its closing brace; write ${NAME} or ${NAME:-default}, and $${ for the text itself");
      return result + text.slice(at);
    }
    result += text.slice(at, next) + variable(text.slice(next + 2, end), env, complain);
    at = end + 1;
  }
}

/** The inverse: a text that gives this one when it is expanded. */
export function escapeVariables(text: string): string {
  // Two dollars in a replacement text would stand for one.
  return text.replaceAll("${", () => "$${");
}

function closingBrace(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === "{") depth++;
    else if (text[at] === "}" && depth-- === 0) return at;
  }
  return -1;
}

/** As in a shell, a default also stands in for a variable that is empty. */
function variable(inner: string, env: Environment, complain: (message: string) => void): string {
  const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inner) ?? [];
  if (name === undefined) {
    complain("not a variable's name; write ${NAME} or ${NAME:-default}, and $${ for the text itself");
    return "";
  }
  const value = env[name];
  if (fallback !== undefined) return value || expandVariables(fallback, env, complain);
  if (value === undefined)
    complain(`the environment variable ${name} is not set; set it, or give a default: \${${name}:-…}`);
  return value ?? "";
}
