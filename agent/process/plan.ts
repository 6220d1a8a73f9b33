/**
 * Plan: what one output's records go through, from the configuration and the pod's own settings: the pod's settings, the
 * common processors, the output's match, the output's processors.
 *
 * A pod's `multiline` takes the place of the configured ones, its `parse` that of `json` and `parse`; both come first.
 */
import type { MatchConfig, ProcessorConfig } from "../config/processors.ts";
import type { Routing } from "../consumer.ts";
import type { Origin } from "../pods/origin.ts";
import type { PodSettings } from "../pods/settings.ts";
import { Edit } from "./edit.ts";
import { Filter, Sample } from "./filter.ts";
import type { Format } from "./format.ts";
import { JsonFormat } from "./json.ts";
import { KlogFormat } from "./klog.ts";
import { LogfmtFormat } from "./logfmt.ts";
import { compileMatch } from "./match.ts";
import { Multiline } from "./multiline.ts";
import { type Pattern, parsePattern } from "./pattern.ts";
import { presetTrace } from "./presets.ts";
import type { Match, Processor, Step } from "./processor.ts";
import { Redact } from "./redact.ts";
import { RegexFormat } from "./regex.ts";
import { FINDERS } from "./secrets.ts";
import { SeverityFinder, type SeverityName, severityOfValue } from "./severity.ts";
import { Structured, type StructuredOptions } from "./structured.ts";
import { Throttle } from "./throttle.ts";
import { Starts } from "./trace.ts";
import { ApacheFormat, NginxFormat } from "./web.ts";

export interface PlanOptions {
  /** Of the output. */
  readonly output: string;
  readonly common: readonly ProcessorConfig[];
  readonly match: MatchConfig;
  readonly own: readonly ProcessorConfig[];
  /** Of a joined message. */
  readonly maxRecordBytes: number;
}

/** By these names a drop is counted that no processor of the configuration did. */
const EXCLUDE = "exclude";
const OUTPUTS = "outputs";
const MATCH = "match";

const SETTING_TIMEOUT_MS = 1000;
const SETTING_MAX_LINES = 1000;
const PARSE_OPTIONS: StructuredOptions = {
  into: "root",
  timeKey: "",
  messageKey: "message",
  severityKey: "",
  keepMessage: false,
};

/** A step, and what of it decides for whole containers. */
interface Compiled extends Step {
  readonly kind: string;
  /** Whether every row of the origin is dropped. */
  readonly refuses?: (origin: Origin) => boolean;
}

export class Plan implements Routing {
  readonly #options: PlanOptions;
  readonly #steps: readonly Compiled[];

