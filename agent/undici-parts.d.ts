/** undici's own files bring no types; undici.ts gives them those of the whole. */
declare module "undici/lib/api/index.js" {
  const api: object;
  export default api;
}
declare module "undici/lib/dispatcher/dispatcher.js" {
  const Dispatcher: { prototype: object };
  export default Dispatcher;
}
declare module "undici/lib/dispatcher/pool.js" {
  const Pool: unknown;
  export default Pool;
}
declare module "undici/lib/dispatcher/proxy-agent.js" {
  const ProxyAgent: unknown;
  export default ProxyAgent;
}
