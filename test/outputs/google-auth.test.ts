/** Credentials from the metadata server and from key files: when they are fetched, kept, renewed and dropped. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Clock } from "../../agent/clock.ts";
import { GoogleAuth, type Token } from "../../outputs/google-auth.ts";
import { MetadataServer } from "../../outputs/google-metadata.ts";
import { MetadataFake, TokenFake, writeKey } from "../support/google.ts";
import { httpOptions } from "../support/http.ts";
import { temporaryFolder, until } from "../support/program.ts";

const NEVER = new AbortController().signal;
/** Enough for a file to be looked at again. */
const LOOK_MS = 1001;

/** Stands still until told. */
class HandClock implements Clock {
  ms = 1e6;
  monotonic(): number {
    return this.ms;
  }
  wall(): number {
    return Date.now();
  }
}

interface Setting {
  readonly auth: GoogleAuth;
  readonly clock: HandClock;
  token(): Promise<string>;
}

function setting(context: TestContext, env: Record<string, string>, credentialsFile = ""): Setting {
  const clock = new HandClock();
  const metadata = new MetadataServer(env, clock);
  const auth = new GoogleAuth({ credentialsFile, tls: httpOptions([]).tls }, metadata, env, clock);
  context.after(() => Promise.all([auth.close(), metadata.close()]));
  const text = (token: Token): string => ("error" in token ? `error: ${token.error}` : token.token);
  return { auth, clock, token: async () => text(await auth.token(NEVER)) };
}

async function withMetadata(context: TestContext): Promise<Setting & { readonly fake: MetadataFake }> {
  const fake = await new MetadataFake().start();
  context.after(() => fake.close());
  return { fake, ...setting(context, { GCE_METADATA_HOST: fake.host }) };
}

async function withKey(context: TestContext): Promise<Setting & { readonly fake: TokenFake; readonly file: string }> {
  const fake = await new TokenFake().start();
  context.after(() => fake.close());
  const file = join(temporaryFolder(context), "key.json");
  writeKey(file, fake.makeKey("one"));
  return { fake, file, ...setting(context, {}, file) };
}

test("the metadata server's token is asked for once, by however many, and kept", async (context) => {
  const { fake, token, clock } = await withMetadata(context);
  assert.deepEqual(await Promise.all([token(), token(), token()]), ["token-1", "token-1", "token-1"]);
  clock.ms += 3000 * 1000;
  assert.equal(await token(), "token-1");
  assert.equal(fake.requests.length, 1);
  assert.match(
    fake.requests[0]?.url ?? "",
    /^\/computeMetadata\/v1\/instance\/service-accounts\/default\/token\?scopes=/,
  );
});

test("a token is renewed ahead of its end without anyone waiting, and not again at once", async (context) => {
  const { fake, token, clock } = await withMetadata(context);
  await token();
  clock.ms += (3599 - 291) * 1000;
  assert.equal(await token(), "token-1");
  assert.equal(fake.tokens, 1);
  clock.ms += 2000;
  const gate = Promise.withResolvers<void>();
  fake.script.push({ kind: "delay", until: gate.promise });
  assert.equal(await token(), "token-1", "the old one is good meanwhile");
  await until(() => fake.requests.length === 2, "it is being renewed");
  gate.resolve();
  await until(async () => (await token()) === "token-2", "the new one is there");
  assert.equal(fake.requests.length, 2);
});

test("what goes wrong with a renewal is tried again while the old token lasts, and after", async (context) => {
  const { fake, token, clock } = await withMetadata(context);
  await token();
  clock.ms += 3400 * 1000;
  for (const status of [503, 404, 500]) fake.script.push({ kind: "status", status });
  await until(async () => {
    clock.ms += 11_000;
    assert.equal(await token(), "token-1");
    return fake.requests.length === 3;
  }, "it was asked for twice more");
  clock.ms += 3600 * 1000;
  await until(async () => (await token()) === "token-2", "the next one is there");
  assert.equal(fake.script.length, 0);
});

test("a token that the API refused is not given again", async (context) => {
  const { auth, token } = await withMetadata(context);
  assert.equal(await token(), "token-1");
  auth.refused("token-0");
  assert.equal(await token(), "token-1", "an older one is no matter");
  auth.refused("token-1");
  assert.equal(await token(), "token-2");
});

