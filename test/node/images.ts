/**
 * Images without a registry: the product's from its own Dockerfile by buildah, and those of the test's pods. The base
 * images that the Dockerfile names are stood in for by images of the same names, made of this machine's C library, the
 * Node that runs the tests, and npm; so sizes are close to the published ones, not equal.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { contain } from "./contain.ts";
import { CACHE } from "./tools.ts";

const REPOSITORY = resolve(import.meta.dirname, "..", "..");
export const AGENT_IMAGE = "localhost/tailrace:test";
export const POD_IMAGE = "localhost/busybox:test";
/** As Go and images call this machine's processor, and the other one that images are published for. */
const [NATIVE, FOREIGN] = process.arch === "arm64" ? ["arm64", "amd64"] : ["amd64", "arm64"];
const FOREIGN_IMAGE = `localhost/tailrace-${FOREIGN}:test`;
const FOREIGN_BASE = `localhost/base-${FOREIGN}:test`;
/** The Dockerfile's first stage, which has a name so that the next run finds it. */
const STAGE_IMAGE = "localhost/tailrace-build:test";
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

export interface Image {
  /** A docker-archive for `ctr images import`. */
  readonly archive: string;
  /** Of all layers, as a registry would hold them. */
  readonly compressedBytes: number;
  /** Digest of the manifest. */
  readonly digest: string;
  /** Of the processor that it is for. */
  readonly architecture: string;
  /** Digests, those of the base image first. */
  readonly layers: readonly string[];
  /** Paths of all files of all layers. */
  readonly files: readonly string[];
  readonly config: ImageConfig;
}

/** What the image's configuration says, as far as the tests look at it. */
export interface ImageConfig {
  readonly User: string;
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly Env: readonly string[];
  readonly Labels: Readonly<Record<string, string>>;
}

interface OciManifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
}

export interface Images {
  readonly agent: Image;
  /** The product's for a processor whose programs do not run here, on a base that holds none. */
  readonly foreign: Image;
  readonly pod: Image;
}

/** @param folder for archives; storage and stand-ins stay in the cache. */
export async function buildImages(folder: string, say: (line: string) => void): Promise<Images> {
  const [build, run] = bases();
  // What a build that was broken off worked in.
  await buildah(["rm", "--all"]);
  await standIn(build, say, (root) => {
    addBusybox(root, ["sh", "env", "ls", "cp", "mkdir", "rm", "cat"]);
    addNode(root, "/usr/local/bin/node");
    addNpm(root);
  });
  await standIn(run, say, (root) => addNode(root, "/nodejs/bin/node"));
  await standIn(FOREIGN_BASE, say, () => {}, `# ${FOREIGN}\n`, FOREIGN);
  // Kubelet also starts it as the pause container, whose only duty is to be there.
  const pause = 'CMD ["/bin/sleep", "2147483647"]\n';
  await standIn(POD_IMAGE, say, (root) => addBusybox(root, ["sh", "cat", "awk", "sleep", "usleep"]), pause);
  say("building the image");
  await buildAgent(STAGE_IMAGE, folder, NATIVE, "--target=build");
  await buildAgent(AGENT_IMAGE, folder, NATIVE);
  say(`building it for ${FOREIGN}`);
  await buildAgent(FOREIGN_IMAGE, folder, FOREIGN);
  return {
    agent: await save(AGENT_IMAGE, folder),
    foreign: await save(FOREIGN_IMAGE, folder),
    pod: await save(POD_IMAGE, folder),
  };
}

/** Builds the product's images again from nothing. @returns whether they came out the same, as a sentence if not. */
export async function rebuild(folder: string, { agent, foreign }: Images): Promise<string> {
  for (const [name, { digest, architecture }] of [
    [AGENT_IMAGE, agent],
    [FOREIGN_IMAGE, foreign],
  ] as const) {
    const again = `${name}-again`;
    await buildAgent(again, folder, architecture, "--no-cache");
    const second = (await save(again, folder)).digest;
    await buildah(["rmi", again]);
    // All that has no name: what was built again, and stages of former runs. It would be a gigabyte more each time.
    await buildah(["rmi", "--prune"]);
    if (second !== digest)
      return `the image for ${architecture}, built again, is another one: ${second}, not ${digest}`;
  }
  return "";
}

