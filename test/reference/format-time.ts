/** The slow twin of ByteWriter.time. */

/** @param seconds within the years 1 to 9999. */
export function formatTime(seconds: number, nanos: number, digits: number): string {
  const fraction = String(nanos).padStart(9, "0").slice(0, digits);
  return new Date(seconds * 1000).toISOString().replace(".000Z", fraction === "" ? "Z" : `.${fraction}Z`);
}
