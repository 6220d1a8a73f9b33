/** `tailrace tap`: the records that pass through a running agent, until Ctrl-C. */
import split2 from "split2";
import { TAP_FILTERS } from "../admin/tap.ts";
import { FatalError } from "../errors.ts";
import { printable } from "../terminal.ts";
import { agentUrl, ask } from "./ask.ts";
import { type Options, signalled } from "./command.ts";

/** What is shown of a record in ECS. */
interface Shown {
  readonly "@timestamp"?: string;
  readonly message?: string;
  readonly stream?: string;
  readonly kubernetes?: {
    readonly namespace?: string;
    readonly pod?: { readonly name?: string };
    readonly container?: { readonly name?: string };
  };
}

type Line = { readonly output: string; readonly record: Shown } | { readonly missed: number };

export async function tap(options: Options): Promise<number> {
  const url = agentUrl(options);
  if (typeof url === "number") return url;
  const query = new URLSearchParams();
  for (const name of TAP_FILTERS) if (options[name] !== undefined) query.set(name, options[name]);
  const stop = new AbortController();
  void signalled().then(() => stop.abort());
  process.stdout.once("error", () => stop.abort());
  const { body } = await ask(url, `/api/v1/tap?${query}`, stop.signal);
  const lines = split2();
  const reading = copy(body ?? new ReadableStream(), lines);
  for await (const line of lines as AsyncIterable<string>) {
    if (line === "") continue;
    const text = options.json === true ? `${line}\n` : pretty(JSON.parse(line) as Line);
    // A full pipe makes us slow, and then the agent leaves records out and says how many.
    if (!process.stdout.write(text) && !stop.signal.aborted)
      await new Promise<void>((resolve) => {
        process.stdout.once("drain", resolve);
        stop.signal.addEventListener("abort", () => resolve(), { once: true });
      });
  }
  await reading;
  if (stop.signal.aborted) return 0;
  throw new FatalError(`the agent at ${url.origin} has ended`);
}

/** Ends the lines when the agent is gone or we were told to stop. */
async function copy(body: ReadableStream<Uint8Array>, lines: ReturnType<typeof split2>): Promise<void> {
  try {
    for await (const chunk of body)
      if (!lines.write(chunk)) await new Promise((resolve) => lines.once("drain", resolve));
  } catch {
    // A connection that breaks and one that ends mean the same here.
  }
  lines.end();
}

function pretty(line: Line): string {
  if ("missed" in line) return `… ${line.missed} records passed too fast to be shown\n`;
  const { "@timestamp": time = "", message = "", stream, kubernetes } = line.record;
  const mark = stream === "stderr" ? "!" : " ";
  const name = `${kubernetes?.namespace}/${kubernetes?.pod?.name} ${kubernetes?.container?.name}`;
  return `${time.slice(11, 23)}${mark} ${line.output} ${printable(name)} ${printable(message)}\n`;
}
