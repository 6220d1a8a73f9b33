/** The version, from package.json: esbuild puts the value into the bundle. */
import manifest from "../package.json" with { type: "json" };

export const VERSION: string = manifest.version;
