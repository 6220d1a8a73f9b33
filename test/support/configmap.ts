/** A folder as kubelet mounts a ConfigMap or Secret: every file is a link through `..data`, which is swapped as a whole. */
import { mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export class MountedFolder {
  readonly folder: string;
  #version = 0;

  constructor(folder: string, files: Readonly<Record<string, string>>) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    this.swap(files);
    for (const name of Object.keys(files)) symlinkSync(join("..data", name), join(folder, name));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A new version of all files: another folder, a link to it renamed over `..data`, the former folder deleted. */
  swap(files: Readonly<Record<string, string>>): void {
    const name = `..2026_11_24_10_00_00.${100_000 + this.#version++}`;
    mkdirSync(join(this.folder, name));
    for (const [file, text] of Object.entries(files)) writeFileSync(join(this.folder, name, file), text);
    const former = readdirSync(this.folder).includes("..data") ? readlinkSync(join(this.folder, "..data")) : undefined;
    symlinkSync(name, join(this.folder, "..data_tmp"));
    renameSync(join(this.folder, "..data_tmp"), join(this.folder, "..data"));
    if (former !== undefined) rmSync(join(this.folder, former), { recursive: true });
  }
}
