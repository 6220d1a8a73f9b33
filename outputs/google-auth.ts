/**
 * Google's credentials: access tokens from the metadata server, or for a service account's key file from the token
 * endpoint that the file names. A token is renewed in the background well before it ends, and a key file is read again
 * when it changes. Nothing here throws: a server that does not answer is a reason to try again, never an end.
 *
 * Facts: developers.google.com/identity/protocols/oauth2/service-account (HTTP/REST), cloud.google.com/compute/docs/metadata.
 */
import { createPrivateKey, type KeyObject, sign } from "node:crypto";
import type { Clock } from "../agent/clock.ts";
import { Secret } from "../agent/config/secret.ts";
import type { MetadataServer } from "./google-metadata.ts";
import { type HttpFailure, type HttpOptions, type HttpReply, HttpTarget } from "./http.ts";

export interface GoogleAuthOptions {
  /** A service account's key, as JSON; "": the file that GOOGLE_APPLICATION_CREDENTIALS names, else the metadata server. */
  readonly credentialsFile: string;
  readonly tls: HttpOptions["tls"];
}

export type Token = { readonly token: string } | { readonly error: string };

interface Key {
  readonly email: string;
  readonly id: string;
  readonly tokenUri: string;
  readonly key: KeyObject;
  readonly projectId: string;
}

interface Held {
  readonly token: string;
  /** Of the monotonic clock. */
  readonly until: number;
}

const SCOPE = "https://www.googleapis.com/auth/logging.write";
const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_URI = "https://oauth2.googleapis.com/token";
const METADATA_PATH = `/computeMetadata/v1/instance/service-accounts/default/token?scopes=${encodeURIComponent(SCOPE)}`;
const JWT_SECONDS = 3600;
/** The metadata server gives the same token until its last five minutes; asking earlier would give nothing new. */
const RENEW_MS = 290_000;
/** Between two attempts to renew a token that is still good. */
const PAUSE_MS = 10_000;
const TIMEOUT_MS = 30_000;

export class GoogleAuth {
  readonly #metadata: MetadataServer;
  readonly #file: Secret | undefined;
  readonly #tls: HttpOptions["tls"];
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #clock: Clock;
  readonly #closed = new AbortController();
  #target: { readonly uri: string; readonly http: HttpTarget } | undefined;
  #read: { readonly text: string; readonly key: Key | string } | undefined;
  #held: Held | undefined;
  #asking: Promise<Token> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  /** @param env for proxies and GOOGLE_APPLICATION_CREDENTIALS. */
  constructor(
    { credentialsFile, tls }: GoogleAuthOptions,
    metadata: MetadataServer,
    env: Readonly<Record<string, string | undefined>>,
    clock: Clock,
  ) {
    const file = credentialsFile || env.GOOGLE_APPLICATION_CREDENTIALS || "";
    this.#file = file === "" ? undefined : Secret.ofFile(file, clock);
    this.#metadata = metadata;
    this.#tls = tls;
    this.#env = env;
    this.#clock = clock;
  }

  /** The project that the key belongs to; "" without a key file. */
  get projectId(): string {
    const key = this.#key();
    return typeof key === "object" ? key.projectId : "";
  }

