/**
 * LogFile: one generation of a container's log, plain or compressed, under whatever name it has by now. Opened once and
 * kept open until every output has read it, so renaming, compression and deletion take nothing away.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { Generation } from "../batch.ts";
import type { ContainerLog } from "../pods/origin.ts";
import { GunzipReader } from "./gunzip.ts";
import { FINGERPRINT_BYTES, fingerprint, generationKey } from "./identity.ts";

export class LogFile implements Generation {
  readonly log: ContainerLog;
  readonly compressed: boolean;
  readonly dev: number;
  readonly ino: number;
  /** The name it had when last seen. */
  path: string;
  /** "" until the first line is complete; nothing of the file is read before. */
  fingerprint = "";
  key = "";
  /** Bytes in the file when last looked at; of a compressed one unknown until it was read, then what was found. */
  size: number;
  /** Monotonic milliseconds of the last growth. */
  grownAt: number;
  /** No more bytes will come: it was rotated away or deleted, and has been quiet since. */
  final = false;
  /** No name leads to it any more. */
  unlinked = false;
  #fd: number;

  /** @throws system errors of opening. */
  constructor(log: ContainerLog, path: string, compressed: boolean, now: number) {
    this.log = log;
    this.path = path;
    this.compressed = compressed;
    this.#fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    const stat = fstatSync(this.#fd);
    if (!stat.isFile()) {
      closeSync(this.#fd);
      throw Object.assign(new Error(`${path} is not a regular file`), { code: "ENOTREG" });
    }
    this.dev = stat.dev;
    this.ino = stat.ino;
    this.size = compressed ? Number.POSITIVE_INFINITY : stat.size;
    this.grownAt = now;
    this.final = compressed;
    // An old file that has been rotated away does not have to prove again that it is quiet.
    if (!compressed) this.grownAt = now - Math.max(0, Date.now() - stat.mtimeMs);
  }

  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  /** Looks at the open file again. @returns whether it grew or shrank. */
  refresh(now: number): boolean {
    if (this.compressed || !this.isOpen) return false;
    const { size, nlink } = fstatSync(this.#fd);
    this.unlinked = nlink === 0;
    return this.resize(size, now);
  }

  /** Notes a size seen by whoever looked. @returns whether it changed. */
  resize(size: number, now: number): boolean {
    if (size === this.size) return false;
    this.size = size;
    this.grownAt = now;
    this.final = false;
    return true;
  }

  /** The same inode holds another content now (it was truncated and written anew): nothing of this one is left. */
  supersede(): void {
    this.size = 0;
    this.final = true;
  }

  /** Learns who the file is as soon as its first line is complete. @returns whether it is known. */
  async identify(): Promise<boolean> {
    if (this.fingerprint !== "") return true;
    if (this.size === 0) return false;
    const head = Buffer.allocUnsafe(Math.min(FINGERPRINT_BYTES, this.size));
    let length = 0;
    if (this.compressed) {
      const reader = this.gunzip();
      length = await reader.read(head, 0, head.length, 0);
      reader.close();
    } else length = readSync(this.#fd, head, 0, head.length, 0);
    const print = fingerprint(head.subarray(0, length), this.final);
    if (print !== "") {
      this.fingerprint = print;
      this.key = generationKey(this.log, print);
    }
    return print !== "";
  }

  /**
   * Reads up to `length` bytes at `offset` of a plain file. Synchronous: a growing log is in the page cache, where a
   * read costs 0.7 us against 20-30 us for a hop through the thread pool.
   */
  read(into: Buffer, at: number, length: number, offset: number): number {
    return readSync(this.#fd, into, at, length, offset);
  }

  /** Of a compressed file: the length of its content modulo 2^32, as its last four bytes have it (RFC 1952). */
  uncompressedBytes(): number {
    const tail = Buffer.alloc(4);
    readSync(this.#fd, tail, 0, 4, Math.max(0, fstatSync(this.#fd).size - 4));
    return tail.readUInt32LE();
  }

  /** A reader of a compressed file's content, for one consumer. */
  gunzip(): GunzipReader {
    return new GunzipReader(this.#fd);
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** Where a file's last complete line ends: the place to begin when nothing of the past is wanted. */
export function endOfLines(file: LogFile): number {
  const chunk = Buffer.allocUnsafe(64 * 1024);
  for (let end = file.compressed ? 0 : file.size; end > 0; end -= chunk.length) {
    const from = Math.max(0, end - chunk.length);
    const got = file.read(chunk, 0, end - from, from);
    const at = chunk.subarray(0, got).lastIndexOf(0x0a);
    if (at >= 0) return from + at + 1;
  }
  return 0;
}
