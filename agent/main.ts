/** The command line. Exit status: 0 fine, 1 can't go on, 2 wrong usage or configuration. */
import { hostname } from "node:os";
import { parseArgs } from "node:util";
import { Agent } from "./agent.ts";
import { systemClock } from "./clock.ts";
import { effectiveYaml } from "./config/effective.ts";
import { formatProblem, type Loaded, loadConfig } from "./config/load.ts";
import { jsonSchema } from "./config/schema.ts";
import { runDemo } from "./demo.ts";
import { errorCode, errorText, FatalError, UsageError } from "./errors.ts";
import { explain as explainLog } from "./explain.ts";
import { createLog, type Log } from "./log.ts";
import { VERSION } from "./version.ts";

const DEFAULT_CONFIG = "/etc/tailrace/config.yaml";

const HELP = `tailrace ${VERSION}: follows the container logs of a Kubernetes node and delivers every byte of them

  tailrace run [-c FILE]         run the agent until SIGTERM or SIGINT
  tailrace validate [-c FILE]    check a configuration and print every problem; --no-files: don't look for secret files
  tailrace config [-c FILE]      print the effective configuration, all defaults filled in, secrets masked
  tailrace schema                print the configuration's JSON Schema
  tailrace explain [-c FILE] LOGFILE
                                 read a log (-: standard input) and tell what would become of each record; sends nothing
  tailrace demo                  no cluster needed: write sample pods' logs, run the agent on them, print the records

  -c, --config FILE   default ${DEFAULT_CONFIG}
  -h, --help          this text
  -v, --version       the version

Exit status: 0 fine, 1 can't go on, 2 wrong usage or configuration.
`;

interface Options {
  readonly config: string;
  readonly checkFiles: boolean;
  /** What stands behind the command. */
  readonly rest: readonly string[];
}

const COMMANDS: Record<string, (options: Options) => Promise<number>> = {
  run,
  validate,
  config,
  schema,
  explain,
  demo,
};
/** Commands that take an argument, with its name. */
const ARGUMENTS: Readonly<Record<string, string>> = { explain: "LOGFILE" };

async function main(args: readonly string[]): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    throw new UsageError(errorText(error));
  }
  const { values, positionals } = parsed;
  if (values.help === true) return print(HELP);
  if (values.version === true) return print(`${VERSION}\n`);
  const [name, ...rest] = positionals;
  if (name === undefined) throw new UsageError("no command given");
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new UsageError(`there is no command ${name}`);
  const argument = ARGUMENTS[name];
  if (argument !== undefined && rest.length === 0) throw new UsageError(`${name} needs ${argument}`);
  const superfluous = rest[argument === undefined ? 0 : 1];
  if (superfluous !== undefined) throw new UsageError(`${name} takes no argument ${superfluous}`);
  return command({ config: values.config, checkFiles: values["no-files"] !== true, rest });
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      config: { type: "string", short: "c", default: DEFAULT_CONFIG },
      "no-files": { type: "boolean" },
      help: { type: "boolean", short: "h" },
      version: { type: "boolean", short: "v" },
    },
  });
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function load({ config: file, checkFiles }: Pick<Options, "config" | "checkFiles">): Loaded {
  return loadConfig(file, { env: process.env, hostname: hostname(), checkFiles });
}

/** Prints a configuration's problems where they belong. @returns exit status 2. */
function report(loaded: Extract<Loaded, { problems: unknown }>): number {
  for (const problem of loaded.problems) process.stdout.write(`${formatProblem(problem)}\n`);
  return 2;
}

async function validate(options: Options): Promise<number> {
  const loaded = load(options);
  return "problems" in loaded ? report(loaded) : print(`${options.config}: valid\n`);
}

async function config(options: Options): Promise<number> {
  const loaded = load({ ...options, checkFiles: false });
  return "problems" in loaded ? report(loaded) : print(effectiveYaml(loaded.config));
}

async function schema(): Promise<number> {
  return print(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`);
}

async function run(options: Options): Promise<number> {
  const loaded = load(options);
  if ("problems" in loaded) {
    const log = createLog("info");
    for (const problem of loaded.problems) log.error({}, formatProblem(problem));
    return 2;
  }
  const log = createLog(loaded.config.logLevel);
  const agent = new Agent(loaded.config, loaded.hash, process.env, systemClock, log);
  return serve(agent, log);
}

async function explain(options: Options): Promise<number> {
  const loaded = load({ ...options, checkFiles: false });
  if ("problems" in loaded) return report(loaded);
  const [file = "-"] = options.rest;
  const now = Math.floor(systemClock.wall() / 1000);
  try {
    await explainLog(loaded.config, file, process.stdin, now, process.env, print, writable);
  } catch (error) {
    if (errorCode(error) === "") throw error;
    throw new FatalError(`can't read ${file}: ${errorText(error)}`);
  }
  return 0;
}

/** Waits for a slow reader. @returns false when it is gone. */
async function writable(): Promise<boolean> {
  const { stdout } = process;
  if (stdout.writableNeedDrain && !stdout.destroyed)
    await new Promise<void>((resolve) => stdout.once("drain", resolve).once("close", resolve));
  return !stdout.destroyed;
}

async function demo(): Promise<number> {
  return runDemo((config, hash, log) => new Agent(config, hash, process.env, systemClock, log), signalled);
}

/** Runs an agent until a signal; a second one ends at once. */
async function serve(agent: Agent, log: Log): Promise<number> {
  const stop = signalled();
  try {
    await agent.start();
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    log.error({}, error.message);
    return 1;
  }
  await stop;
  process.once("SIGTERM", () => process.exit(1));
  process.once("SIGINT", () => process.exit(1));
  await agent.stop();
  return 0;
}

/** Resolves at the first SIGTERM or SIGINT. */
function signalled(): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
}

// A reader of our standard output that goes away (`| head`) is no reason to die with a stack trace.
process.stdout.on("error", (error) => {
  if (errorCode(error) !== "EPIPE") throw error;
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`tailrace: ${error.message}; see tailrace --help\n`);
    process.exit(2);
  }
  if (error instanceof FatalError) {
    process.stderr.write(`tailrace: ${error.message}\n`);
    process.exit(1);
  }
  throw error;
}
// What is written to a pipe is on its way only.
await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
// Sockets kept alive for a next request must not keep a finished program.
process.exit();
