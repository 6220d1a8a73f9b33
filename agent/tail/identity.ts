/**
 * Identity by content. A file is known by its first complete line, hashed: CRI and docker put a nanosecond time into
 * it, so no two files of a container share it, and it survives renaming, compression, inode reuse and a reboot.
 */
import { hash } from "node:crypto";
import type { ContainerLog } from "../pods/origin.ts";

/**
 * More than the longest line that a runtime with default settings writes: docker's 16 KiB with every byte escaped
 * sixfold, whose time stands at the line's end.
 */
export const FINGERPRINT_BYTES = 128 * 1024;
/** So many bytes before an offset tell whether the content is still the one that was read up to there. */
export const MARKER_BYTES = 64;
const NEWLINE = 0x0a;

/**
 * @param head the file's first bytes, FINGERPRINT_BYTES at most. @param whole no more bytes will ever come.
 * @returns the fingerprint, or "" while the first line is not complete. Fixed once and for ever.
 */
export function fingerprint(head: Buffer, whole: boolean): string {
  const end = head.indexOf(NEWLINE);
  if (end >= 0) return digest(head.subarray(0, end + 1));
  if (head.length >= FINGERPRINT_BYTES) return digest(head.subarray(0, FINGERPRINT_BYTES));
  return whole && head.length > 0 ? digest(head) : "";
}

/** The stable part of the ids of all records in one file: 96 bits as 16 characters of base64url. */
export function generationKey(log: ContainerLog, print: string): string {
  return hash("sha256", `${log.uid}\n${log.container}\n${log.restart}\n${print}`, "base64url").slice(0, 16);
}

/** What a checkpoint remembers of the bytes before its offset: of log content itself it holds none. */
export function marker(bytes: Buffer): string {
  return bytes.length === 0 ? "" : digest(bytes).slice(0, 11);
}

function digest(bytes: Buffer): string {
  return hash("sha256", bytes, "base64url").slice(0, 22);
}

/** Where the first byte that is no NUL stands; `length` when there is none. */
export function firstByte(bytes: Buffer, length: number): number {
  let at = 0;
  while (at < length && bytes[at] === 0) at++;
  return at;
}
