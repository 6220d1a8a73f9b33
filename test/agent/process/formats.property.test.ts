import { test } from "node:test";
import fc from "fast-check";
import { checkFormats, checkStructured } from "../../support/twins.ts";

const KLOG = "I1123 23:52:42.890297       1 main.go:270] ";
const ACCESS = '127.0.0.1 - bob [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 23 "http://e/" "curl"';
const NGINX = '2026/11/23 23:52:47 [error] 11#12: *1 open() failed, client: 10.0.0.9, request: "GET /", host: "x"';
const APACHE = "[Fri Sep 09 10:42:29.902022 2026] [core:error] [pid 35:tid 43] [client 10.0.0.9:4711] AH0: x";
const piece = fc.oneof(
  fc.constantFrom(
    "a=1",
    ' msg="x y"',
    ' b="\\n\\x41\\u00e9\\q"',
    " bare",
    " c=",
    "=",
    '"',
    "\\",
    " ",
    "\t",
    "\n",
    "é",
    "\ud83d",
    "\0",
  ),
  fc.constantFrom(
    KLOG,
    '"text"',
    " value=<\n\tfirst\n\tsecond\n >",
    "=<\n",
    "\n >",
    "\\377",
    "\\U0001F600",
    "\\ud83d",
    "x>",
  ),
  fc.constantFrom(
    ACCESS,
    NGINX,
    APACHE,
    "- ",
    "[",
    "]",
    ' "GET / HTTP/1.1"',
    " 200",
    " 007",
    " -",
    ", client: ",
    ", host: ",
  ),
  fc.constantFrom('{"a":', '"b"', "}", ",", '{"message":"x","log":{},"time":1}'),
);
const text = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(""));
const damaged = fc
  .tuple(fc.oneof(text, fc.constantFrom(KLOG, ACCESS, NGINX, APACHE)), fc.nat(), fc.nat(2), piece)
  .map(([line, at, cut, other]) => {
    const place = at % (line.length + 1);
    return line.slice(0, place) + other + line.slice(place + cut);
  });

test("logfmt, klog and access lines have the members that the slow twins say, for any text", () => {
  fc.assert(
    fc.property(fc.oneof(text, damaged, fc.string()), (line) => checkFormats(line)),
    { numRuns: 5000 },
  );
});

test("whatever a message is, its fields are JSON of unique names, and none that a record has of its own", () => {
  fc.assert(
    fc.property(fc.oneof(text, damaged, fc.string()), (line) => checkStructured(line)),
    { numRuns: 2000 },
  );
});
