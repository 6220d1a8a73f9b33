/**
 * Of undici only its pools: the whole package, with fetch, WebSocket and caches, takes 10 MB of memory and 80 ms of CPU more
 * when it is loaded. client-node is given no more either (build.ts).
 */
import type { Pool as PoolClass, ProxyAgent as ProxyAgentClass } from "undici";
import api from "undici/lib/api/index.js";
import Dispatcher from "undici/lib/dispatcher/dispatcher.js";
import PoolOnly from "undici/lib/dispatcher/pool.js";
import ProxyAgentOnly from "undici/lib/dispatcher/proxy-agent.js";

// As undici's own index.js does it: `request` and its like are methods of every dispatcher.
Object.assign(Dispatcher.prototype, api);

export const Pool = PoolOnly as typeof PoolClass;
export const ProxyAgent = ProxyAgentOnly as typeof ProxyAgentClass;
