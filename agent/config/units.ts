/** Sizes and durations as people write them, and back. Bytes and milliseconds are whole numbers. */

const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
};
const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export const SIZE_PATTERN = "^(\\d+|\\d+(\\.\\d+)? ?(B|KB|MB|GB|KiB|MiB|GiB|Ki|Mi|Gi))$";
export const TIME_PATTERN = "^(0|\\d+(\\.\\d+)? ?(ms|s|m|h))$";
export const SIZE_HINT = "a size: bytes, or a number with KB, MB, GB, KiB, MiB, GiB, Ki, Mi or Gi, such as 4MiB";
export const TIME_HINT = "a duration with its unit, such as 250ms, 10s, 5m or 1h";

/** @returns bytes, or undefined when it is no size. */
export function parseSize(value: string | number): number | undefined {
  return parse(String(value), SIZE_PATTERN, SIZE_UNITS);
}

/** @returns milliseconds, or undefined when it is no duration; 0 needs no unit. */
export function parseDuration(value: string | number): number | undefined {
  return parse(String(value), TIME_PATTERN, { ...TIME_UNITS, "": 1 });
}

function parse(text: string, pattern: string, units: Readonly<Record<string, number>>): number | undefined {
  if (!new RegExp(pattern).test(text)) return undefined;
  const unit = units[text.replace(/^[\d. ]+/, "")] ?? Number.NaN;
  const value = Math.round(Number.parseFloat(text) * unit);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** In the largest unit that gives a whole number. */
export function formatSize(bytes: number): string | number {
  for (const unit of ["GiB", "MiB", "KiB"]) {
    const size = SIZE_UNITS[unit] as number;
    if (bytes > 0 && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return bytes;
}

export function formatDuration(ms: number): string {
  for (const unit of ["h", "m", "s"]) {
    const size = TIME_UNITS[unit] as number;
    if (ms > 0 && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}
