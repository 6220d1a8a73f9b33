/** Finding a place in a plain log file by the time of its lines: the first one that is younger than a given time. */
import type { LineTime } from "./acks.ts";
import { Rows } from "./batch.ts";
import { Scanner, type ScannerOptions } from "./parse/scanner.ts";
import type { Origin } from "./pods/origin.ts";
import type { LogFile } from "./tail/file.ts";
import { endOfLines } from "./tail/line-ends.ts";

const CHUNK_BYTES = 256 * 1024;

/**
 * @param from where to begin: the head of a line.
 * @returns the offset of the first message whose time is after `time`; where the file's last line ends when there is
 * none. A line without a time counts to the one before it; a line longer than 256 KiB is not looked into.
 */
export function seekAfter(file: LogFile, options: ScannerOptions, from: number, time: LineTime): number {
  const end = endOfLines(file);
  const rows = new Rows(CHUNK_BYTES);
  const scanner = new Scanner(options);
  for (let offset = from; offset < end; ) {
    rows.reset({} as Origin, file);
    const got = file.read(rows.bytes, 0, Math.min(CHUNK_BYTES, end - offset), offset);
    if (got === 0) break;
    const length = rows.bytes.subarray(0, got).lastIndexOf(0x0a) + 1;
    if (length > 0) {
      rows.used = length;
      const pending = scanner.pendingFrom;
      scanner.scan(rows, 0, length, offset, false);
      for (let row = 0; row < rows.rows; row++)
        if (isAfter(rows.seconds[row] as number, rows.nanos[row] as number, time)) {
          const found = rows.offset[row] as number;
          return pending === undefined ? found : Math.min(found, pending.offset);
        }
    }
    offset += length > 0 ? length : got;
  }
  return scanner.pendingFrom?.offset ?? Math.max(from, end);
}

function isAfter(seconds: number, nanos: number, [thanSeconds, thanNanos]: LineTime): boolean {
  return seconds > thanSeconds || (seconds === thanSeconds && nanos > thanNanos);
}
