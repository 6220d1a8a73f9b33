/** Plans from a configuration's text, as the agent makes them. */
import { Plan } from "../../agent/process/plan.ts";
import { type Context, loadGood } from "./config.ts";

/** @param processors YAML of the common processors' list. @param output more keys of the output, in braces' syntax. */
export function planOf(context: Context, processors: string, output = ""): Plan {
  const { config } = loadGood(
    context,
    `processors: ${processors}\noutputs: [{ name: out, type: console${output === "" ? "" : `, ${output}`} }]\n`,
  );
  const { processors: common, outputs, source } = config;
  const [{ match, processors: own } = { match: {}, processors: [] }] = outputs;
  return new Plan({ output: "out", common, match, own, maxRecordBytes: source.maxRecordBytes });
}