async function buildAgent(name: string, folder: string, architecture: string, ...flags: string[]): Promise<void> {
  const [, run] = bases();
  const platform = [
    `--platform=linux/${architecture}`,
    // Docker's builder knows it; buildah 1.28 takes the platform that it builds for.
    `--build-arg=BUILDPLATFORM=linux/${NATIVE}`,
  ];
  const base = architecture === NATIVE ? [] : [`--build-context=${run}=container-image://${FOREIGN_BASE}`];
  await buildah(["bud", ...flags, ...BUILD, ...platform, ...base, ...registryAccess(folder), "-t", name, REPOSITORY]);
}

/** Times are those of 1970, so that the same sources make the same image. */
const BUILD = ["--pull=never", "--layers", "--timestamp=0", "--format=oci"];

/** Names of the Dockerfile's base images. */
function bases(): [build: string, run: string] {
  const text = readFileSync(join(REPOSITORY, "Dockerfile"), "utf8");
  const names = [...text.matchAll(/^FROM (?:--\S+ )*(\S+)/gm)].map(([, name]) => name);
  const [build, run, ...more] = names;
  if (build === undefined || run === undefined || more.length > 0) throw new Error(`base images: ${names}`);
  return [build, run];
}

/**
 * How a build reaches the package registry: with npm's own configuration on this machine, and what it has fetched before.
 * @param folder for a copy of the user's configuration.
 */
function registryAccess(folder: string): string[] {
  const setting = (key: string): string => execFileSync("npm", ["config", "get", key], { encoding: "utf8" }).trim();
  const user = setting("userconfig");
  const copy = join(folder, "npmrc");
  writeFileSync(copy, `${existsSync(user) ? readFileSync(user, "utf8") : ""}\nprefer-offline=true\n`);
  const cache = setting("cache");
  mkdirSync(cache, { recursive: true });
  const mounts = [`${cache}:/root/.npm`, `${copy}:/root/.npmrc:ro`];
  const global = setting("globalconfig");
  if (existsSync(global)) mounts.push(`${global}:/usr/local/etc/npmrc:ro`);
  const cafile = setting("cafile");
  if (cafile !== "null" && cafile !== CERTIFICATES) mounts.push(`${cafile}:${cafile}:ro`);
  return mounts.flatMap((mount) => ["--volume", mount]);
}

/** Makes an image of what `fill` puts into a folder, once for each version of Node. @param more lines of its recipe. */
async function standIn(
  name: string,
  say: (line: string) => void,
  fill: (root: string) => void,
  more = "",
  architecture = NATIVE,
): Promise<void> {
  const recipe = `FROM scratch\nCOPY . /\n# ${process.version} ${fill}\n${more}`;
  const key = createHash("sha256").update(recipe).digest("hex");
  const listed = execFileSync(
    "buildah",
    [...storage(), "images", "--filter", `label=stand-in=${key}`, "--format", "{{.Name}}:{{.Tag}}"],
    { encoding: "utf8", env: environment() },
  );
  // Names without a registry are listed under localhost.
  if (listed.split("\n").some((other) => other === name || other === `localhost/${name}`)) return;
  say(`making a stand-in for ${name}`);
  const root = join(CACHE, "stand-in");
  rmSync(root, { recursive: true, force: true });
  mkdirSync(join(root, "tmp"), { recursive: true });
  mkdirSync(join(root, "etc"));
  const users = ["root:x:0:0:root:/root:/sbin/nologin", "nonroot:x:65532:65532::/:/sbin/nologin"];
  writeFileSync(join(root, "etc", "passwd"), `${users.join("\n")}\n`);
  fill(root);
  const file = join(CACHE, "stand-in.Dockerfile");
  writeFileSync(file, `FROM scratch\nCOPY . /\nLABEL stand-in=${key}\n${more}`);
  await buildah(["bud", ...BUILD, `--platform=linux/${architecture}`, "-f", file, "-t", name, root]);
  rmSync(root, { recursive: true });
  rmSync(file);
}

