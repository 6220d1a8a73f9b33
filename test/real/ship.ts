/**
 * The main case of each real server: a node's logs are shipped while agent and server are killed and pods go on writing,
 * and then read back and compared message by message.
 */
import assert from "node:assert/strict";
import { assertArrived, type EcsDocument, type Printed } from "../support/arrived.ts";
import { temporaryFolder } from "../support/program.ts";
import { ShippingAgent } from "./agent.ts";
import { NodeLogs } from "./logs.ts";

const MESSAGES = 200_000;

export interface Shipment {
  /** For the report: name and version. */
  readonly server: string;
  /** YAML of the one output. */
  readonly output: string;
  /** Ends the server in the middle and starts it again. */
  restart(): Promise<void>;
  /** Whether that is by kill -9. */
  readonly hard: boolean;
  /** Everything that the server has, through its own query API. */
  read(): Promise<readonly EcsDocument[]>;
  /** Whether it recognises what is sent twice. */
  readonly recognisesRepeats: boolean;
  /** What a document's `log.file.path` is for this container; by default the path of its link. */
  readonly place?: (printed: Printed) => string;
  readonly messages?: number;
}

/** Ships, compares, and prints one line. */
export async function ship(context: { after(done: () => unknown): void }, shipment: Shipment): Promise<void> {
  const { server, output, recognisesRepeats, hard, messages = MESSAGES } = shipment;
  const node = new NodeLogs(temporaryFolder(context));
  node.writeUpTo(messages / 2);
  const agent = new ShippingAgent(temporaryFolder(context), node, output);
  context.after(() => agent.close());
  await agent.start();
  await agent.delivered(messages / 10);
  await agent.end("SIGKILL");
  await agent.start();
  // However far the first one came, there is work left for this one.
  node.writeUpTo((messages * 3) / 4);
  await agent.delivered(messages / 10);
  const writing = setInterval(() => {
    node.writeUpTo(Math.min(messages, node.count + messages / 40));
    if (node.count >= messages) clearInterval(writing);
  }, 200);
  try {
    await shipment.restart();
  } finally {
    clearInterval(writing);
  }
  node.writeUpTo(messages);
  await agent.idle();
  const refused = await agent.metric("tailrace_output_dropped_records_total");
  assert.deepEqual(await agent.end("SIGTERM"), { code: 0, signal: null });

  const documents = await shipment.read();
  const byContainer = new Map<string, Map<string, EcsDocument>>();
  let distinct = 0;
  for (const document of documents) {
    const { "@timestamp": time, stream, log } = document;
    const mine = byContainer.get(log.file.path) ?? new Map<string, EcsDocument>();
    byContainer.set(log.file.path, mine);
    const key = `${time} ${stream} ${log.offset}`;
    if (!mine.has(key)) distinct++;
    mine.set(key, document);
  }
  const printed = merge(node.printed, shipment.place ?? (({ link }) => link));
  const arrived = (link: string): EcsDocument[] => [...(byContainer.get(link)?.values() ?? [])];
  let expected = 0;
  let missing = 0;
  for (const {
    link,
    messages: { stdout, stderr },
    lossy,
  } of printed) {
    const there = arrived(link).length;
    const wanted = lossy ? there : stdout.length + stderr.length;
    expected += wanted;
    missing += Math.max(0, wanted - there);
  }
  const repeats = documents.length - distinct;
  console.log(
    `${server}: ${expected} records shipped with kill -9 of the agent and ${hard ? "of the server" : "a restart of the server"}, ${documents.length} read back, ${repeats} duplicates, ${missing} lost, ${refused} refused`,
  );
  assert.equal(missing, 0);
  assert.equal(refused, 0);
  if (recognisesRepeats) assert.equal(repeats, 0);
  for (const container of printed) assertArrived(container, arrived(container.link));
}

/** Runs of one container that a backend does not tell apart are one, in the order of their runs. */
function merge(containers: readonly Printed[], place: (printed: Printed) => string): Printed[] {
  const merged = new Map<string, Printed>();
  for (const container of containers) {
    const link = place(container);
    const before = merged.get(link)?.messages ?? { stdout: [], stderr: [] };
    const { stdout, stderr } = container.messages;
    const messages = { stdout: [...before.stdout, ...stdout], stderr: [...before.stderr, ...stderr] };
    merged.set(link, { ...container, link, messages });
  }
  return [...merged.values()];
}
