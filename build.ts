/** Makes dist/tailrace.mjs: the one file that the image runs, with all packages and the status page in it. */
import { chmodSync } from "node:fs";
import { build, type Plugin } from "esbuild";
import { PAGE } from "./agent/admin/page/assets.ts";

const outfile = "dist/tailrace.mjs";

/** What is read from beside the source stands in the bundle itself. */
const inlinePage: Plugin = {
  name: "inline-page",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/admin\/page\/assets\.ts$/ }, () => ({
      contents: `export const PAGE = ${JSON.stringify(PAGE)}`,
    })),
};

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
  plugins: [inlinePage],
  // Packages in CommonJS call require for Node's own modules.
  banner: {
    js: '#!/usr/bin/env node\nimport{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
  },
  logLevel: "warning",
});
chmodSync(outfile, 0o755);
const bytes = result.metafile.outputs[outfile]?.bytes ?? 0;
console.log(`${outfile}: ${(bytes / 1e6).toFixed(1)} MB`);
