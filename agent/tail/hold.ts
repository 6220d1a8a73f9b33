/**
 * Hold: how much disk space of deleted log files is kept alive, because an output has yet to read them. Over the limit,
 * what has a compressed copy is read from that; then the oldest file of the output that is furthest behind is given up.
 */
import type { Chain } from "./chain.ts";
import type { LogFile } from "./file.ts";

/** An output, as far as the hold needs it. */
export interface Holder {
  /** Bytes that it has yet to read. */
  readonly unreadBytes: number;
  /** Whether it has yet to read some of this file. */
  needs(chain: Chain, file: LogFile): boolean;
  /** Gives it up, counts and reports that. @returns false when it can't right now. */
  abandon(chain: Chain, file: LogFile): boolean;
}

interface Held {
  readonly chain: Chain;
  readonly file: LogFile;
  /** When it was written last, as far as the clock tells, but never before an older file of its chain. */
  readonly writtenAt: number;
}

/** @returns bytes held after the check. */
export function checkHold(chains: Iterable<Chain>, holders: readonly Holder[], maxBytes: number): number {
  const held: Held[] = [];
  for (const chain of chains) {
    let writtenAt = 0;
    for (const file of chain.files) {
      writtenAt = Math.max(writtenAt, file.writtenAt);
      if ((file.final || file.unlinked) && file.isHeld) held.push({ chain, file, writtenAt });
    }
  }
  let bytes = held.reduce((sum, { file }) => sum + file.size, 0);
  for (const { file } of held) {
    if (bytes <= maxBytes) return bytes;
    const { size } = file;
    if (file.packed !== "" && swap(file)) bytes -= size;
  }
  held.sort((a, b) => a.writtenAt - b.writtenAt);
  const furthest = holders.toSorted((a, b) => b.unreadBytes - a.unreadBytes);
  for (const holder of furthest)
    for (const { chain, file } of held) {
      if (bytes <= maxBytes) return bytes;
      if (!file.isOpen || !holder.needs(chain, file) || !holder.abandon(chain, file)) continue;
      if (holders.some((other) => other.needs(chain, file))) continue;
      file.lose("hold");
      bytes -= file.size;
    }
  return bytes;
}

/** @returns whether it is read from its compressed copy from now on. */
function swap(file: LogFile): boolean {
  try {
    file.become(file.packed, true);
    return true;
  } catch {
    file.packed = "";
    return false;
  }
}
