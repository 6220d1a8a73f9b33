/**
 * The status page in a real Chromium, served by the shipped program: `npm run test:browser`. Debian's package brings one
 * (`apt-get install chromium`); where there is none it is skipped with that word, but not in CI. With
 * TAILRACE_SCREENSHOTS=FOLDER it leaves pictures there.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { type Browser, chromium, type Page } from "playwright-core";
import { startElasticsearch } from "../support/elasticsearch.ts";
import { listen } from "../support/http.ts";
import { LogNode } from "../support/node.ts";
import { buildBundle, freePort, Program, temporaryFolder, until, writeConfig } from "../support/program.ts";
import { Watched } from "../support/status.ts";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const isMissing = !existsSync(executablePath);
const skip = isMissing && process.env.CI !== "true" && `there is no ${executablePath}: apt-get install chromium`;
const SCREENSHOTS = process.env.TAILRACE_SCREENSHOTS;
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 360, height: 740 };
const ATTACK = "<img src=x onerror=document.title='attacked'>";

buildBundle();

let browser: Browser;
before(async () => {
  if (skip !== false) return;
  browser = await chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});
after(() => browser?.close());

async function start(context: TestContext, viewport: { width: number; height: number }) {
  const root = temporaryFolder(context);
  const node = new LogNode(root);
  const elasticsearch = await startElasticsearch();
  context.after(() => elasticsearch.close());
  const away = await freePort();
  const quick = "batch: { maxWait: 20ms }, retry: { initialDelay: 1s, maxDelay: 2s }";
  const config = writeConfig(
    root,
    `  - { name: main, type: elasticsearch, endpoints: ["${elasticsearch.url}"], ${quick} }
  - { name: archive, type: elasticsearch, endpoints: ["http://127.0.0.1:${away}"], ${quick} }`,
  );
  const web = node.container("web-5d8f7c6b9-x2x4q");
  web.write("hello", ATTACK);
  node.container("postgres-0", { namespace: "prod", container: "postgres" }).write("checkpoint complete");
  node.container("a-pod-with-a-name-that-is-as-long-as-people-make-them-6f7d9c5b44-kqz8p").write("x");
  const program = new Program(["run", "-c", config]);
  context.after(() => void program.child.kill("SIGKILL"));
  const agent = await Watched.of(program);
  await until(() => elasticsearch.documents().length >= 4, "records arrive");
  const page = await browser.newPage({ viewport });
  context.after(() => page.close());
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  await page.goto(agent.ui);
  await page.getByRole("cell", { name: "main (elasticsearch)" }).waitFor();
  return { config, web, program, agent, page, complaints };
}

async function shoot(page: Page, name: string): Promise<void> {
  if (SCREENSHOTS !== undefined) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

/** The cells of the row whose first cell is this. */
async function cells(page: Page, body: string, first: string): Promise<string[]> {
  const row = page.locator(`#${body} tr`).filter({ has: page.locator("td:first-child", { hasText: first }) });
  return row.first().locator("td").allTextContents();
}

test("outputs and containers are shown with state, error, retry and bytes, and only by what the agent serves", {
  skip,
}, async (context) => {
  const { page, complaints } = await start(context, WIDE);
  await until(async () => (await cells(page, "outputs", "archive"))[1] === "retrying", "the dead backend is seen");
  assert.match((await cells(page, "outputs", "archive"))[5] ?? "", /ECONNREFUSED/);
  await until(async () => /^in \d+ s$/.test((await cells(page, "outputs", "archive"))[4] ?? ""), "the next retry");
  const [, state, pending, lag] = await cells(page, "outputs", "main");
  assert.deepEqual([state, pending, lag], ["ok", "0 B", "0 B"]);
  const rows = page.locator("#containers tr");
  assert.equal(await rows.count(), 6);
  await page.getByLabel("Find").fill("POSTGRES main");
  await page.getByLabel("Find").fill("postgres");
  assert.equal(await rows.count(), 2);
  await page.getByLabel("only with lag").check();
  assert.equal(await rows.count(), 1);
  assert.match((await rows.first().locator("td").allTextContents()).join(), /^prod\/postgres-0 postgres,archive,/);
  await page.getByLabel("only with lag").uncheck();
  await page.getByLabel("Find").fill("");
  await shoot(page, "wide");
  assert.deepEqual(complaints, []);
});

test("records are watched by the keyboard alone, filtered, as text whatever is in them", { skip }, async (context) => {
  const { page, web, complaints } = await start(context, WIDE);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate("document.activeElement.textContent"), "Skip to the live records");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.type("shop");
  await page.keyboard.press("Tab");
  await page.keyboard.type("web-*");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.type("main");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const records = page.locator("#records");
  await page.getByText("Watching namespace shop, pod web-*, output main.").waitFor();
  await until(async () => {
    web.write(ATTACK, '{"level":"info","message":"order 4711 paid"}');
    return (await records.textContent())?.includes("order 4711 paid");
  }, "records are shown");
  assert.ok((await records.textContent())?.includes(ATTACK));
  assert.doesNotMatch(await page.title(), /attacked/);
  assert.equal(await page.locator("#records img").count(), 0);
  await shoot(page, "wide-tap");
  await page.keyboard.press("Enter");
  await page.getByText("Stopped.").waitFor();
  assert.deepEqual(complaints, []);
});

test("a narrow screen shows all of it without scrolling sideways", { skip }, async (context) => {
  const { page, web, complaints } = await start(context, NARROW);
  await page.getByRole("button", { name: "Watch" }).click();
  await until(async () => {
    web.write("x".repeat(400));
    return (await page.locator("#records").textContent())?.includes("xxx");
  }, "records are shown");
  await shoot(page, "narrow");
  const width = await page.evaluate<number>("document.documentElement.scrollWidth");
  assert.ok(width <= NARROW.width, `${width} pixels wide`);
  assert.deepEqual(complaints, []);
});

test("a refused configuration is shown, and so is that the agent is gone", { skip }, async (context) => {
  const { page, config, program } = await start(context, WIDE);
  writeFileSync(config, readFileSync(config, "utf8").replace("maxWait: 20ms", "maxWiat: 20ms"));
  await page.locator("#problems", { hasText: /maxWiat.*did you mean "maxWait"/ }).waitFor();
  await shoot(page, "wide-problems");
  await program.end("SIGKILL");
  await page.locator("#connection", { hasText: "The agent does not answer" }).waitFor();
});

test("a page of another origin gets nothing through the browser", { skip }, async (context) => {
  const { page, agent } = await start(context, WIDE);
  const server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<p>elsewhere"));
  context.after(() => void server.close());
  await page.goto(`http://localhost:${await listen(server)}/`);
  const tried = await page.evaluate(async (ui) => {
    const read = (mode: "cors" | "no-cors"): Promise<string> =>
      fetch(`${ui}/api/v1/status`, { mode }).then(
        (response) => response.text(),
        (error) => String(error),
      );
    return [await read("cors"), await read("no-cors")];
  }, agent.ui);
  assert.match(tried[0] ?? "", /TypeError/);
  assert.doesNotMatch(tried.join(), /outputs/);
});
