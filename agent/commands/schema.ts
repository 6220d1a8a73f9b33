/** `tailrace schema`: the configuration's JSON Schema. */
import { jsonSchema } from "../config/schema.ts";
import { print } from "./command.ts";

export async function schema(): Promise<number> {
  return print(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`);
}
