/** The slow twin of agent/parse/time.ts. */

export interface Time {
  seconds: number;
  nanos: number;
  digits: number;
}

/** The time that `text` is, wholly; undefined when it is none. */
export function parseTime(text: string): Time | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))$/.exec(text);
  if (match === null) return undefined;
  const [, local = "", fraction = "", sign, hours = "0", minutes = "0"] = match;
  const milliseconds = Date.parse(`${local}Z`);
  // A day that the month does not have comes back as another one.
  if (Number.isNaN(milliseconds) || new Date(milliseconds).toISOString() !== `${local}.000Z`) return undefined;
  if (Number(hours) > 23 || Number(minutes) > 59) return undefined;
  const east = (Number(hours) * 3600 + Number(minutes) * 60) * (sign === "-" ? -1 : 1);
  const digits = fraction.slice(0, 9);
  return { seconds: milliseconds / 1000 - east, nanos: Number(digits.padEnd(9, "0")), digits: digits.length };
}
