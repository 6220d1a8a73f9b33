/** Time, given to whoever needs it, so that tests can hold it in their hands. */
export interface Clock {
  /** Milliseconds of a clock that never jumps. For intervals. */
  monotonic(): number;
  /** Milliseconds since 1970. For records and people, never for intervals. */
  wall(): number;
}

export const systemClock: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
};

/**
 * Milliseconds until the next beat, of which one comes every `ms`. What is done now and then keeps to the same beat, so that
 * an agent without work wakes up once for all of it: a dozen wakings more a second cost more than what they are for.
 * @param now of the clock that never jumps.
 */
export function untilBeat(now: number, ms: number): number {
  return Math.ceil(ms - (now % ms));
}

/**
 * A time of the years 1 to 9999 as Date's toISOString gives it. That one looks up the time zone as well, though it needs
 * none: 0.8 MB of its tables for the life of the process, and twice the time.
 * @param ms milliseconds since 1970.
 */
export function isoTime(ms: number): string {
  const time = new Date(ms);
  const digits = (value: number, width = 2): string => String(value).padStart(width, "0");
  const day = `${digits(time.getUTCFullYear(), 4)}-${digits(time.getUTCMonth() + 1)}-${digits(time.getUTCDate())}`;
  const clock = `${digits(time.getUTCHours())}:${digits(time.getUTCMinutes())}:${digits(time.getUTCSeconds())}`;
  return `${day}T${clock}.${digits(time.getUTCMilliseconds(), 3)}Z`;
}