  /** @throws PatternError and the like for what the schema refuses. */
  constructor(options: PlanOptions) {
    const { common, match, own, maxRecordBytes } = options;
    const compile = (config: ProcessorConfig): Compiled => compileStep(config, maxRecordBytes);
    const route = compileMatch(match);
    this.#options = options;
    this.#steps = [
      ...common.map(compile),
      ...(route === undefined ? [] : [filter(MATCH, route, false)]),
      ...own.map(compile),
    ];
  }

  refusal(origin: Origin): string | undefined {
    const { settings } = origin;
    if (settings?.exclude === "all") return EXCLUDE;
    if (settings?.outputs?.includes(this.#options.output) === false) return OUTPUTS;
    for (const { name, refuses } of this.#steps) if (refuses?.(origin) === true) return name;
    return undefined;
  }

  steps(settings: PodSettings | undefined): readonly Step[] {
    if (settings === undefined) return this.#steps;
    const { multiline, parse } = settings;
    return [
      ...settingSteps(settings, this.#options),
      ...this.#steps.filter(
        ({ kind }) =>
          !(kind === "multiline" && multiline !== undefined) &&
          !((kind === "json" || kind === "parse") && parse !== undefined),
      ),
    ];
  }
}

function settingSteps(settings: PodSettings, { output, maxRecordBytes }: PlanOptions): Step[] {
  const { exclude, outputs, multiline, sample, parse } = settings;
  const steps: Step[] = [];
  if (outputs?.includes(output) === false) steps.push(filter(OUTPUTS, undefined, true));
  if (exclude === "all") steps.push(filter(EXCLUDE, undefined, true));
  else if (exclude !== undefined) steps.push(filter(EXCLUDE, compileMatch({ stream: [exclude] }), true));
  if (multiline !== undefined) {
    const trace = presetTrace(multiline);
    const options = { timeout: SETTING_TIMEOUT_MS, maxLines: SETTING_MAX_LINES, maxBytes: maxRecordBytes };
    steps.push({ name: "multiline", create: () => new Multiline(trace, options, undefined) });
  }
  if (sample !== undefined) steps.push(shared(new Sample(sample, undefined)));
  if (parse !== undefined && parse !== "none") {
    const name = parse === "json" ? "json" : "parse";
    steps.push({
      name,
      create: () => new Structured(name, formatOf(parse, undefined), PARSE_OPTIONS, severityOfValue, undefined),
    });
  }
  return steps;
}

/** A processor that keeps no rows serves all containers. */
function shared(processor: Processor): Step {
  return { name: processor.name, create: () => processor };
}

function filter(name: string, match: Match | undefined, drops: boolean): Compiled {
  return {
    ...shared(new Filter(name, match, drops)),
    kind: name,
    refuses: (origin) => (match === undefined ? true : match.ofOrigin(origin)) === drops,
  };
}

function compileStep(config: ProcessorConfig, maxRecordBytes: number): Compiled {
  const [kind, options] = Object.entries(config).find(([, value]) => value !== undefined) ?? [];
  if (kind === undefined || options === undefined) throw new Error("a processor without a name");
  const match = compileMatch(options.match);
  if (config.drop !== undefined) return filter("drop", match, true);
  if (config.keep !== undefined) return filter("keep", match, false);
  const step = stepOf(config, match, maxRecordBytes);
  return { name: step.name, kind, create: () => step.create() };
}

function stepOf(config: ProcessorConfig, match: Match | undefined, maxRecordBytes: number): Step {
  const { multiline, json, parse, severity, sample, throttle, redact, fields } = config;
  if (multiline !== undefined) {
    const { preset, start = "", timeout, maxLines } = multiline;
    const joiner = preset === undefined ? new Starts(parsePattern(start)) : presetTrace(preset);
    return {
      name: "multiline",
      create: () => new Multiline(joiner, { timeout, maxLines, maxBytes: maxRecordBytes }, match),
    };
  }
  if (json !== undefined) return structured("json", () => formatOf("json", undefined), json, match);
  if (parse !== undefined) {
    // One for all containers, since it grows with what it has seen.
    const pattern = parse.pattern === undefined ? undefined : parsePattern(parse.pattern);
    return structured("parse", () => formatOf(parse.format, pattern), parse, match);
  }
  if (severity !== undefined)
    return shared(new SeverityFinder(severity.default as SeverityName, severity.stderr as SeverityName, match));
  if (sample !== undefined) return shared(new Sample(sample.rate, match));
  if (redact !== undefined)
    return shared(
      new Redact(
        {
          finders: redact.builtin.map((name) => FINDERS[name]),
          patterns: redact.patterns.map(parsePattern),
          replacement: redact.with,
        },
        match,
      ),
    );
  if (throttle !== undefined) {
    const { per, bytesPerSecond, recordsPerSecond = 0 } = throttle;
    const rate = bytesPerSecond ?? recordsPerSecond;
    const unit = bytesPerSecond === undefined ? "records" : "bytes";
    return new Throttle({ per, unit, rate, burst: throttle.burst ?? rate }, match);
  }
  if (fields !== undefined) return shared(new Edit(fields, match));
  throw new Error("a processor without options");
}

/** One for each container, since formats keep scratch memory of a batch; it is small. */
function structured(name: string, format: () => Format, options: StructuredOptions, match: Match | undefined): Step {
  return { name, create: () => new Structured(name, format(), options, severityOfValue, match) };
}

function formatOf(
  format: "json" | "logfmt" | "klog" | "apache" | "nginx" | "regex",
  pattern: Pattern | undefined,
): Format {
  switch (format) {
    case "json":
      return new JsonFormat();
    case "regex":
      if (pattern === undefined) throw new Error("a format of a pattern without one");
      return new RegexFormat(pattern);
    case "logfmt":
      return new LogfmtFormat();
    case "klog":
      return new KlogFormat();
    case "nginx":
      return new NginxFormat();
    case "apache":
      return new ApacheFormat();
  }
}
