/** Fakes of what gives out Google's credentials: the metadata server, and the endpoint that trades signed claims for tokens. */
import { generateKeyPairSync, verify } from "node:crypto";
import { writeFileSync } from "node:fs";
import { type Answer, type Asked, Backend } from "./backend.ts";

const METADATA = "/computeMetadata/v1/";
const SCOPE = "https://www.googleapis.com/auth/logging.write";
const JSON_TYPE = { "content-type": "application/json" };

export class MetadataFake extends Backend {
  /** By path behind /computeMetadata/v1/; what is not there is 404. */
  readonly values: Record<string, string> = {
    "project/project-id": "my-project",
    "instance/attributes/cluster-location": "europe-west1",
    "instance/attributes/cluster-name": "prod",
  };
  /** Given out as token-N. */
  tokens = 0;
  expiresInSeconds = 3599;
  flavor = "Google";

  constructor() {
    super({});
  }

  /** Host and port, as GCE_METADATA_HOST has them. */
  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  protected answer({ method, url, headers }: Asked): Answer {
    const { pathname, searchParams } = new URL(url, "http://fake");
    const flavor = { "metadata-flavor": this.flavor, server: "Metadata Server for VM" };
    if (method !== "GET" || headers["metadata-flavor"] !== "Google" || headers["x-forwarded-for"] !== undefined)
      return { status: 403, text: "<html>403: Forbidden</html>", headers: flavor };
    const path = pathname.slice(METADATA.length);
    if (path === "instance/service-accounts/default/token" && searchParams.get("scopes") === SCOPE) {
      const token = { access_token: `token-${++this.tokens}`, expires_in: this.expiresInSeconds, token_type: "Bearer" };
      return { status: 200, text: JSON.stringify(token), headers: { ...flavor, ...JSON_TYPE } };
    }
    const value = pathname.startsWith(METADATA) ? this.values[path] : undefined;
    if (value === undefined) return { status: 404, text: "<html>404: Not Found</html>", headers: flavor };
    return { status: 200, text: value, headers: { ...flavor, "content-type": "application/text" } };
  }
}

/** A service account's key, as the console gives it. */
export interface KeyFile {
  readonly type: string;
  readonly project_id: string;
  readonly private_key_id: string;
  readonly private_key: string;
  readonly client_email: string;
  readonly token_uri: string;
}

export class TokenFake extends Backend {
  /** Given out as token-N. */
  tokens = 0;
  expiresInSeconds = 3599;
  /** Of the keys that it knows. */
  readonly #publicKeys = new Map<string, string>();
  /** Milliseconds since 1970. */
  now = (): number => Date.now();

  constructor() {
    super({});
  }

  /** A new key, known from now on. */
  makeKey(id: string): KeyFile {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
      publicKeyEncoding: { type: "spki", format: "pem" },
    });
    this.#publicKeys.set(id, publicKey);
    return {
      type: "service_account",
      project_id: "my-project",
      private_key_id: id,
      private_key: privateKey,
      client_email: `tailrace-${id}@my-project.iam.gserviceaccount.com`,
      token_uri: `${this.url}/token`,
    };
  }

  /** From now on claims signed with this key are refused, as after its deletion. */
  forget(id: string): void {
    this.#publicKeys.delete(id);
  }

  protected answer({ method, url, headers, body }: Asked): Answer {
    const no = (description: string, error = "invalid_grant"): Answer => ({
      status: 400,
      text: JSON.stringify({ error, error_description: description }),
      headers: JSON_TYPE,
    });
    if (method !== "POST" || url !== "/token") return { status: 404, text: "", headers: {} };
    if (headers["content-type"] !== "application/x-www-form-urlencoded") return no("content type", "invalid_request");
    const form = new URLSearchParams(body.toString());
    if (form.get("grant_type") !== "urn:ietf:params:oauth:grant-type:jwt-bearer")
      return no("Invalid grant_type", "unsupported_grant_type");
    const [head = "", claims = "", signature = ""] = (form.get("assertion") ?? "").split(".");
    const decode = (text: string): Record<string, unknown> => JSON.parse(Buffer.from(text, "base64url").toString());
    const { alg, typ, kid } = decode(head);
    const key = this.#publicKeys.get(String(kid));
    if (alg !== "RS256" || typ !== "JWT") return no("Invalid JWT: header");
    const signed = Buffer.from(`${head}.${claims}`);
    if (key === undefined || !verify("RSA-SHA256", signed, key, Buffer.from(signature, "base64url")))
      return no("Invalid JWT Signature.");
    const { iss, aud, scope, iat, exp } = decode(claims) as Record<string, number>;
    const seconds = this.now() / 1000;
    if (String(iss) !== `tailrace-${String(kid)}@my-project.iam.gserviceaccount.com`) return no("Invalid JWT: iss");
    if (String(aud) !== `${this.url}/token`) return no("Invalid JWT: aud");
    if (String(scope) !== SCOPE) return no("Invalid scope", "invalid_scope");
    if (!Number.isInteger(iat) || Math.abs((iat as number) - seconds) > 300 || exp !== (iat as number) + 3600)
      return no("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.");
    const token = { access_token: `token-${++this.tokens}`, expires_in: this.expiresInSeconds, token_type: "Bearer" };
    return { status: 200, text: JSON.stringify(token), headers: JSON_TYPE };
  }
}

export function writeKey(file: string, key: KeyFile): void {
  writeFileSync(file, JSON.stringify(key, null, 2));
}
