/**
 * What `redact` knows by itself: card numbers, mail addresses, IPv4 addresses, JSON Web Tokens, bearer tokens and AWS keys,
 * found in bytes in linear time. Each finder looks at what stands around a trigger, and at no more than a bounded length.
 */

/** Adds spans [from, to), two numbers each, in ascending order and without overlap. */
export type Finder = (bytes: Uint8Array, from: number, to: number, spans: number[]) => void;

const DOT = 0x2e;
const AT = 0x40;
const SPACE = 0x20;
const DASH = 0x2d;
const EQUALS = 0x3d;

const DIGIT = 1;
const LETTER = 2;
/** Of a mail address' local part. */
const LOCAL = 4;
/** base64url. */
const TOKEN = 8;
/** RFC 6750's b64token, and base64. */
const BEARER = 16;
const KINDS = new Uint8Array(256);
for (const [kind, characters] of [
  [DIGIT | LOCAL | TOKEN | BEARER, "0123456789"],
  [LETTER | LOCAL | TOKEN | BEARER, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"],
  [LOCAL, "!#$%&'*+-/=?^_`{|}~."],
  [TOKEN, "-_"],
  [BEARER, "-._~+/"],
] as const)
  for (const character of characters) {
    const byte = character.charCodeAt(0);
    KINDS[byte] = KINDS[byte]! | kind;
  }

const is = (byte: number | undefined, kind: number): boolean => byte !== undefined && (KINDS[byte]! & kind) !== 0;

function creditCard(bytes: Uint8Array, from: number, to: number, spans: number[]): void {
  for (let at = from; at < to; at++) {
    if ((KINDS[bytes[at]!]! & DIGIT) === 0) continue;
    const end = isGlue(at > from ? bytes[at - 1]! : SPACE) ? -1 : endOfCard(bytes, at, to);
    if (end > 0) {
      spans.push(at, end);
      at = end;
    } else while (at + 1 < to && is(bytes[at + 1], DIGIT)) at++;
  }
}

/** Groups are at least so long but for the last; without that `4 4 4 4 …` would be walked 19 digits for every digit. */
const SHORTEST_GROUP = 4;

/** The end of the longest card number that begins here: digits in groups, with single spaces or dashes between, or -1. */
function endOfCard(bytes: Uint8Array, from: number, to: number): number {
  let best = -1;
  let digits = 0;
  let group = 0;
  let separator = 0;
  // Both sums at once, since how many digits will come is not known: with the last digit doubled, and with it not.
  let sum = 0;
  let other = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!;
    const next = at + 1 < to ? bytes[at + 1]! : SPACE;
    if (!is(byte, DIGIT)) {
      if ((byte !== SPACE && byte !== DASH) || (separator !== 0 && separator !== byte) || !is(next, DIGIT)) break;
      if (group < SHORTEST_GROUP) break;
      group = 0;
      separator = byte;
      continue;
    }
    group++;
    if (++digits > 19) break;
    const digit = byte - 0x30;
    const doubled = digit < 5 ? digit * 2 : digit * 2 - 9;
    [sum, other] = [other + digit, sum + doubled];
    const whole = !is(next, DIGIT | LETTER) && next !== 0x5f;
    if (whole && digits >= 13 && sum % 10 === 0 && isIssued(bytes, from, digits)) best = at + 1;
  }
  return best;
}

/** What makes a number a part of something else: an id, a decimal fraction. */
function isGlue(byte: number): boolean {
  return is(byte, LETTER) || byte === 0x5f || byte === DOT;
}

/** The ranges of card schemes (ISO/IEC 7812), so that ids and times in nanoseconds are left alone. */
function isIssued(bytes: Uint8Array, at: number, digits: number): boolean {
  let prefix = 0;
  for (let i = at, left = 4; left > 0; i++)
    if (is(bytes[i], DIGIT)) {
      prefix = prefix * 10 + bytes[i]! - 0x30;
      left--;
    }
  const two = Math.floor(prefix / 100);
  const one = Math.floor(prefix / 1000);
  if (one === 4) return digits === 13 || digits === 16 || digits === 19;
  if (two === 34 || two === 37) return digits === 15;
  if ((two >= 51 && two <= 55) || (prefix >= 2221 && prefix <= 2720)) return digits === 16;
  if (two === 36 || two === 38 || two === 39 || (prefix >= 3000 && prefix <= 3059)) return digits >= 14 && digits <= 19;
  if ((prefix >= 3528 && prefix <= 3589) || prefix === 6011 || two === 62 || two === 65) return digits >= 16;
  return prefix >= 6440 && prefix <= 6499 && digits >= 16;
}

/** Local part and domain, as far as RFC 5321 lets them be. */
const MAX_LOCAL = 64;
const MAX_DOMAIN = 255;

/** A call of indexOf for each of half a million would take 50 ms: the next few bytes are looked at one by one. */
function nextAt(bytes: Uint8Array, from: number, to: number): number {
  const near = Math.min(to, from + 16);
  for (let at = from; at < near; at++) if (bytes[at] === AT) return at;
  const found = near < to ? bytes.indexOf(AT, near) : -1;
  return found < 0 ? to : found;
}

