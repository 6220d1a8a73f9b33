/**
 * Presets: what stack traces look like, language by language. How the tables are read is in trace.ts; real traces that
 * they are held to are in test/traces.
 *
 * Java, Node, Ruby, .NET and PHP print a trace below any line; so there every line waits for the next one, and what is
 * indented, or begins like a part of a trace, joins the line before it. Python and Go begin a trace with words of
 * their own, and no other line waits.
 */
import {
  anything,
  begins,
  blank,
  carets,
  flush,
  goCall,
  goRegister,
  goroutine,
  goServing,
  indented,
  nodePosition,
  numbered,
  rubyFrame,
  rubyRaise,
  solid,
} from "./lines.ts";
import { type Rule, Trace } from "./trace.ts";

const JAVA: readonly Rule[] = [
  ["start", solid, "trace"],
  // "\tat a.B.c(B.java:1)", "\t... 9 more", "\tSuppressed: …", and further lines of the exception's message.
  ["trace", indented(), "trace"],
  ["trace", begins("Caused by: ", "Wrapped by: ", "Suppressed: "), "trace"],
];

const TRACEBACK = begins("Traceback (most recent call last):");
const GROUP = indented("+ Exception Group Traceback (most recent call last):");
const PYTHON: readonly Rule[] = [
  ["start chain", TRACEBACK, "header"],
  ["start chain", GROUP, "group"],
  ["start", begins("Exception in thread ", "Exception ignored in"), "before"],
  ["before", TRACEBACK, "header"],
  // A SyntaxError has no header.
  ["start", indented('File "'), "frames"],
  ["header frames", indented(), "frames"],
  ["frames", flush, "error"],
  ["group", indented(), "group"],
  ["error group", blank, "between", "maybe"],
  ["between", begins("The above exception was the direct cause of the following exception:"), "chain"],
  ["between", begins("During handling of the above exception, another exception occurred:"), "chain"],
  ["chain", blank, "chain"],
];

const PANIC = begins("panic: ", "fatal error: ", "runtime: ", "SIG", "unexpected fault address ");
const GO: readonly Rule[] = [
  ["start panic", PANIC, "panic"],
  ["start panic", goroutine, "frames"],
  ["start", goServing, "panic"],
  ["panic", indented(), "panic"],
  ["panic", begins("[signal ", "PC=", "[originating from "), "panic"],
  ["panic frames", blank, "between", "maybe"],
  ["between", goroutine, "frames"],
  ["between", PANIC, "panic"],
  ["panic between", begins("runtime stack:"), "frames"],
  ["between", goRegister, "registers"],
  ["frames", indented(), "frames"],
  ["frames", goCall, "frames"],
  ["frames", begins("created by ", "...", "[originating from "), "frames"],
  ["frames registers", goRegister, "registers"],
  ["frames between registers", begins("exit status "), "frames"],
];

const NODE: readonly Rule[] = [
  // An uncaught error: where it was thrown, the source line, carets, a blank line, and then the error itself.
  ["start", nodePosition, "position"],
  ["position", anything, "source"],
  ["source", carets, "thrown"],
  ["thrown", blank, "thrown"],
  ["thrown", solid, "trace"],
  ["start", solid, "head"],
  // "    at f (/srv/app.js:1:2)", and what is in an object.
  ["head trace", indented(), "trace"],
  ["trace", begins("}", "]", ")"), "trace"],
  ["trace", blank, "between", "maybe"],
  ["trace", begins("(Use `node "), "trace"],
  ["between", begins("Node.js v", "Thrown at:"), "trace"],
];

const RUBY: readonly Rule[] = [
  // "app.rb:9:in `load': cannot load x4 (OrderError)", perhaps with the words of a thread before it.
  ["start thread", rubyRaise, "raised"],
  ["start", begins("#<Thread:"), "thread"],
  // "\tfrom app.rb:5:in `<main>'", and then the cause, told like the error itself.
  ["raised from", indented(), "from"],
  ["from", rubyRaise, "raised"],
  // error_highlight: a blank line, the source line, and carets.
  ["raised", blank, "snippet", "maybe"],
  ["snippet", solid, "source"],
  ["source", carets, "from"],
  ["from", begins("Did you mean?"), "from"],
  // Loggers print an error on their own line, and frames without an indent below; Rails with a blank one between.
  ["start", solid, "head"],
  ["head frames", rubyFrame, "frames"],
  ["head frames", indented(), "frames"],
  ["head", blank, "between", "maybe"],
  ["between", rubyFrame, "frames"],
];

const INNER = "---> (Inner Exception #";
const DOTNET: readonly Rule[] = [
  // Mono's header stands on a line of its own.
  ["start", begins("Unhandled Exception:"), "header"],
  ["header", flush, "trace"],
  ["start", solid, "trace"],
  // "   at A.B() in /src/A.cs:line 1", " ---> ", "   --- End of inner …", and messages of the console logger.
  ["trace header", indented(), "trace"],
  ["trace", begins("--- End of ", INNER), "trace"],
  ["trace", blank, "between", "maybe"],
  ["between", begins(INNER), "trace"],
];

const PHP: readonly Rule[] = [
  ["start", solid, "trace"],
  ["trace", begins("Stack trace:", "[stacktrace]", "[previous exception]"), "trace"],
  // "#0 /srv/app.php(3): f()", "  thrown in /srv/app.php on line 3"
  ["trace", numbered, "trace"],
  ["trace", indented(), "trace"],
  ["trace", blank, "between", "maybe"],
  ["between", begins("Next "), "trace"],
];

export const PRESETS = { java: JAVA, python: PYTHON, go: GO, node: NODE, ruby: RUBY, dotnet: DOTNET, php: PHP };

export type Preset = keyof typeof PRESETS;

export function presetTrace(preset: Preset): Trace {
  return new Trace(PRESETS[preset]);
}
