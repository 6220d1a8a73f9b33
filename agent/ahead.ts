/**
 * How far the one stream is ahead of the other: into a checkpoint, and back after a restart. Where the place is not found
 * again nothing is passed over: lines may come again then, but none is left out.
 */
import type { Ahead, Position } from "./acks.ts";
import type { Chain } from "./tail/chain.ts";
import type { SavedAhead, SavedPosition } from "./tail/checkpoints.ts";

export function saveAhead({ files }: Chain, { ahead }: Position): { ahead?: SavedAhead } {
  if (ahead === undefined) return {};
  let { file, offset } = ahead;
  if (file.fingerprint === "") {
    // Nothing was read of a file that is not known yet: the stream is settled to the end of the one before it.
    const former = files[files.indexOf(file) - 1];
    if (former === undefined || former.fingerprint === "") return {};
    file = former;
    offset = Number.MAX_SAFE_INTEGER;
  }
  const { log, fingerprint } = file;
  return { ahead: { stderr: ahead.stderr, restart: log.restart, fingerprint, offset } };
}

export function restoreAhead({ files }: Chain, { ahead }: SavedPosition): { ahead?: Ahead } {
  const file = files.find(
    ({ log, fingerprint }) => log.restart === ahead?.restart && fingerprint === ahead.fingerprint,
  );
  return ahead === undefined || file === undefined
    ? {}
    : { ahead: { stderr: ahead.stderr, file, offset: ahead.offset } };
}
