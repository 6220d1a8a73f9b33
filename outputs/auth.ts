/** The Authorization header, made anew for each request, because secrets rotate. */

export interface SecretValue {
  value(): string;
}

export interface AuthOptions {
  readonly username?: string | undefined;
  readonly password?: SecretValue | undefined;
  readonly apiKey?: SecretValue | undefined;
  readonly bearerToken?: SecretValue | undefined;
}

/** @returns undefined when no credentials are configured. */
export function authorization({ username, password, apiKey, bearerToken }: AuthOptions): string | undefined {
  if (bearerToken !== undefined) return `Bearer ${bearerToken.value()}`;
  if (apiKey !== undefined) {
    // Elasticsearch gives `id` and `api_key`, and the two encoded; the encoded form holds no colon.
    const key = apiKey.value();
    return `ApiKey ${key.includes(":") ? Buffer.from(key).toString("base64") : key}`;
  }
  if (username === undefined) return undefined;
  return `Basic ${Buffer.from(`${username}:${password?.value() ?? ""}`).toString("base64")}`;
}
