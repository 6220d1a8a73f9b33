/** A process that saves growing checkpoints until it is killed, and says before and after each save which one it is. */
import { writeSync } from "node:fs";
import { Checkpoints } from "../../agent/tail/checkpoints.ts";
import { keepLog } from "./quiet-log.ts";

const checkpoints = await Checkpoints.open(process.argv[2] ?? "", keepLog().log);
checkpoints.add("es");
const time = [0, 0, 0] as const;
for (let offset = checkpoints.get("es", "a/b")?.offset ?? 0; ; offset++) {
  writeSync(1, `begun ${offset}\n`);
  checkpoints.set("es", "a/b", {
    restart: 0,
    fingerprint: "f",
    offset,
    time,
    marker: "",
    size: 0,
    done: [],
    path: "p",
  });
  await checkpoints.save();
  writeSync(1, `saved ${offset}\n`);
}
