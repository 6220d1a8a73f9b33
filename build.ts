/** Makes dist/tailrace.mjs: the one file that the image runs, with all packages and the status page in it. */
import { chmodSync } from "node:fs";
import { builtinModules, createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build, type Plugin } from "esbuild";
import { PAGE } from "./agent/admin/page/assets.ts";

const require = createRequire(import.meta.url);

const WITHIN = /@kubernetes\/client-node\/dist/;
/** Where its KubeConfig is; its index loads all of it. */
const CONFIG = join(import.meta.dirname, "node_modules/@kubernetes/client-node/dist/config.js");
const GENERATED = /@kubernetes\/client-node\/dist\/gen\//;

/**
 * client-node is the whole API, 5 MB of generated classes, of which KubeConfig is used. It does not say that its modules
 * can be left out; they do nothing when loaded. Nor is the whole of undici loaded for it. A bundle without them takes 14 MB less memory and a third less CPU to start.
 * KubeConfig names the generated classes only for API clients, which nobody makes here.
 */
const leaveOutUnused: Plugin = {
  name: "leave out what is unused of client-node",
  setup({ onLoad, onResolve, resolve }) {
    onResolve({ filter: /^@kubernetes\/client-node$/ }, () => ({ path: CONFIG, sideEffects: false }));
    onResolve({ filter: /^undici$/ }, ({ importer }) =>
      WITHIN.test(importer) ? { path: "undici", namespace: "pools", sideEffects: false } : undefined,
    );
    onLoad({ filter: /./, namespace: "pools" }, () => ({
      contents: `export { ProxyAgent } from "./agent/undici.ts";
export { default as Agent } from "undici/lib/dispatcher/agent.js";
export const { fetch } = globalThis;`,
      resolveDir: import.meta.dirname,
    }));
    // Extended by a class that nobody uses, as soon as its module is loaded.
    onLoad({ filter: /./, namespace: "none" }, () => ({ contents: "exports.ObjectSerializer = class {};" }));
    onResolve({ filter: /^\./ }, async ({ path, importer, resolveDir, kind, pluginData }) => {
      const within = WITHIN.test(importer);
      if (pluginData === leaveOutUnused || (path.startsWith(".") && !within)) return undefined;
      const found = await resolve(path, { importer, resolveDir, kind, pluginData: leaveOutUnused });
      if (GENERATED.test(found.path) && !GENERATED.test(importer)) return { path: "none", namespace: "none" };
      return { ...found, sideEffects: false };
    });
  },
};

const outfile = "dist/tailrace.mjs";

/**
 * Node's own modules by require, and of each only the exports that are used: an import of one reads all of them, also those
 * that load more when they are first asked for. `http` so loads an undici of Node's own, `crypto` the Web Crypto API: 5 MB
 * and a tenth of the CPU to start.
 */
const requireBuiltins: Plugin = {
  name: "require Node's modules",
  setup({ onLoad, onResolve }) {
    const names = new Set([...builtinModules, ...builtinModules.map((name) => `node:${name}`), "node:sqlite"]);
    onResolve({ filter: /^[a-z_:/0-9]+$/ }, ({ path, kind }) =>
      kind === "import-statement" && names.has(path) ? { path, namespace: "builtin", sideEffects: false } : undefined,
    );
    onLoad({ filter: /./, namespace: "builtin" }, ({ path }) => {
      const exports = Object.keys(require(path)).filter((name) => /^[a-z_$][\w$]*$/i.test(name) && name !== "default");
      // Marked as pure, so that those are left out that nobody imports.
      const consts = exports.map((name) => `export const ${name} = /* @__PURE__ */ (() => builtin.${name})();`);
      return {
        contents: `const builtin = require(${JSON.stringify(path)});\nexport default builtin;\n${consts.join("\n")}`,
      };
    });
  },
};

/** zod's messages in fifty languages, of which none but English is ever used: 0.3 MB of source. */
const onlyEnglish: Plugin = {
  name: "only English",
  setup({ onLoad }) {
    onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: 'export { default as en } from "./en.js";',
    }));
  },
};

/** Packages that few agents need: for patterns, and for kubeconfigs with a login or a proxy of their own. */
const LATE = ["re2js", "jsonpath-plus", "openid-client", "socks", "socks-proxy-agent"];

/**
 * What not every agent needs is loaded by the first who does: also HTTP/2, which a server may ask for by ALPN, with what it
 * takes of Node's own. That is 2 MB less. Never needed are the metrics of a cluster of processes, undici's other parser of
 * HTTP, which only an environment variable switches on, the traces that prom-client could tell of, and a second parser of YAML.
 */
const loadLate: Plugin = {
  name: "load late",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^\.\/client-h2\.js$/ }, ({ resolveDir }) => ({ path: resolveDir, namespace: "late" }));
    onLoad({ filter: /./, namespace: "late" }, ({ path }) => ({
      contents: `module.exports = (...args) => require(${JSON.stringify(join(path, "client-h2.js"))})(...args);`,
      resolveDir: path,
    }));
    onResolve({ filter: /^[a-z\d-]+$/ }, ({ path, pluginData }) =>
      pluginData !== loadLate && LATE.includes(path) ? { path, namespace: "late package" } : undefined,
    );
    // What imports it asks this object's prototype for each name as it is used, and before that only for __esModule.
    onLoad({ filter: /./, namespace: "late package" }, ({ path }) => ({
      contents: `module.exports = Object.create(new Proxy({}, { get: (_, name) => require(${JSON.stringify(path)})[name] }), { __esModule: { value: true } });`,
      // From client-node's folder, all of them are found.
      resolveDir: dirname(CONFIG),
      pluginData: loadLate,
    }));
    onLoad({ filter: /undici\/lib\/milo\/(no-)?simd\.js$/ }, () => ({ contents: "" }));
    onLoad({ filter: /prom-client\/lib\/cluster\.js$/ }, () => ({ contents: "module.exports = class {};" }));
    const none = "exports.context = { active() {} }; exports.trace = { getSpan() {} };";
    onResolve({ filter: /^@opentelemetry\/api$/ }, ({ path }) => ({ path, namespace: "traces" }));
    onLoad({ filter: /./, namespace: "traces" }, () => ({ contents: none }));
    onResolve({ filter: /^js-yaml$/ }, ({ path }) => ({ path, namespace: "yaml", sideEffects: false }));
    onLoad({ filter: /./, namespace: "yaml" }, () => ({
      contents: 'export { parse as load } from "yaml";',
      resolveDir: import.meta.dirname,
    }));
  },
};

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
  plugins: [inlinePage, leaveOutUnused, onlyEnglish, loadLate, requireBuiltins],
  // An older Node would end in the middle of some package, with a page of its source. Packages in CommonJS call require
  // for Node's own modules.
  banner: {
    js: '#!/usr/bin/env node\nif(Number(process.versions.node.split(".")[0])<24){console.error(`tailrace: this is Node ${process.version}; it takes Node 24 or newer`);process.exit(1)}\nimport{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
  },
  logLevel: "warning",
});
chmodSync(outfile, 0o755);
const bytes = result.metafile.outputs[outfile]?.bytes ?? 0;
console.log(`${outfile}: ${(bytes / 1e6).toFixed(1)} MB`);
