/**
 * LogFile: one generation of a container's log, plain or compressed, under whatever name it has by now. It is kept open
 * until every output has read it, so renaming, compression and deletion take nothing away; when descriptors run short
 * it is closed, and opened again by its name.
 */
import { closeSync, constants, fstatSync, openSync, readSync, readvSync } from "node:fs";
import type { Generation } from "../batch.ts";
import { errorCode } from "../errors.ts";
import type { ContainerLog } from "../pods/origin.ts";
import type { Descriptors } from "./descriptors.ts";
import { GunzipReader } from "./gunzip.ts";
import { FINGERPRINT_BYTES, fingerprint, firstByte, generationKey, MARKER_BYTES, marker } from "./identity.ts";

/** Why bytes that nobody has read can't be read any more. */
export type Loss = "deleted" | "truncated" | "damaged" | "hold";

/** A hole at the head of a file is looked past so far when it is asked who it is. */
const MAX_HOLE_BYTES = 1 << 30;
/** Where plain files' heads are read: with a buffer for each, a thousand files would be 128 MB of garbage. */
const HEAD = Buffer.allocUnsafeSlow(FINGERPRINT_BYTES);

export class LogFile implements Generation {
  readonly log: ContainerLog;
  compressed: boolean;
  dev = 0;
  ino = 0;
  /** The name it had when last seen. */
  path: string;
  /** "" until the first line is complete; nothing of the file is read before. */
  fingerprint = "";
  key = "";
  /** Bytes in the file when last looked at; of a compressed one unknown until it was read, then what was found. */
  size = 0;
  /** Its size when all readers were last told that it grew. */
  told = 0;
  /** Monotonic milliseconds of the last growth. */
  grownAt: number;
  /** Milliseconds since 1970 of the last write, as far as was seen. */
  writtenAt = 0;
  /** No more bytes will come: it was rotated away or deleted, and has been quiet since. */
  final = false;
  /** No name leads to it any more. */
  unlinked = false;
  /** Some output has begun to read it. */
  entered = false;
  /** Every output has read it. */
  left = false;
  /** Set once what is unread of it is lost. */
  gone: Loss | "" = "";
  /** It shrank, or a reader found other bytes in it than before: it is not read until it was asked again who it is. */
  doubted = false;
  /** Why a compressed file could not be asked who it is; "" when it could. */
  damage = "";
  /** A compressed copy of it, which could be read in its place. */
  packed = "";
  readonly #descriptors: Descriptors;
  #fd = -1;
  #expected: number | undefined;

  /** @throws system errors of opening. */
  constructor(log: ContainerLog, path: string, compressed: boolean, now: number, descriptors: Descriptors) {
    this.log = log;
    this.path = path;
    this.compressed = compressed;
    this.#descriptors = descriptors;
    const { size, mtimeMs } = this.#adopt();
    this.size = compressed ? Number.POSITIVE_INFINITY : size;
    this.final = compressed;
    // An old file that has been rotated away does not have to prove again that it is quiet.
    this.grownAt = compressed ? now : now - Math.max(0, Date.now() - mtimeMs);
  }

  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  /** For the keeper of descriptors. */
  get named(): boolean {
    return !this.unlinked;
  }

  /** How many bytes it holds, for a compressed one as it says itself: of the last 4 GiB, and no proof (RFC 1952, ISIZE). */
  get expectedBytes(): number {
    if (Number.isFinite(this.size)) return this.size;
    try {
      this.#expected ??= this.uncompressedBytes();
    } catch (error) {
      // Renamed or deleted this moment.
      if (errorCode(error) === "") throw error;
    }
    return this.#expected ?? 0;
  }

