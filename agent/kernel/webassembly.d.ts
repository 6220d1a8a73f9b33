/** As much of WebAssembly's interface as the kernels need: it is part of Node, but its types are part of those of browsers. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Memory {
    constructor(pages: { initial: number; maximum: number });
    readonly buffer: ArrayBuffer;
  }
  class Instance {
    constructor(module: Module, imports: { env: { memory: Memory } });
    readonly exports: unknown;
  }
  class Global {
    readonly value: number;
  }
  function validate(bytes: Uint8Array): boolean;
}
