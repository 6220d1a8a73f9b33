/** Exponential back-off with full jitter, so that a fleet of agents does not come back all at once after an outage. */

/**
 * @param failures attempts that failed in a row, 1 or more.
 * @param random 0 <= random < 1.
 * @returns milliseconds to wait.
 */
export function backoffMs(failures: number, initialMs: number, maxMs: number, random: number): number {
  const ceiling = Math.min(maxMs, initialMs * 2 ** Math.min(failures - 1, 30));
  return Math.round(ceiling * random);
}