  /** Whether it is open, has a name and is as long as all readers know. */
  isAsTold(): boolean {
    if (this.#fd < 0 || this.size !== this.told) return false;
    const { size, nlink } = fstatSync(this.#fd);
    return size === this.size && nlink > 0;
  }

  /** Looks at the open file again; one that shrank is doubted. @returns whether it grew or shrank. */
  refresh(now: number): boolean {
    if (this.compressed || !this.isOpen) return false;
    const { size, nlink } = fstatSync(this.#fd);
    this.unlinked = nlink === 0;
    if (size < this.size) this.doubted = true;
    return this.doubted || this.resize(size, now);
  }

  /** Whether it is open and has lost its last name, so that only this keeps its disk space in use. */
  get isHeld(): boolean {
    if (!this.isOpen || this.compressed || this.left) return false;
    this.unlinked ||= fstatSync(this.#fd).nlink === 0;
    return this.unlinked;
  }

  /** Notes a size seen by whoever looked. @returns whether it changed. */
  resize(size: number, now: number): boolean {
    if (size === this.size || this.doubted) return false;
    this.size = size;
    this.grownAt = now;
    this.writtenAt = Date.now();
    this.final = false;
    return true;
  }

  /** A reader found other bytes than those that it had read up to `offset`. */
  doubt(offset: number): void {
    // How long it was before somebody cut it is not known; at least this.
    this.size = offset;
    this.doubted = true;
  }

  /** What is unread of it can't be read any more. */
  lose(why: Loss): void {
    this.gone = why;
    this.final = true;
    this.release();
  }

  /** The same content is in another file now: a compressed copy, or one that `copytruncate` made. */
  become(path: string, compressed: boolean): void {
    const former = { fd: this.#fd, path: this.path, compressed: this.compressed };
    this.#fd = -1;
    this.path = path;
    try {
      const { size } = this.#adopt();
      this.compressed = compressed;
      this.unlinked = false;
      this.packed = "";
      if (compressed) this.final = true;
      // How much a compressed file holds shows when it is read.
      this.size = compressed ? Number.POSITIVE_INFINITY : size;
      if (former.fd >= 0) closeSync(former.fd);
    } catch (error) {
      this.#fd = former.fd;
      this.path = former.path;
      if (former.fd >= 0) this.#descriptors.use(this);
      throw error;
    }
  }

  /** Whether its name still leads to it, so that it can be opened again. */
  get isThere(): boolean {
    try {
      return this.#opened() >= 0;
    } catch (error) {
      if (errorCode(error) === "") throw error;
      return false;
    }
  }

  /** Learns who the file is as soon as its first line is complete. @returns whether it is known. */
  async identify(): Promise<boolean> {
    if (this.fingerprint !== "") return true;
    if (this.size === 0 || this.gone !== "") return false;
    const print = await this.#print();
    if (print !== "") {
      this.fingerprint = print;
      this.key = generationKey(this.log, print);
    }
    return print !== "";
  }

  /** Whether the file's first line is still the one that it was known by. */
  async isItself(): Promise<boolean> {
    return (await this.#print()) === this.fingerprint;
  }

  /**
   * Reads up to `length` bytes at `offset` of a plain file. Synchronous: a growing log is in the page cache, where a
   * read costs 0.7 us against 20-30 us for a hop through the thread pool.
   */
  read(into: Buffer, at: number, length: number, offset: number): number {
    return readSync(this.#opened(), into, at, length, offset);
  }

  /** Fills `first` and then `second` from `offset` on, of a plain file. @returns bytes read, of both. */
  readBoth(first: Buffer, second: Buffer, offset: number): number {
    return readvSync(this.#opened(), [first, second], offset);
  }

  /** A hash of the bytes before `offset`, to know the place again; "" where there is none to be had. */
  markerAt(offset: number): string {
    if (this.compressed || this.gone !== "" || offset === 0) return "";
    const bytes = Buffer.allocUnsafe(Math.min(MARKER_BYTES, offset));
    const got = this.read(bytes, 0, bytes.length, offset - bytes.length);
    return marker(bytes.subarray(0, got));
  }

  /** Of a compressed file: the length of its content modulo 2^32, as its last four bytes have it (RFC 1952). */
  uncompressedBytes(): number {
    const fd = this.#opened();
    const trailer = Buffer.alloc(4);
    readSync(fd, trailer, 0, 4, Math.max(0, fstatSync(fd).size - 4));
    return trailer.readUInt32LE();
  }

  /** A reader of a compressed file's content, for one consumer. */
  gunzip(): GunzipReader {
    return new GunzipReader((into, offset) => readSync(this.#opened(), into, 0, into.length, offset));
  }

  /** Closes it; it can be opened again while it has a name. */
  release(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#descriptors.forget(this);
  }

  /** @throws ESTALE when its name leads to another file now. */
  #opened(): number {
    if (this.#fd >= 0) {
      this.#descriptors.use(this);
      return this.#fd;
    }
    const { dev, ino } = this;
    this.#adopt();
    // Deleted and created at once, a file has the inode of the one before.
    const isOther = !this.compressed && this.fingerprint !== "" && this.#printPlain() !== this.fingerprint;
    if (this.dev !== dev || this.ino !== ino || isOther) {
      this.release();
      [this.dev, this.ino] = [dev, ino];
      throw Object.assign(new Error(`${this.path} is another file now`), { code: "ESTALE" });
    }
    return this.#fd;
  }

  /** Opens what `path` leads to. */
  #adopt(): { size: number; mtimeMs: number } {
    this.#descriptors.use(this);
    let fd = -1;
    try {
      fd = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw Object.assign(new Error(`${this.path} is not a regular file`), { code: "ENOTREG" });
      this.#fd = fd;
      this.dev = stat.dev;
      this.ino = stat.ino;
      this.writtenAt = stat.mtimeMs;
      return stat;
    } catch (error) {
      if (fd >= 0) closeSync(fd);
      this.#descriptors.forget(this);
      throw error;
    }
  }

  async #print(): Promise<string> {
    if (!this.compressed) return this.#printPlain();
    const reader = this.gunzip();
    try {
      const head = Buffer.allocUnsafe(FINGERPRINT_BYTES);
      for (let from = 0; ; from += head.length) {
        const got = await reader.read(head, 0, head.length, from);
        const first = firstByte(head, got);
        if (first === got && got === head.length && from < MAX_HOLE_BYTES) continue;
        const more = first === 0 ? got : await reader.read(head, 0, head.length, from + first);
        return fingerprint(head.subarray(0, more), this.final);
      }
    } finally {
      this.damage = reader.damage;
      reader.close();
    }
  }

  #printPlain(): string {
    const head = HEAD.subarray(0, Math.min(FINGERPRINT_BYTES, this.size));
    for (let from = 0; ; from += head.length) {
      const got = this.read(head, 0, head.length, from);
      const first = firstByte(head, got);
      // A hole of NULs says nothing about who the file is.
      if (first === got && got === head.length && got > 0 && from < MAX_HOLE_BYTES) continue;
      const more = first === 0 ? got : this.read(head, 0, head.length, from + first);
      return fingerprint(head.subarray(0, more), this.final);
    }
  }
}
