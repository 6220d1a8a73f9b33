/** The Dockerfile: a linter's rules, and what a build would need that is to be had without one. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { validate } from "dockerfile-utils";
import picomatch from "picomatch";
import { REPOSITORY } from "./kubernetes.ts";

const dockerfile = readFileSync(join(REPOSITORY, "Dockerfile"), "utf8");
const instructions = dockerfile
  .replace(/\\\n/g, " ")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line): [string, string[]] => {
    const [instruction = "", ...words] = line.split(/\s+/);
    return [instruction, words];
  });

const lint = (text: string): string[] =>
  validate(text).map(({ range, message }) => `${range.start.line + 1}: ${message}`);

test("the linter finds nothing in the Dockerfile", () => {
  assert.deepEqual(lint(dockerfile), []);
});

const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
  ["COPY agent agent", "COPPY agent agent", /Unknown instruction/],
  ["COPY agent agent", "COPY agent", /at least two arguments/],
  ["COPY --from=build", "COPY --form=build", /Unknown flag/],
  ["EXPOSE 9780", "EXPOSE port", /Invalid containerPort/],
  ['CMD ["run"]', "CMD ['run']", /single quotes/],
  ["WORKDIR /src", "WORKDIR src", /should be absolute/],
  ["FROM --platform=$TARGET", "MAINTAINER me\nFROM --platform=$TARGET", /deprecated/],
];

for (const [good, bad, expected] of MISTAKES)
  test(`the linter finds a mistake: ${bad.replaceAll("\n", "; ")}`, () => {
    assert.ok(dockerfile.includes(good), `the Dockerfile no longer holds ${good}`);
    assert.match(lint(dockerfile.replace(good, () => bad)).join("\n"), expected);
  });

test("every image is tagged, and no tag is one that moves to another major version of Node", () => {
  const images = instructions
    .filter(([instruction]) => instruction === "FROM")
    .map(([, words]) => words.find((word) => !word.startsWith("--")) ?? "");
  assert.equal(images.length, 2);
  for (const image of images) {
    assert.match(image, /:[\w.-]+$/);
    assert.match(image, /nodejs24-|node:24-/);
    assert.doesNotMatch(image, /:latest$/);
  }
});

test("the one file is made on the builder's own platform, so that an image for another one needs no emulation", () => {
  const stages = instructions.filter(([instruction]) => instruction === "FROM").map(([, words]) => words.join(" "));
  assert.match(stages[0] ?? "", /^--platform=\$BUILDPLATFORM /);
  assert.match(stages[1] ?? "", /^--platform=\$TARGETPLATFORM /);
  const native = instructions.filter(([instruction]) => instruction === "RUN").map(([, words]) => words.join(" "));
  assert.deepEqual(native, ["npm ci --ignore-scripts", "node build.ts"]);
});

test("the image's user is a number that is not root's, which Kubernetes can check", () => {
  assert.deepEqual(
    instructions.filter(([instruction]) => instruction === "USER").map(([, words]) => words),
    [["65532:65532"]],
  );
});

test("the image runs the bundle directly, without a shell in between that would swallow SIGTERM", () => {
  const commands = instructions.filter(([instruction]) => ["ENTRYPOINT", "CMD"].includes(instruction));
  const [entrypoint, command] = commands.map(([, words]) => JSON.parse(words.join(" ")) as string[]);
  assert.deepEqual(entrypoint?.slice(-1), ["/app/tailrace.mjs"]);
  assert.deepEqual(command, ["run"]);
});

test("what the Dockerfile copies exists, and .dockerignore lets it through and little else", () => {
  const sources = instructions
    .filter(([instruction, words]) => instruction === "COPY" && !words.some((word) => word.startsWith("--from")))
    .flatMap(([, words]) => words.slice(0, -1));
  const rules = readFileSync(join(REPOSITORY, ".dockerignore"), "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  const included = (path: string): boolean =>
    rules.reduce(
      (sent, rule) => (picomatch(rule.replace("!", ""), { dot: true })(path) ? rule.startsWith("!") : sent),
      true,
    );
  for (const source of sources) {
    assert.ok(existsSync(join(REPOSITORY, source)), `${source} exists`);
    assert.ok(included(source), `${source} is sent to the build`);
  }
  for (const path of [".git", "node_modules", "dist", "test"]) assert.ok(!included(path), `${path} is not sent`);
  assert.deepEqual(
    rules.filter((rule) => rule.startsWith("!")).map((rule) => rule.slice(1)),
    [...sources],
  );
});
