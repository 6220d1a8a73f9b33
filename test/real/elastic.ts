/**
 * Elasticsearch or OpenSearch, the real distribution, one node on loopback. With `security` it has TLS, users and roles;
 * OpenSearch's distribution has none, so a gate of ours stands in front of that (gate.ts).
 */
import { pbkdf2Sync, randomBytes } from "node:crypto";
import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Agent, request } from "undici";
import { freePort, until } from "../support/program.ts";
import { tlsFile } from "../support/tls.ts";
import type { Fetched } from "./fetch.ts";
import { give, readable, remove, ServerProcess, serverFolder } from "./process.ts";

/** Half the CPU time of the usual compiler and collector for a server that lives a minute. */
const JAVA_OPTIONS = "-Xms512m -Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

export interface User {
  readonly password: string;
  readonly role: string;
}

export interface ElasticOptions {
  /** Users by name, and roles as roles.yml has them. `admin` is always there. Elasticsearch alone. */
  readonly security?: { readonly users: Readonly<Record<string, User>>; readonly roles: string };
  /** More lines of the configuration. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
}

export interface Reply {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes, looked into by tests alone
  readonly body: any;
}

const ADMIN = { name: "admin", password: "admin-password" };

export class ElasticServer {
  readonly port: number;
  readonly #folder: string;
  readonly #path: string;
  readonly #javaHome: string;
  readonly #isElasticsearch: boolean;
  readonly #options: ElasticOptions;
  readonly #agent = new Agent({ connect: { rejectUnauthorized: false } });
  #process: ServerProcess | undefined;

  private constructor({ path, javaHome }: Fetched, port: number, transport: number, options: ElasticOptions) {
    this.port = port;
    this.#isElasticsearch = path.includes("elasticsearch");
    this.#folder = serverFolder("elastic");
    this.#path = readable(path, this.#folder);
    this.#javaHome = readable(javaHome, this.#folder);
    this.#options = options;
    this.#configure(transport);
  }

  static async start(fetched: Fetched, options: ElasticOptions = {}): Promise<ElasticServer> {
    const server = new ElasticServer(fetched, await freePort(), await freePort(), options);
    await server.run();
    return server;
  }

  get url(): string {
    return `${this.#options.security === undefined ? "http" : "https"}://127.0.0.1:${this.port}`;
  }

  /** Starts it on the data that it had. */
  async run(): Promise<void> {
    const name = this.#isElasticsearch ? "elasticsearch" : "opensearch";
    const variable = this.#isElasticsearch ? "ES" : "OPENSEARCH";
    const pidFile = join(this.#folder, "work", "pid");
    this.#process = new ServerProcess(
      {
        program: join(this.#path, "bin", name),
        args: ["-p", pidFile],
        folder: join(this.#folder, "work"),
        env: {
          [`${variable}_JAVA_HOME`]: this.#javaHome,
          [`${variable}_PATH_CONF`]: join(this.#folder, "config"),
          [`${variable}_TMPDIR`]: join(this.#folder, "tmp"),
          [`${variable}_JAVA_OPTS`]: JAVA_OPTIONS,
        },
      },
      () => (existsSync(pidFile) ? Number(readFileSync(pidFile, "utf8")) || undefined : undefined),
    );
    await this.#process.ready(async () => {
      const { status, body } = await this.api("GET", "/_cluster/health");
      // Red for some seconds after a start.
      return status === 200 && (body as { status?: string }).status !== "red";
    }, name);
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#process?.killed();
  }

  async close(): Promise<void> {
    await this.#process?.stopped();
    await this.#agent.close();
    remove(this.#folder);
  }

  /** Any request, where there are users by the administrator. */
  async api(
    method: "GET" | "PUT" | "POST" | "DELETE" | "HEAD",
    path: string,
    body?: unknown,
    { name, password } = ADMIN,
  ): Promise<Reply> {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const response = await request(`${this.url}${path}`, {
      method,
      headers: {
        ...(text === undefined ? {} : { "content-type": "application/json" }),
        ...(this.#options.security === undefined
          ? {}
          : { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` }),
      },
      body: text ?? null,
      dispatcher: this.#agent,
    });
    const answer = await response.body.text();
    return { status: response.statusCode, body: answer.startsWith("{") ? JSON.parse(answer) : answer };
  }

  /** Every document of an index or data stream, in the order of its shards. */
  async documents<T>(index: string): Promise<T[]> {
    await this.api("POST", `/${index}/_refresh`);
    const found: T[] = [];
    let { body } = await this.api("POST", `/${index}/_search?scroll=5m`, { size: 5000, sort: ["_doc"] });
    for (;;) {
      const hits = (body as { hits?: { hits: { _source: T }[] } }).hits?.hits;
      if (hits === undefined) throw new Error(`no answer to a search: ${JSON.stringify(body).slice(0, 500)}`);
      if (hits.length === 0) return found;
      for (const { _source } of hits) found.push(_source);
      ({ body } = await this.api("POST", "/_search/scroll", { scroll: "5m", scroll_id: body._scroll_id }));
    }
  }

  /** Changes users, and waits until the server goes by it. */
  async setUsers(users: Readonly<Record<string, User>>): Promise<void> {
    this.#writeUsers(users);
    for (const [name, { password, role }] of Object.entries(users))
      await until(async () => {
        const { status, body } = await this.api("GET", "/_security/_authenticate", undefined, { name, password });
        return status === 200 && (body as { roles: string[] }).roles.includes(role);
      }, `${name} has the role ${role}`);
  }

  #writeUsers(users: Readonly<Record<string, User>>): void {
    const all: [string, User][] = [
      [ADMIN.name, { password: ADMIN.password, role: "superuser" }],
      ...Object.entries(users),
    ];
    const config = join(this.#folder, "config");
    writeFileSync(join(config, "users"), all.map(([name, { password }]) => `${name}:${hash(password)}\n`).join(""));
    writeFileSync(join(config, "users_roles"), all.map(([name, { role }]) => `${role}:${name}\n`).join(""));
  }

  #configure(transport: number): void {
    const { security, settings } = this.#options;
    for (const name of ["data", "logs", "tmp", "work"]) mkdirSync(join(this.#folder, name));
    const config = join(this.#folder, "config");
    cpSync(join(this.#path, "config"), config, { recursive: true });
    const lines: Record<string, string | number | boolean> = {
      "cluster.name": "tailrace-test",
      "node.name": "one",
      "path.data": join(this.#folder, "data"),
      "path.logs": join(this.#folder, "logs"),
      "network.host": "127.0.0.1",
      "http.port": this.port,
      "transport.port": transport,
      "discovery.type": "single-node",
      // Else a full disk makes indices read-only.
      "cluster.routing.allocation.disk.threshold_enabled": false,
      // It would take away the read-only block that a test has set, each time that it looks at the disks.
      "cluster.info.update.interval": "1d",
      ...settings,
    };
    if (this.#isElasticsearch) lines["xpack.security.enabled"] = security !== undefined;
    if (security !== undefined) {
      for (const name of ["server.pem", "server.key", "ca.pem"] as const) cpSync(tlsFile(name), join(config, name));
      lines["xpack.security.http.ssl.enabled"] = true;
      lines["xpack.security.http.ssl.certificate"] = "server.pem";
      lines["xpack.security.http.ssl.key"] = "server.key";
      lines["xpack.security.http.ssl.certificate_authorities"] = "ca.pem";
      writeFileSync(join(config, "roles.yml"), security.roles);
      this.#writeUsers(security.users);
      lines["resource.reload.interval.high"] = "1s";
    }
    const name = this.#isElasticsearch ? "elasticsearch.yml" : "opensearch.yml";
    appendFileSync(
      join(config, name),
      Object.entries(lines)
        .map(([key, value]) => `${key}: ${value}\n`)
        .join(""),
    );
    // Its paths are relative to where it is installed, where it may not write; its collector is not ours.
    const jvm = join(config, "jvm.options");
    const options = readFileSync(jvm, "utf8");
    writeFileSync(
      jvm,
      options
        .replace(/^.*(?:gc\.log|UseG1GC|G1|PrintGC|PrintTenuring|GCLogFile|Heap ?DumpPath|ErrorFile).*$/gm, "")
        .replace("-javaagent:agent/", `-javaagent:${join(this.#path, "agent")}/`),
    );
    give(this.#folder);
  }
}

/** As Elasticsearch's file realm has it: {PBKDF2}ROUNDS$SALT$HASH. */
function hash(password: string): string {
  const salt = randomBytes(32);
  const rounds = 1000;
  const key = pbkdf2Sync(password, salt, rounds, 32, "sha512");
  return `{PBKDF2}${rounds}$${salt.toString("base64")}$${key.toString("base64")}`;
}
