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
