/** The names of a container run's log files, live and rotated, as kubelet and docker give them. */
import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { errorCode } from "../errors.ts";

export interface Name {
  readonly path: string;
  readonly compressed: boolean;
}

/** Those beside a live file, oldest first, the live one last. @param onTrouble told when the folder can't be listed. */
export function generationsOf(target: string, onTrouble: (folder: string, code: string) => void): Name[] {
  const folder = dirname(target);
  const base = basename(target);
  let entries: string[] = [];
  try {
    entries = readdirSync(folder);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") onTrouble(folder, errorCode(error));
  }
  const rotated: { path: string; order: string; compressed: boolean }[] = [];
  for (const name of entries) {
    if (name === base || !name.startsWith(base)) continue;
    const match = /^\.(?:(\d{8}-\d{6})|(\d+))(\.gz)?$/.exec(name.slice(base.length));
    if (match === null) continue;
    // kubelet's names sort by time; docker counts upwards from the newest.
    const order = match[1] ?? String(1e9 - Number(match[2])).padStart(10, "0");
    rotated.push({ path: join(folder, name), order, compressed: match[3] !== undefined });
  }
  // While kubelet compresses, X and X.gz may both be there; they are matched by content, the plain one first.
  rotated.sort((a, b) =>
    a.order < b.order ? -1 : a.order > b.order ? 1 : Number(a.compressed) - Number(b.compressed),
  );
  const live = entries.includes(base) ? [{ path: target, compressed: false }] : [];
  return [...rotated, ...live];
}