test("a server that is not the metadata server, or answers nonsense, gives no token", async (context) => {
  const { fake, token } = await withMetadata(context);
  fake.flavor = "Imitation";
  assert.match(await token(), /^error: .*not the metadata server's/);
  const headers = { "metadata-flavor": "Google" };
  for (const body of [
    "",
    "null",
    "{}",
    '{"access_token":5,"expires_in":1}',
    '{"access_token":"a\\nb","expires_in":1}',
  ]) {
    fake.script.push({ kind: "status", status: 200, body, headers });
    assert.match(await token(), /^error: .* answered 200 and gave no token$/, body);
  }
  fake.flavor = "Google";
  assert.equal(await token(), "token-2");
});

test("who waits for a token goes when it is told to, and the next one gets it", async (context) => {
  const { fake, auth, token } = await withMetadata(context);
  const gate = Promise.withResolvers<void>();
  fake.script.push({ kind: "delay", until: gate.promise });
  const abort = new AbortController();
  const waiting = auth.token(abort.signal);
  await until(() => fake.requests.length === 1, "it was asked");
  abort.abort();
  assert.deepEqual(await waiting, { error: "no token in time" });
  gate.resolve();
  assert.equal(await token(), "token-1");
});

test("a key file's claims are signed, traded for a token, and the token is kept", async (context) => {
  const { fake, token, auth, clock } = await withKey(context);
  assert.equal(await token(), "token-1");
  clock.ms += 1000 * 1000;
  assert.equal(await token(), "token-1");
  assert.equal(auth.projectId, "my-project");
  assert.equal(fake.requests.length, 1);
  clock.ms += 3599 * 1000;
  assert.equal(await token(), "token-2");
});

test("GOOGLE_APPLICATION_CREDENTIALS names a key file too", async (context) => {
  const { file } = await withKey(context);
  const { token } = setting(context, { GOOGLE_APPLICATION_CREDENTIALS: file, GCE_METADATA_HOST: "127.0.0.1:1" });
  assert.equal(await token(), "token-1");
});

test("a key file that changes is used at once, its old token is not", async (context) => {
  const { fake, file, token, clock } = await withKey(context);
  assert.equal(await token(), "token-1");
  writeKey(file, fake.makeKey("two"));
  fake.forget("one");
  clock.ms += LOOK_MS;
  assert.equal(await token(), "token-2");
  unlinkSync(file);
  clock.ms += LOOK_MS;
  assert.equal(await token(), "token-2", "a file that is being swapped is missing for a moment");
});

test("a key that the token endpoint refuses says why", async (context) => {
  const { fake, token } = await withKey(context);
  fake.forget("one");
  assert.match(
    await token(),
    /^error: .*\/token answered 400 and gave no token \(invalid_grant: Invalid JWT Signature\.\)$/,
  );
});

test("a file that is no key of a service account is told so, and nothing of it is shown", async (context) => {
  const { file, fake, token, clock } = await withKey(context);
  const good = fake.makeKey("three");
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ec = String(privateKey.export({ type: "pkcs8", format: "pem" }));
  const cases: [string, RegExp][] = [
    ["hunter2", /is not JSON/],
    ["null", /another type/],
    [JSON.stringify({ ...good, type: "authorized_user" }), /another type/],
    [JSON.stringify({ ...good, client_email: 5 }), /no client_email/],
    [JSON.stringify({ ...good, token_uri: "hunter2" }), /no URL as token_uri/],
    [JSON.stringify({ ...good, private_key: "hunter2" }), /private_key of the credentials file can't be read/],
    [JSON.stringify({ ...good, private_key: ec }), /is no RSA key/],
  ];
  for (const [text, pattern] of cases) {
    writeFileSync(file, text);
    clock.ms += LOOK_MS;
    const said = await token();
    assert.match(said, pattern);
    assert.doesNotMatch(said, /hunter2|BEGIN/);
  }
  writeKey(file, good);
  clock.ms += LOOK_MS;
  assert.equal(await token(), "token-1");
  const { token: none } = setting(context, {}, join(file, "none"));
  assert.match(await none(), /^error: can't read /);
});
