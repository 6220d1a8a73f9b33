console.error("listening on 8080");
console.error({ a: 1, nested: { b: [1, 2, { c: 3 }] }, s: "x".repeat(60) });
const f = () => {
  throw new TypeError("inner cause");
};
try {
  try {
    f();
  } catch (cause) {
    throw new Error("something failed", { cause });
  }
} catch (e) {
  console.error(e);
}
console.error("between");
console.error(
  "request failed:",
  Object.assign(new RangeError("out of range"), { code: "E_RANGE", detail: { page: 7 } }),
);
console.error(new AggregateError([new Error("one"), new Error("two")], "several"));
console.error("between");
console.trace("a trace on stderr");
console.error("before the end");
Promise.reject(new Error("unhandled rejection at the end"));
