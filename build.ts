/** Makes dist/tailrace.mjs: the one file that the image runs, with all packages in it. */
import { chmodSync } from "node:fs";
import { build } from "esbuild";

const outfile = "dist/tailrace.mjs";
const result = await build({
  entryPoints: ["agent/main.ts"],
  outfile,
  bundle: true,
  platform: "node",
  target: "node24",
  format: "esm",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  metafile: true,
  // Packages in CommonJS call require for Node's own modules.
  banner: {
    js: '#!/usr/bin/env node\nimport{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
  },
  logLevel: "warning",
});
chmodSync(outfile, 0o755);
const bytes = result.metafile.outputs[outfile]?.bytes ?? 0;
console.log(`${outfile}: ${(bytes / 1e6).toFixed(1)} MB`);
