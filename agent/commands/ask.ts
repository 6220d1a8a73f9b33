/** Asking a running agent: where it is, and what to say when it does not answer. */
import { errorText, FatalError, UsageError } from "../errors.ts";
import { load, type Options, report } from "./command.ts";

/**
 * The address that --admin gives, else the one in the configuration.
 * @returns exit status 2 when the configuration is wrong; its problems are printed then.
 * @throws UsageError
 */
export function agentUrl({ admin, config }: Options): URL | number {
  if (admin !== undefined) {
    const url = URL.parse(admin.includes("://") ? admin : `http://${admin}`);
    if (url === null || url.protocol !== "http:")
      throw new UsageError(`--admin ${admin} is no URL such as http://127.0.0.1:9781`);
    return url;
  }
  const loaded = load(config, false);
  if ("problems" in loaded) return report(loaded);
  const { uiListen } = loaded.config.admin;
  if (uiListen.endsWith(":0")) throw new UsageError("admin.uiListen lets the agent take any port: give it by --admin");
  // What listens on all addresses answers on the local one.
  return new URL(`http://${uiListen.replace(/^(0\.0\.0\.0|\[::\]):/, "127.0.0.1:")}`);
}

/** @throws FatalError when there is no answer, or not the one that was asked for. */
export async function ask(base: URL, path: string, signal?: AbortSignal): Promise<Response> {
  const url = new URL(path, base);
  let response: Response;
  try {
    response = await fetch(url, signal === undefined ? {} : { signal });
  } catch (error) {
    throw new FatalError(
      `no agent answers at ${base.origin} (${errorText(error)}): it must run on this machine, or kubectl port-forward lead to it; its address is admin.uiListen of the configuration, or --admin`,
    );
  }
  if (!response.ok) {
    const text = (await response.text()).trim().slice(0, 200);
    throw new FatalError(`${base.origin} answers ${response.status}: ${text}`);
  }
  return response;
}
