/** The command line. Exit status: 0 fine, 1 can't go on, 2 wrong usage or configuration. */
import { parseArgs } from "node:util";
import { type Command, type Options, print } from "./commands/command.ts";
import { config } from "./commands/config.ts";
import { demo } from "./commands/demo.ts";
import { explain } from "./commands/explain.ts";
import { replay } from "./commands/replay.ts";
import { run } from "./commands/run.ts";
import { schema } from "./commands/schema.ts";
import { status } from "./commands/status.ts";
import { tap } from "./commands/tap.ts";
import { validate } from "./commands/validate.ts";
import { errorCode, errorText, FatalError, UsageError } from "./errors.ts";
import { switchKernels } from "./kernel/kernel.ts";
import { VERSION } from "./version.ts";

const DEFAULT_CONFIG = "/etc/tailrace/config.yaml";

const HELP = `tailrace ${VERSION}: follows the container logs of a Kubernetes node and delivers every byte of them

  tailrace run [-c FILE]         run the agent until SIGTERM or SIGINT
  tailrace validate [-c FILE]    check a configuration and print every problem; --no-files: don't look for secret files
  tailrace config [-c FILE]      print the effective configuration, all defaults filled in, secrets masked
  tailrace schema                print the configuration's JSON Schema
  tailrace status [-c FILE]      ask a running agent how its outputs and containers are; --pod GLOB, --json
  tailrace tap [-c FILE]         show the records that pass through a running agent;
                                 --namespace, --pod, --container, --output GLOB, --json
  tailrace replay [-c FILE] OUTPUT
                                 send an output's dead letters again; what is accepted leaves the file
  tailrace explain [-c FILE] LOGFILE
                                 read a log (-: standard input) and tell what would become of each record; sends nothing
  tailrace demo                  no cluster needed: write sample pods' logs, run the agent on them, print the records

  -c, --config FILE   default ${DEFAULT_CONFIG}
      --admin URL     where the running agent's status page is; default: admin.uiListen of the configuration
  -h, --help          this text
  -v, --version       the version

Exit status: 0 fine, 1 can't go on, 2 wrong usage or configuration.
`;

interface Entry {
  readonly run: Command;
  /** Options that it takes beside --config. */
  readonly options?: readonly (keyof Options)[];
  /** What its argument is called in messages. */
  readonly argument?: string;
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  run: { run },
  validate: { run: validate, options: ["no-files"] },
  config: { run: config },
  schema: { run: schema },
  status: { run: status, options: ["pod", "json", "admin"] },
  tap: { run: tap, options: ["namespace", "pod", "container", "output", "json", "admin"] },
  replay: { run: replay, argument: "OUTPUT" },
  explain: { run: explain, argument: "LOGFILE" },
  demo: { run: demo },
};

async function main(args: readonly string[]): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    throw new UsageError(errorText(error));
  }
  const { help, version, ...options } = parsed.values;
  if (help === true) return print(HELP);
  if (version === true) return print(`${VERSION}\n`);
  const [name, ...rest] = parsed.positionals;
  if (name === undefined) throw new UsageError("no command given");
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw new UsageError(`there is no command ${name}`);
  const { argument, options: allowed = [] } = command;
  if (argument !== undefined && rest.length === 0) throw new UsageError(`${name} needs an argument: ${argument}`);
  const extra = rest[argument === undefined ? 0 : 1];
  if (extra !== undefined) throw new UsageError(`${name} takes no argument ${extra}`);
  for (const option of Object.keys(options) as (keyof Options)[])
    if (option !== "config" && !allowed.includes(option)) throw new UsageError(`${name} takes no --${option}`);
  return command.run(options, rest[0] ?? "");
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      config: { type: "string", short: "c", default: DEFAULT_CONFIG },
      "no-files": { type: "boolean" },
      json: { type: "boolean" },
      admin: { type: "string" },
      namespace: { type: "string" },
      pod: { type: "string" },
      container: { type: "string" },
      output: { type: "string" },
      help: { type: "boolean", short: "h" },
      version: { type: "boolean", short: "v" },
    },
  });
}

// A reader of our standard output that goes away (`| head`) is no reason to die with a stack trace.
process.stdout.on("error", (error) => {
  if (errorCode(error) !== "EPIPE") throw error;
});

// For machines on which a kernel misbehaves, and for tests of what takes over.
if (process.env.TAILRACE_KERNEL === "off") switchKernels(false);

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