function addBusybox(root: string, applets: readonly string[]): void {
  const bin = join(root, "bin");
  mkdirSync(bin, { recursive: true });
  mkdirSync(join(root, "usr"), { recursive: true });
  symlinkSync("../bin", join(root, "usr", "bin"));
  copyFileSync(which("busybox"), join(bin, "busybox"));
  for (const applet of applets) symlinkSync("busybox", join(bin, applet));
}

/** Node with the libraries that it is linked to, and the certificates that it may be told to use. */
function addNode(root: string, at: string): void {
  mkdirSync(dirname(join(root, at)), { recursive: true });
  copyFileSync(process.execPath, join(root, at));
  const libraries = execFileSync("ldd", [process.execPath], { encoding: "utf8" });
  for (const [, library = ""] of libraries.matchAll(/(?:=> |^\s*)(\/\S+) \(/gm)) {
    mkdirSync(dirname(join(root, library)), { recursive: true });
    copyFileSync(realpathSync(library), join(root, library));
  }
  if (!existsSync(CERTIFICATES)) return;
  mkdirSync(dirname(join(root, CERTIFICATES)), { recursive: true });
  copyFileSync(CERTIFICATES, join(root, CERTIFICATES));
}

function addNpm(root: string): void {
  const program = process.env.npm_execpath ?? realpathSync(which("npm"));
  const home = resolve(dirname(program), "..");
  const target = join(root, "usr", "local", "lib", "node_modules", "npm");
  cpSync(home, target, { recursive: true, dereference: true });
  symlinkSync(`../lib/node_modules/npm/bin/${basename(program)}`, join(root, "usr", "local", "bin", "npm"));
}

async function save(name: string, folder: string): Promise<Image> {
  const layout = join(folder, `${name.replace(/[/:]/g, "_")}.oci`);
  const archive = join(folder, `${name.replace(/[/:]/g, "_")}.tar`);
  rmSync(layout, { recursive: true, force: true });
  rmSync(archive, { force: true });
  await buildah(["push", name, `oci:${layout}:image`]);
  await buildah(["push", name, `docker-archive:${archive}:${name}`]);
  const blob = (digest: string): string => join(layout, "blobs", ...digest.split(":"));
  const index = readJson(join(layout, "index.json")) as { manifests: { digest: string }[] };
  const digest = index.manifests[0]?.digest ?? "";
  const manifest = readJson(blob(digest)) as OciManifest;
  const { config, architecture } = readJson(blob(manifest.config.digest)) as Pick<Image, "config" | "architecture">;
  const layers = manifest.layers.map(({ digest }) => digest);
  const listed = layers.map((layer) => execFileSync("tar", ["-tf", blob(layer)], { encoding: "utf8" }));
  const files = listed.flatMap((list) => list.split("\n")).filter((path) => path !== "" && !path.endsWith("/"));
  const compressedBytes = manifest.layers.reduce((sum, { size }) => sum + size, 0);
  rmSync(layout, { recursive: true });
  return { archive, compressedBytes, digest, architecture, layers, files, config };
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, "utf8"));
}

function storage(): string[] {
  return ["--root", join(CACHE, "buildah"), "--runroot", join(CACHE, "buildah-run")];
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, BUILDAH_ISOLATION: "chroot" };
}

/** @throws with all that buildah said, when it fails. */
async function buildah(args: readonly string[]): Promise<void> {
  const child = contain(["buildah", ...storage(), ...args], { env: environment(), stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`buildah ${args[0]} ended with ${code}:\n${said}`);
}

function which(name: string): string {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${name} is missing`);
  return found;
}
