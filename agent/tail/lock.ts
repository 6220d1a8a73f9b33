/**
 * Lock: at most one agent works on a data folder. A listening Unix socket, because the kernel lets go of it when its
 * owner dies, however it dies; process ids are of no use, since every container's first process is number 1.
 */
import { chmodSync, closeSync, linkSync, openSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { errorCode, errorText, FatalError } from "../errors.ts";

export interface Lock {
  release(): void;
}

/** @param taken the sentence for when another instance holds the folder. @throws FatalError with it. */
export async function acquireLock(
  folder: string,
  taken = `another tailrace works on dataDir ${folder}: stop it, or give this one a dataDir of its own`,
): Promise<Lock> {
  // A socket's path may have 107 bytes; through an open descriptor of the folder it is always short.
  const fd = openSync(folder, "r");
  const path = `/proc/self/fd/${fd}/lock`;
  const own = `${path}.${process.pid}`;
  try {
    rmSync(own, { force: true });
    const server = await listen(own);
    for (let attempt = 0; ; attempt++) {
      try {
        linkSync(own, path);
        rmSync(own, { force: true });
        return { release: () => release(server, path, fd) };
      } catch (error) {
        if (errorCode(error) !== "EEXIST") throw error;
      }
      if (attempt === 3 || (await answers(path))) {
        server.close();
        rmSync(own, { force: true });
        throw new FatalError(taken);
      }
      rmSync(path, { force: true });
    }
  } catch (error) {
    closeSync(fd);
    if (error instanceof FatalError) throw error;
    throw new FatalError(`can't lock ${folder} (${errorText(error)}): it must be a local, writable folder`);
  }
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      server.unref();
      resolve(server);
    });
  });
}

/** Whether somebody listens; a socket whose owner is dead refuses. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function release(server: Server, path: string, fd: number): void {
  rmSync(path, { force: true });
  server.close();
  closeSync(fd);
}