function email(bytes: Uint8Array, from: number, to: number, spans: number[]): void {
  for (let at = nextAt(bytes, from, to); at < to; at = nextAt(bytes, at + 1, to)) {
    let start = at;
    const first = Math.max(from, spans.at(-1) ?? 0, at - MAX_LOCAL);
    while (start > first && is(bytes[start - 1], LOCAL)) start--;
    // What is only around an address: key=a@b.c, path/a@b.c, 'a@b.c'.
    for (let i = at - 1; i >= start; i--)
      if (
        bytes[i] === EQUALS ||
        bytes[i] === 0x2f ||
        bytes[i] === 0x27 ||
        bytes[i] === 0x60 ||
        bytes[i] === 0x26 ||
        bytes[i] === 0x3f
      )
        start = i + 1;
    while (start < at && bytes[start] === DOT) start++;
    if (start === at) continue;
    const last = Math.min(to, at + 1 + MAX_DOMAIN);
    let end = at + 1;
    let dot = 0;
    while (
      end < last &&
      (is(bytes[end], DIGIT | LETTER) ||
        bytes[end] === DASH ||
        (bytes[end] === DOT && bytes[end - 1] !== DOT && is(bytes[end + 1], DIGIT | LETTER)))
    ) {
      if (bytes[end] === DOT) dot = end;
      end++;
    }
    if (dot <= at + 1 || end - dot < 3 || !is(bytes[dot + 1], LETTER)) continue;
    spans.push(start, end);
  }
}

function ipv4(bytes: Uint8Array, from: number, to: number, spans: number[]): void {
  for (let at = from; at < to; at++) {
    if ((KINDS[bytes[at]!]! & DIGIT) === 0) continue;
    const before = at > from ? bytes[at - 1]! : SPACE;
    let end = at;
    let octets = 0;
    for (let value = 0, digits = 0; end < to; end++) {
      const byte = bytes[end]!;
      if (is(byte, DIGIT)) {
        value = value * 10 + byte - 0x30;
        if (++digits === 1) octets++;
        if (digits > 3 || value > 255) octets = 9;
      } else if (byte === DOT && end + 1 < to && is(bytes[end + 1], DIGIT)) value = digits = 0;
      else break;
    }
    const after = end < to ? bytes[end]! : SPACE;
    const glued =
      is(before, LETTER) ||
      before === 0x5f ||
      before === DASH ||
      before === DOT ||
      is(after, LETTER) ||
      after === 0x5f ||
      after === DASH;
    if (octets === 4 && !glued) spans.push(at, end);
    at = end;
  }
}

const EYJ = Buffer.from("eyJ");

function jwt(bytes: Uint8Array, from: number, to: number, spans: number[]): void {
  const buffer = bytes as Buffer;
  for (let at = buffer.indexOf(EYJ, from); at >= 0 && at < to; ) {
    let end = at;
    let dots = 0;
    let part = 0;
    for (; end < to; end++) {
      if (is(bytes[end], TOKEN)) part++;
      else if (bytes[end] === DOT && dots < 2 && part >= 10) {
        dots++;
        part = 0;
      } else break;
    }
    // The signature of an unsigned token is empty.
    if (dots === 2 && !(at > from && is(bytes[at - 1], TOKEN))) spans.push(at, end);
    at = buffer.indexOf(EYJ, Math.max(end, at + 1));
  }
}

const EARER = Buffer.from("earer");

/** The token behind `Bearer`, not the word. */
function bearerToken(bytes: Uint8Array, from: number, to: number, spans: number[]): void {
  const buffer = bytes as Buffer;
  const upper = Buffer.from("EARER");
  for (const word of [EARER, upper])
    for (let at = buffer.indexOf(word, from); at >= 0 && at + word.length < to; at = buffer.indexOf(word, at + 1)) {
      let start = at + word.length;
      if (at === from || (bytes[at - 1]! | SPACE) !== 0x62) continue;
      while (start < to && (bytes[start] === SPACE || bytes[start] === 0x3a || bytes[start] === EQUALS)) start++;
      if (start === at + word.length) continue;
      let end = start;
      while (end < to && is(bytes[end], BEARER)) end++;
      while (end < to && bytes[end] === EQUALS) end++;
      if (end - start >= 8) spans.push(start, end);
    }
}

const AKIA = ["AKIA", "ASIA"].map((prefix) => Buffer.from(prefix));
const SECRET = ["ecret", "ECRET"].map((word) => Buffer.from(word));

/** Access key ids (AKIA…, ASIA…) and, behind a word with `secret` in it, what looks like a secret access key. */
function awsKey(bytes: Uint8Array, from: number, to: number, spans: number[]): void {
  const buffer = bytes as Buffer;
  for (const prefix of AKIA)
    for (let at = buffer.indexOf(prefix, from); at >= 0 && at + 20 <= to; ) {
      let end = at;
      while (end < to && (is(bytes[end], DIGIT) || (bytes[end]! >= 0x41 && bytes[end]! <= 0x5a))) end++;
      const glued = (at > from && is(bytes[at - 1], DIGIT | LETTER)) || (end < to && is(bytes[end], LETTER));
      if (end - at === 20 && !glued) spans.push(at, end);
      // Within such letters no other one begins: it would be glued to what is before it.
      at = buffer.indexOf(prefix, end);
    }
  for (const word of SECRET) {
    // What was looked at behind one word is not looked at again behind the next.
    let seen = from;
    for (let at = buffer.indexOf(word, from); at >= 0 && at < to; at = buffer.indexOf(word, at + 1)) {
      const last = Math.min(to, at + 64);
      for (let start = Math.max(at + word.length, seen); start < last; start++) {
        seen = start + 1;
        if (!is(bytes[start], BEARER) || is(bytes[start - 1], BEARER)) continue;
        let end = start;
        while (end < to && end < start + 41 && is(bytes[end], BEARER)) end++;
        if (end - start === 40) spans.push(start, end);
        start = end;
        seen = end + 1;
      }
    }
  }
}

export const FINDERS = { creditCard, email, ipv4, jwt, bearerToken, awsKey } satisfies Record<string, Finder>;
export type Builtin = keyof typeof FINDERS;
