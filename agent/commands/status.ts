/** `tailrace status`: how the outputs and containers of a running agent are, as tables or as JSON. */
import picomatch from "picomatch";
import type { ContainerStatus, OutputStatus, Status } from "../admin/status.ts";
import { changeText } from "../config/difference.ts";
import { errorText, FatalError } from "../errors.ts";
import { columns, printable, sayBytes, saySeconds } from "../terminal.ts";
import { agentUrl, ask } from "./ask.ts";
import { type Options, print } from "./command.ts";

export async function status(options: Options): Promise<number> {
  const url = agentUrl(options);
  if (typeof url === "number") return url;
  const response = await ask(url, "/api/v1/status");
  let all: Status;
  try {
    all = (await response.json()) as Status;
  } catch (error) {
    throw new FatalError(`${url.origin} does not answer like an agent of this version (${errorText(error)})`);
  }
  const isWanted = options.pod === undefined ? () => true : picomatch(options.pod);
  const containers = all.containers.filter(({ pod }) => isWanted(pod));
  if (options.pod !== undefined && containers.length === 0)
    throw new FatalError(`the agent on ${all.node} follows no container of a pod ${options.pod}`);
  const shown = { ...all, containers };
  return print(options.json === true ? `${JSON.stringify(shown, undefined, 2)}\n` : statusText(shown, Date.now()));
}

function statusText({ node, version, uptimeSeconds, config, outputs, containers }: Status, now: number): string {
  let text = `tailrace ${version} on ${node}, up ${saySeconds(uptimeSeconds)}; configuration ${config.hash} of ${config.loadedAt}\n`;
  if (config.error !== null) text += `The last change of the configuration was refused:\n${indented(config.error)}`;
  if (config.restart.length > 0) text += `Changed, but only after a restart in effect: ${config.restart.join(", ")}\n`;
  text += `\n${columns([
    ["OUTPUT", "TYPE", "STATE", "PENDING", "LAG", "NEXT RETRY", "LAST ERROR"],
    ...outputs.map((output) => outputRow(output, containers, now)),
  ])}`;
  for (const { name, suspects } of outputs)
    if (suspects.length > 0)
      text += `\n${name} worked before the configuration changed:\n${indented(suspects.map(changeText).join("\n"))}`;
  return `${text}\n${columns([
    ["NAMESPACE/POD", "CONTAINER", "OUTPUT", "READ", "SHIPPED", "PENDING", "DROPPED", "LOST", "LAG"],
    ...containers.flatMap(containerRows),
  ])}`;
}

function outputRow(output: OutputStatus, containers: readonly ContainerStatus[], now: number): string[] {
  const { name, type, state, pendingBytes, nextRetryAt, lastError } = output;
  const lag = containers.reduce((sum, { outputs }) => sum + (outputs[name]?.lagBytes ?? 0), 0);
  const next = nextRetryAt === null ? "" : `in ${saySeconds((Date.parse(nextRetryAt) - now) / 1000)}`;
  return [name, type, state, sayBytes(pendingBytes), sayBytes(lag), next, printable(lastError)];
}

function containerRows({ namespace, pod, container, outputs }: ContainerStatus): string[][] {
  return Object.entries(outputs).map(([name, bytes]) => [
    `${namespace}/${pod}`,
    container,
    name,
    ...[
      bytes.readBytes,
      bytes.shippedBytes,
      bytes.pendingBytes,
      bytes.droppedBytes,
      bytes.lostBytes,
      bytes.lagBytes,
    ].map(sayBytes),
  ]);
}

function indented(lines: string): string {
  return lines
    .split("\n")
    .map((line) => `  ${printable(line)}\n`)
    .join("");
}