  /** A token that is good now, waiting for one only where none is. */
  async token(signal: AbortSignal): Promise<Token> {
    this.#key();
    const now = this.#clock.monotonic();
    const held = this.#held;
    if (held === undefined || held.until <= now) return unlessAborted(this.#ask(), signal);
    if (held.until - now <= RENEW_MS && now - this.#askedAt >= PAUSE_MS) void this.#ask();
    return { token: held.token };
  }

  /** The API refused this token: the next one is a new one. */
  refused(token: string): void {
    if (this.#held?.token === token) this.#held = undefined;
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#target?.http.close();
  }

  /** One question at a time, whoever asks. */
  #ask(): Promise<Token> {
    this.#asking ??= this.#fetch().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #fetch(): Promise<Token> {
    this.#askedAt = this.#clock.monotonic();
    const key = this.#key();
    if (typeof key === "string") return { error: key };
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(TIMEOUT_MS)]);
    const reply =
      key === undefined ? await this.#metadata.get(METADATA_PATH, signal) : await this.#exchange(key, signal);
    const token = tokenOf(reply);
    if ("error" in token) return token;
    // Made with a key that was exchanged meanwhile, it is good for this request, but not kept.
    if (key === this.#key()) this.#held = { token: token.token, until: this.#askedAt + token.seconds * 1000 };
    return { token: token.token };
  }

  async #exchange(key: Key, signal: AbortSignal): Promise<HttpReply | HttpFailure> {
    if (this.#target?.uri !== key.tokenUri) {
      void this.#target?.http.close();
      // A private authority may stand before both servers; the rest of `tls` is about the API's own.
      const tls = { ...this.#tls, certFile: "", keyFile: "", serverName: "" };
      const request = { timeout: TIMEOUT_MS, concurrency: 1, headers: {} };
      const http = new HttpTarget({ endpoints: [key.tokenUri], request, tls, auth: {} }, this.#env, this.#clock);
      this.#target = { uri: key.tokenUri, http };
    }
    const body = new URLSearchParams({ grant_type: GRANT, assertion: assertion(key, this.#clock.wall()) });
    const headers = { "content-type": "application/x-www-form-urlencoded", accept: "application/json" };
    return this.#target.http.request({ method: "POST", path: "", headers, body: Buffer.from(String(body)) }, signal);
  }

  /** The key as the file holds it now, or what is wrong with it; undefined without a file. A new key has no token yet. */
  #key(): Key | string | undefined {
    if (this.#file === undefined) return undefined;
    const text = this.#file.value();
    if (this.#read?.text !== text) {
      this.#read = { text, key: text === "" ? `can't read ${this.#file.file}` : parseKey(text) };
      this.#held = undefined;
    }
    return this.#read.key;
  }
}

/** @returns a sentence when the text is no key; it never holds any of the text. */
function parseKey(text: string): Key | string {
  let json: Record<string, unknown>;
  try {
    json = (JSON.parse(text) ?? {}) as Record<string, unknown>;
  } catch {
    return "the credentials file is not JSON; it must be the key of a service account";
  }
  const member = (name: string): string => (typeof json[name] === "string" ? json[name] : "");
  if (member("type") !== "service_account")
    return "the credentials file is of another type; it must be the key of a service account";
  const tokenUri = member("token_uri") || TOKEN_URI;
  if (member("client_email") === "" || !/^https?:\/\//.test(tokenUri) || !URL.canParse(tokenUri))
    return "the credentials file has no client_email, or no URL as token_uri";
  try {
    const key = createPrivateKey(member("private_key"));
    if (key.asymmetricKeyType !== "rsa") return "the private_key of the credentials file is no RSA key";
    const [email, id, projectId] = [member("client_email"), member("private_key_id"), member("project_id")];
    return { email, id, tokenUri, key, projectId };
  } catch {
    return "the private_key of the credentials file can't be read";
  }
}

function assertion({ id, email, tokenUri, key }: Key, wallMs: number): string {
  const issued = Math.floor(wallMs / 1000);
  const claims = { iss: email, scope: SCOPE, aud: tokenUri, iat: issued, exp: issued + JWT_SECONDS };
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const unsigned = `${encode({ alg: "RS256", typ: "JWT", ...(id === "" ? {} : { kid: id }) })}.${encode(claims)}`;
  return `${unsigned}.${sign("RSA-SHA256", Buffer.from(unsigned), key).toString("base64url")}`;
}

function tokenOf(reply: HttpReply | HttpFailure): { token: string; seconds: number } | { error: string } {
  if ("error" in reply) return { error: `${reply.endpoint} gave no token (${reply.error})` };
  let json: Record<string, unknown> = {};
  try {
    json = (JSON.parse(reply.body) ?? {}) as Record<string, unknown>;
  } catch {
    // What is no JSON has no token.
  }
  const { access_token: token, expires_in: seconds, error, error_description: description } = json;
  if (reply.status === 200 && typeof token === "string" && /^[\x21-\x7e]+$/.test(token) && typeof seconds === "number")
    return { token, seconds };
  const said = [error, description].filter((text) => typeof text === "string").join(": ");
  return { error: `${reply.endpoint} answered ${reply.status} and gave no token${said === "" ? "" : ` (${said})`}` };
}

async function unlessAborted(token: Promise<Token>, signal: AbortSignal): Promise<Token> {
  let abort = (): void => {};
  const aborted = new Promise<Token>((resolve) => {
    abort = () => resolve({ error: "no token in time" });
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
  });
  try {
    return await Promise.race([token, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
