/**
 * Compiles agent/kernel/assembly to agent/kernel/wasm.ts, which is committed, so that a clone runs as it is and the image
 * needs no compiler: `npm run kernel` after a change. A test holds the file to its sources.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "assemblyscript/asc";

const HEADER = `/** Compiled from agent/kernel/assembly by \`npm run kernel\`. */
export const WASM =
`;

/** @returns the text of wasm.ts. @throws Error with the compiler's messages. */
export async function compileKernel(): Promise<string> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await main(
    [
      join(import.meta.dirname, "assembly", "index.ts"),
      ...["-O3", "--enable", "simd", "--runtime", "stub", "--noAssert", "--importMemory"],
      ...["--outFile", "kernel.wasm"],
    ],
    {
      writeFile: (name, content) => {
        if (name === "kernel.wasm" && typeof content !== "string") binary = content;
      },
    },
  );
  if (error !== null || binary === undefined) throw new Error(`${error?.message}\n${stderr.toString()}`);
  return `${HEADER}  "${Buffer.from(binary).toString("base64")}";\n`;
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, "wasm.ts"), await compileKernel());
