/** The list of outputs: one line each. */
import type { OutputConfig } from "../agent/config/schema.ts";
import type { Log } from "../agent/log.ts";
import { ConsoleOutput } from "./console.ts";
import { ElasticsearchOutput } from "./elasticsearch.ts";
import { FileOutput } from "./file.ts";
import { LokiOutput } from "./loki.ts";
import type { Output } from "./output.ts";
import { StackdriverOutput } from "./stackdriver.ts";

/** What adapters take from the process. */
export interface OutputContext {
  /** For proxies. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
}

export function createOutput(config: OutputConfig, { env, log }: OutputContext): Output {
  switch (config.type) {
    case "elasticsearch":
      return new ElasticsearchOutput(config, env, log);
    case "loki":
      return new LokiOutput(config, env, log);
    case "stackdriver":
      return new StackdriverOutput(config, env);
    case "console":
      return new ConsoleOutput(config, process.stdout, process.stdout.isTTY);
    case "file":
      return new FileOutput(config);
  }
}
