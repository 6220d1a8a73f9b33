/**
 * The status page: asks for the status every two seconds, and streams records while they are watched. What comes from
 * logs and pods is only ever set as text. It keeps nothing and asks nobody but the agent.
 */
const ASK_MS = 2000;
const MAX_ROWS = 500;
const MAX_RECORDS = 1000;

const byId = (id) => document.getElementById(id);

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function sayBytes(bytes) {
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return `${unit === "B" || value >= 100 ? Math.round(value) : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

function saySeconds(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 120) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Brings a table's body to these rows of cells, keeping the elements that are there, so that selections survive. */
function fill(body, rows) {
  const labels = [...body.parentElement.querySelectorAll("thead th")].map((th) => th.textContent);
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, i) => {
    const row = body.rows[i] ?? body.insertRow();
    cells.forEach(({ text, style = "" }, at) => {
      const cell = row.cells[at] ?? row.insertCell();
      setText(cell, text);
      if (cell.className !== style) cell.className = style;
      cell.dataset.label = labels[at];
    });
  });
}

const number = (bytes, alarming = false) => ({
  text: sayBytes(bytes),
  style: alarming && bytes > 0 ? "number bad" : "number",
});

let latest;

function showStatus(status) {
  latest = status;
  const { version, node, uptimeSeconds, config, outputs } = status;
  setText(byId("node"), node);
  document.title = `${outputs.every(({ state }) => state === "ok") ? "" : "! "}tailrace ${node}`;
  setText(
    byId("about"),
    `Version ${version}, up ${saySeconds(uptimeSeconds)}. Configuration ${config.hash} of ${new Date(config.loadedAt).toLocaleString()}.`,
  );
  const problems = [];
  if (config.error !== null)
    problems.push("The last change of the configuration was refused; the one before runs on:", config.error);
  if (config.restart.length > 0)
    problems.push(`Changed, but in effect only after a restart: ${config.restart.join(", ")}`);
  for (const { name, suspects } of outputs)
    if (suspects.length > 0)
      problems.push(
        `Output ${name} worked before the configuration changed:`,
        ...suspects.map(({ path, before, after }) => `  ${path}: ${before || "(none)"} → ${after || "(none)"}`),
      );
  setText(byId("problems"), problems.join("\n"));
  byId("problems").hidden = problems.length === 0;
  showOutputs(status);
  showContainers();
  const select = byId("tap-form").elements.namedItem("output");
  const names = ["", ...outputs.map(({ name }) => name)];
  if ([...select.options].map(({ value }) => value).join() !== names.join()) {
    const chosen = select.value;
    select.replaceChildren(...names.map((name) => new Option(name || "all", name)));
    select.value = names.includes(chosen) ? chosen : "";
  }
}

function showOutputs({ outputs, containers }) {
  fill(
    byId("outputs"),
    outputs.map(({ name, type, state, pendingBytes, nextRetryAt, lastError }) => {
      const lag = containers.reduce((sum, { outputs: of }) => sum + (of[name]?.lagBytes ?? 0), 0);
      return [
        { text: `${name} (${type})` },
        { text: state, style: state === "ok" ? "ok" : "bad" },
        number(pendingBytes),
        number(lag),
        { text: nextRetryAt === null ? "" : `in ${saySeconds((Date.parse(nextRetryAt) - Date.now()) / 1000)}` },
        { text: state === "ok" && lastError !== "" ? `before: ${lastError}` : lastError, style: "error" },
      ];
    }),
  );
}

function showContainers() {
  if (latest === undefined) return;
  const find = byId("find").value.trim().toLowerCase();
  const onlyBehind = byId("behind").checked;
  const rows = [];
  for (const { namespace, pod, container, outputs } of latest.containers)
    for (const [output, bytes] of Object.entries(outputs)) {
      const name = `${namespace}/${pod} ${container}`;
      if (find !== "" && !`${name} ${output}`.toLowerCase().includes(find)) continue;
      if (onlyBehind && bytes.lagBytes + bytes.droppedBytes + bytes.lostBytes === 0) continue;
      rows.push({ name, output, bytes });
    }
  rows.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  fill(
    byId("containers"),
    rows
      .slice(0, MAX_ROWS)
      .map(({ name, output, bytes }) => [
        { text: name },
        { text: output },
        number(bytes.readBytes),
        number(bytes.shippedBytes),
        number(bytes.pendingBytes),
        number(bytes.droppedBytes, true),
        number(bytes.lostBytes, true),
        number(bytes.lagBytes),
      ]),
  );
  setText(byId("count"), `${latest.containers.length}`);
  const more = byId("more");
  more.hidden = rows.length > 0 && rows.length <= MAX_ROWS;
  setText(more, rows.length === 0 ? "None." : `${rows.length - MAX_ROWS} more rows: narrow the search.`);
}

async function ask() {
  const connection = byId("connection");
  try {
    const response = await fetch("api/v1/status");
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    showStatus(await response.json());
    connection.hidden = true;
  } catch (error) {
    setText(connection, `The agent does not answer, so this is what was last known (${error.message}).`);
    connection.hidden = false;
  }
  setTimeout(ask, ASK_MS);
}

let watching;

/** Adds lines at the end, and follows them unless the reader has scrolled up. */
function addRecords(items) {
  const list = byId("records");
  const follows = list.scrollTop + list.clientHeight >= list.scrollHeight - 40;
  list.append(...items);
  while (list.children.length > MAX_RECORDS) list.firstElementChild.remove();
  if (follows) list.scrollTop = list.scrollHeight;
}

function recordItem(line) {
  const item = document.createElement("div");
  const { missed, output, record } = JSON.parse(line);
  const about = document.createElement("span");
  about.className = "about";
  if (missed !== undefined) {
    about.textContent = `… ${missed} records passed too fast to be shown`;
    item.append(about);
    return item;
  }
  const { "@timestamp": time = "", message = "", stream, kubernetes = {} } = record;
  about.textContent = `${time.slice(11, 23)} ${output} ${kubernetes.namespace}/${kubernetes.pod?.name} ${kubernetes.container?.name} `;
  const text = document.createElement("span");
  if (stream === "stderr") text.className = "stderr";
  text.textContent = message;
  item.append(about, text);
  return item;
}

async function watch(form) {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value !== "") query.set(name, value);
  const controller = new AbortController();
  watching = controller;
  setText(byId("tap-button"), "Stop");
  const state = byId("tap-state");
  try {
    const response = await fetch(`api/v1/tap?${query}`, { signal: controller.signal });
    if (!response.ok) throw new Error(await response.text());
    setText(state, `Watching ${[...query].map(([name, value]) => `${name} ${value}`).join(", ") || "everything"}.`);
    let rest = "";
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      const records = lines.filter((line) => line !== "").slice(-MAX_RECORDS);
      addRecords(records.map(recordItem));
    }
    setText(state, "The agent has ended.");
  } catch (error) {
    setText(state, controller.signal.aborted ? "Stopped." : `Not watching: ${error.message}`);
  }
  watching = undefined;
  setText(byId("tap-button"), "Watch");
}

byId("find").addEventListener("input", showContainers);
byId("behind").addEventListener("change", showContainers);
byId("tap-clear").addEventListener("click", () => byId("records").replaceChildren());
byId("tap-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (watching === undefined) void watch(event.target);
  else watching.abort();
});
void ask();
