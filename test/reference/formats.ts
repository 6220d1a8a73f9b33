/** The text formats as regular expressions: the members that a message has, in order; undefined for none of the format. */

export type Member = readonly [name: string, value: string | number];

const TOKEN =
  /[ \t\n]*(?:([\w.@/:[\]-]+)(?:(=)("(?:\\.|[^"\\])*"(?=[ \t\n]|$)|[^ \t\n"]*(?=[ \t\n]|$)))?)(?=[ \t\n]|$)/suy;

/** A text without the escapes of JSON, or else of Go. */
function unquote(quoted: string): string {
  const inside = quoted.slice(1, -1);
  if (!inside.includes("\\")) return inside;
  if (/\\[\x00-\x1f]/.test(inside)) return unquoteGo(inside);
  try {
    return (
      JSON.parse(
        quoted.replace(/[\x00-\x1f]/g, (char) => `\\u00${char.charCodeAt(0).toString(16).padStart(2, "0")}`),
      ) as string
    ).toWellFormed();
  } catch {
    return unquoteGo(inside);
  }
}

const LETTERS: Readonly<Record<string, string>> = { a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };

function unquoteGo(inside: string): string {
  // Latin-1 characters stand for bytes, so that \xNN can make parts of characters.
  const bytes = Buffer.from(inside).toString("latin1");
  const text = bytes.replace(
    /\\(?:([abfnrtv"'\\])|x([0-9a-f]{2})|([0-3][0-7]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))/gi,
    (all, letter?: string, hex?: string, octal?: string, four?: string, eight?: string) => {
      if (all[1] === "X" || (all[1] === "u") !== (four !== undefined) || (all[1] === "U") !== (eight !== undefined))
        return all;
      if (letter !== undefined) return LETTERS[letter] ?? (/["'\\]/.test(letter) ? letter : all);
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
      const code = Number.parseInt(four ?? eight ?? "", 16);
      const bad = code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff);
      return Buffer.from(String.fromCodePoint(bad ? 0xfffd : code)).toString("latin1");
    },
  );
  return Buffer.from(text, "latin1").toString("utf8");
}

function pairs(text: string): Member[] | undefined {
  const members: Member[] = [];
  let at = 0;
  while (!/^[ \t\n]*$/.test(text.slice(at))) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) return undefined;
    const [all, name = "", , value = ""] = match;
    members.push([name, value.startsWith('"') ? unquote(value) : value]);
    at += all.length;
  }
  return members;
}

export function logfmt(text: string): Member[] | undefined {
  return /^[\w.@/:[\]-]+=/.test(text) ? pairs(text) : undefined;
}

const KLOG = /^([IWEF])(\d{4} \d\d:\d\d:\d\d\.\d{6}) +(\d+) ([^\x00-\x20\]]+):(\d+)\](?: ((?:.|\n)*)|((?:.|\n)*))$/su;
const LEVELS: Readonly<Record<string, string>> = { I: "info", W: "warning", E: "error", F: "fatal" };
const number = (digits: string): string | number => (/^(0|[1-9]\d*)$/.test(digits) ? Number(digits) : digits);

export function klog(text: string): Member[] | undefined {
  const match = KLOG.exec(text);
  if (match === null) return undefined;
  const [, level = "", time = "", pid = "", file = "", line = "", spaced, rest] = match;
  const head: Member[] = [
    ["level", LEVELS[level] ?? ""],
    ["time", time],
    ["pid", number(pid)],
    ["file", file],
    ["line", number(line)],
  ];
  const body = spaced ?? rest ?? "";
  const quoted = /^"(?:\\.|[^"\\])*"/s.exec(body)?.[0];
  const more = quoted === undefined ? undefined : blocks(body.slice(quoted.length));
  if (quoted === undefined || more === undefined) return [...head, ["message", body]];
  return [...head, ["message", unquote(quoted)], ...more];
}

/** Pairs, some with a value of several lines. */
function blocks(text: string): Member[] | undefined {
  const block = /([^\x00-\x20"]*)=<\n((?:.|\n)*?)\n >/s.exec(text);
  const open = text.indexOf("=<\n");
  if (open < 0) return pairs(text);
  if (block === null) return undefined;
  const before = pairs(text.slice(0, block.index));
  const after = blocks(text.slice(block.index + block[0].length));
  if (before === undefined || after === undefined) return undefined;
  return [...before, [block[1] ?? "", `\n${block[2]}`.replaceAll("\n\t", "\n").slice(1)], ...after];
}

const ACCESS =
  /^([^ ]+) ([^ ]*) ([^[]+) \[([^\]]*)\] "((?:\\.|[^"\\])*)" (\d+)(?: |$)(\d+|-|)(?= |$)(?: "((?:\\.|[^"\\])*)"(?: "((?:\\.|[^"\\])*)")?)?/su;

/** Only common and combined lines as they are; what servers may log otherwise is a matter of the tables. */
export function access(text: string): Member[] | undefined {
  const match = ACCESS.exec(text);
  if (match === null) return undefined;
  const [, client, identity, user, time, request = "", status = "", bytes = "", referrer, agent] = match;
  const parts = /^([A-Za-z]{1,19}) ([^ ]+) ([^ ]+)$/.exec(request);
  const members: [string, string | number | undefined][] = [
    ["client", client],
    ["identity", identity],
    ["user", user],
    ["time", time],
    ...(parts === null
      ? ([["request", request]] as [string, string][])
      : (["method", "path", "protocol"].map((name, i) => [name, parts[i + 1]]) as [string, string][])),
    ["status", number(status)],
    ["bytes", bytes === "" ? "" : number(bytes)],
    ["referrer", referrer],
    ["agent", agent],
  ];
  return members.filter(
    (member): member is [string, string | number] => !["", "-", undefined].includes(member[1] as string),
  );
}
