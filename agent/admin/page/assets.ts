/** The status page's files. From a checkout they are read here; build.ts puts them into the bundle in this file's place. */
import { readFileSync } from "node:fs";

export interface Asset {
  readonly type: string;
  readonly text: string;
}

/** By the path under which a browser asks for them. */
export const PAGE: Readonly<Record<string, Asset>> = {
  "/": asset("page.html", "text/html; charset=utf-8"),
  "/page.css": asset("page.css", "text/css; charset=utf-8"),
  "/page.js": asset("page.js", "text/javascript; charset=utf-8"),
};

function asset(file: string, type: string): Asset {
  return { type, text: readFileSync(new URL(file, import.meta.url), "utf8") };
}
