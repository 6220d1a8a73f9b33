/** The agent's work as one would write it at first, without sending anything: lines, a regular expression, objects, gzip. */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { gzipSync } from "node:zlib";

const LINE = /^(\S+) (stdout|stderr) ([FP]) (.*)$/s;
const BODY_CHARACTERS = 4 * 1024 * 1024;

for (const file of process.argv.slice(2)) {
  let body = "";
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const [, time, stream, , message] = LINE.exec(line) ?? [];
    const kubernetes = {
      namespace: "shop",
      pod: { name: "bench", uid: "00000000-0000-4000-8000-000000000000", ip: "10.1.2.3" },
      container: { name: "app" },
      node: { name: "node-1" },
      labels: { app_kubernetes_io_name: "bench", app_kubernetes_io_part_of: "shop", team: "payments" },
    };
    const document = { "@timestamp": time, message, stream, log: { file: { path: file } }, kubernetes };
    body += `{"create":{}}\n${JSON.stringify(document)}\n`;
    if (body.length < BODY_CHARACTERS) continue;
    process.stdout.write(gzipSync(body, { level: 1 }));
    body = "";
  }
  process.stdout.write(gzipSync(body, { level: 1 }));
}
