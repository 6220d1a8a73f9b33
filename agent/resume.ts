/** From a place in a container's chain to what a checkpoint holds of it, and back after a restart. */
import type { Position } from "./acks.ts";
import { restoreAhead, saveAhead } from "./ahead.ts";
import type { ScannerOptions } from "./parse/scanner.ts";
import { seekAfter } from "./seek.ts";
import type { Chain } from "./tail/chain.ts";
import type { SavedPosition } from "./tail/checkpoints.ts";
import type { LogFile } from "./tail/file.ts";
import { marker } from "./tail/identity.ts";
import { endOfLines } from "./tail/line-ends.ts";

export interface Restored {
  /** Where reading goes on; undefined: at the chain's first file. */
  readonly position: Position | undefined;
  /** Bytes that are known to have gone unread; Infinity: some may have. */
  readonly lost: number;
}

/** @returns undefined while the file is not known yet: it is read from its beginning anyway. */
export function save(chain: Chain, position: Position): SavedPosition | undefined {
  const { files } = chain;
  const { file, offset, time, before } = position;
  if (file.fingerprint === "") return undefined;
  const done = files.slice(0, files.indexOf(file)).flatMap(({ fingerprint }) => fingerprint || []);
  return {
    restart: file.log.restart,
    fingerprint: file.fingerprint,
    offset,
    time,
    ...saveAhead(chain, position),
    marker: before === undefined ? markerOf(file, offset) : marker(Buffer.from(before, "latin1")),
    size: Number.isFinite(file.size) ? file.size : 0,
    done,
    path: file.path,
  };
}

/** @param fresh the output runs for the very first time, and found the chain at its start. */
export function restore(
  chain: Chain,
  saved: SavedPosition | undefined,
  options: ScannerOptions & { readonly startAt: "beginning" | "end" },
  fresh: boolean,
): Restored {
  const { last } = chain;
  if (saved === undefined) {
    if (!fresh || options.startAt === "beginning" || last === undefined) return { position: undefined, lost: 0 };
    return { position: { file: last, offset: endOfLines(last), time: [0, 0, 0] }, lost: 0 };
  }
  const file = chain.files.find(
    ({ log, fingerprint }) => log.restart === saved.restart && fingerprint === saved.fingerprint,
  );
  if (file === undefined) {
    // An empty one that others follow gets nothing more, and what follows it may have been read.
    const unread = chain.files.filter(
      (file) => !saved.done.includes(file.fingerprint) && (file.fingerprint !== "" || file.size > 0 || file === last),
    );
    // Names go by the clock, which may have been set back: what was read before is not read again.
    const [first] = unread;
    const position: Position | undefined = first && { file: first, offset: 0, time: saved.time };
    if (first !== undefined)
      chain.putBehind(
        first,
        before(chain, first).filter((other) => unread.includes(other)),
      );
    return { position, lost: saved.size > saved.offset ? saved.size - saved.offset : Number.POSITIVE_INFINITY };
  }
  // Others may have left what this one has yet to read.
  for (const later of chain.files.slice(chain.files.indexOf(file))) later.left = false;
  const younger = before(chain, file).filter(
    ({ fingerprint }) => fingerprint !== "" && !saved.done.includes(fingerprint),
  );
  if (younger.length > 0) chain.putBehind(file, younger);
  const offset = offsetIn(file, saved, options);
  // Where the file is not what it was, neither are the places behind the offset.
  const ahead = offset === saved.offset ? restoreAhead(chain, saved) : {};
  return { position: { file, offset, time: saved.time, ...ahead }, lost: 0 };
}

function before({ files }: Chain, file: LogFile): LogFile[] {
  return files.slice(0, files.indexOf(file));
}

/** After a power loss a file may be shorter than it was, hold NULs at its end, and have grown again since. */
function offsetIn(file: LogFile, saved: SavedPosition, options: ScannerOptions): number {
  if (file.compressed) return saved.offset;
  if (file.size < saved.offset) return file.size;
  const marker = markerOf(file, saved.offset);
  if (saved.marker === "" || marker === "" || marker === saved.marker) return saved.offset;
  return seekAfter(file, options, 0, saved.time);
}

function markerOf(file: LogFile, offset: number): string {
  try {
    return file.markerAt(offset);
  } catch {
    // Renamed or deleted this moment.
    return "";
  }
}
