import { createHmac, createSecretKey } from "node:crypto";
import { mkdir, mkdtemp, readFile, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigServer, type ConfigServerOptions, createConfigServer } from "@tulle/config-server";
import { FakeClock } from "@tulle/testing";
import { type CryptoKey, exportSPKI, generateKeyPair, importJWK, type JWK } from "jose";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  FETCH_RETRY_MS,
  FETCH_TIMEOUT_MS,
  KEYS_FRESH_MS,
  KEYS_MAX_STALE_MS,
  MAX_DOCUMENT_BYTES,
  UNKNOWN_KEY_REFETCH_MS,
} from "../src/oidc/issuer-keys.ts";
import type { OidcIssuer } from "../src/oidc/oidc-issuer.ts";
import { openOidcTokens } from "../src/oidc/oidc-tokens.ts";
import { type JoinOutcome, joinBy } from "./joining-member.ts";
import { OidcIssuerServer, type TokenWish } from "./oidc-issuer.ts";

// An RSA key is read as a key, a shared secret as bytes.
const publicKeyOf = async (jwk: JWK): Promise<CryptoKey> =>
  (await importJWK(jwk, "RS256", { extractable: true })) as CryptoKey;

let issuer: OidcIssuerServer;
const servers: ConfigServer[] = [];

beforeEach(async () => {
  issuer = await OidcIssuerServer.start();
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
  await issuer.stop();
});

const start = async (options: ConfigServerOptions = {}, more: Partial<OidcIssuer> = {}): Promise<ConfigServer> => {
  const oidc = [{ issuer: issuer.url, audiences: ["tulle"], ...more }];
  const server = await createConfigServer({ port: 0, adminPort: 0, oidc, ...options });
  servers.push(server);
  return server;
};

const refused = (code: string, message?: string): JoinOutcome =>
  expect.objectContaining({
    refused: code,
    ...(message === undefined ? {} : { message: expect.stringContaining(message) }),
  });

describe("joining by a Kubernetes service-account token", () => {
  test("gives the service account's identity, as often as the token is shown, and audits whose token it was", async () => {
    const stateDir = join(await mkdtemp(join(tmpdir(), "tulle-")), "state");
    const server = await start({ stateDir });
    const token = await issuer.token({ claims: { jti: "t-1" } });
    for (let time = 0; time < 2; time++) {
      expect(await joinBy(server, token, "shop")).toMatchObject({
        spiffeId: "spiffe://cluster.local/ns/shop/sa/ratings",
        chain: expect.stringContaining("BEGIN CERTIFICATE"),
      });
    }
    const lines = (await readFile(join(stateDir, "audit.jsonl"), "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    const detail = { by: "oidc", issuer: issuer.url, subject: "system:serviceaccount:shop:ratings", token: "t-1" };
    const line = { event: "certificate-issued", actor: "spiffe://cluster.local/ns/shop/sa/ratings", detail };
    expect(lines).toMatchObject([line, line]);
    expect(lines[0].detail.serial).not.toBe(lines[1].detail.serial);
  });

  test("gives no certificate that could not be written down, for the disk is full", async () => {
    const stateDir = join(await mkdtemp(join(tmpdir(), "tulle-")), "state");
    await mkdir(stateDir, { mode: 0o700 });
    await symlink("/dev/full", join(stateDir, "audit.jsonl"));
    const outcome = await joinBy(await start({ stateDir }), await issuer.token(), "shop");
    expect(outcome).toEqual(refused("internal"));
    expect(outcome.chain).toBeUndefined();
  });

  test("join tokens go on beside it", async () => {
    const server = await start();
    const { token } = await server.createToken({ serviceAccount: "reviews" });
    expect(await joinBy(server, token)).toMatchObject({ spiffeId: "spiffe://cluster.local/ns/default/sa/reviews" });
  });

  test("the issuers may come from a file", async () => {
    const oidcFile = join(await mkdtemp(join(tmpdir(), "tulle-")), "issuers.yaml");
    await writeFile(oidcFile, `- issuer: ${issuer.url}\n  audiences: [tulle]\n`);
    const server = await start({ oidc: [], oidcFile });
    expect(await joinBy(server, await issuer.token(), "shop")).toMatchObject({ chain: expect.any(String) });
    await writeFile(oidcFile, "- issuer: x\n");
    await expect(start({ oidc: [], oidcFile })).rejects.toThrow(`the issuers in ${oidcFile} cannot be used: oidc[0]`);
  });

  test("a rule of another issuer's form decides by subject and claims", async () => {
    const subjects = [
      {
        subject: "repo:octo/{repo}:ref:refs/heads/main",
        claims: { environment: "prod" },
        namespace: "ci",
        serviceAccount: "{repo}",
      },
    ];
    const server = await start({}, { subjects });
    const sub = "repo:octo/web:ref:refs/heads/main";
    expect(await joinBy(server, await issuer.token({ claims: { sub, environment: "prod" } }), "ci")).toMatchObject({
      spiffeId: "spiffe://cluster.local/ns/ci/sa/web",
    });
    expect(await joinBy(server, await issuer.token({ claims: { sub, environment: "dev" } }), "ci")).toEqual(
      refused("not-allowed", `no rule of ${issuer.url} fits`),
    );
  });

  test("a token that is older than its greatest age is refused though it has not ended", async () => {
    const server = await start({}, { maxTokenAge: "5m" });
    const iat = Math.floor(Date.now() / 1_000) - 400;
    expect(await joinBy(server, await issuer.token({ claims: { iat, nbf: iat } }))).toEqual(refused("token-expired"));
    expect(await joinBy(server, await issuer.token({ claims: { iat: undefined } }))).toEqual(
      refused("token-malformed"),
    );
    expect(await joinBy(server, await issuer.token(), "shop")).toMatchObject({ chain: expect.any(String) });
  });
});

describe("a token is refused", () => {
  const seconds = (more: number): number => Math.floor(Date.now() / 1_000) + more;
  const withHeader = (token: string, header: object): string =>
    [Buffer.from(JSON.stringify(header)).toString("base64url"), ...token.split(".").slice(1)].join(".");

  test.each<[string, () => TokenWish | Promise<TokenWish>, string, string]>([
    ["for another audience", () => ({ claims: { aud: "kubernetes" } }), "token-audience", "not meant for this mesh"],
    ["for no audience", () => ({ claims: { aud: undefined } }), "token-audience", "not meant for this mesh"],
    [
      "of an issuer that is not believed",
      () => ({ claims: { iss: "https://evil.example" } }),
      "token-signature",
      "is not one that is believed",
    ],
    [
      "of an issuer whose name only begins so",
      () => ({ claims: { iss: `${issuer.url}/` } }),
      "token-signature",
      "is not one that is believed",
    ],
    ["that ended more than 60 s ago", () => ({ expiresInSeconds: -61 }), "token-expired", "not valid now"],
    ["that never ends", () => ({ claims: { exp: undefined } }), "token-malformed", '"exp"'],
    ["that begins later than in 60 s", () => ({ claims: { nbf: seconds(120) } }), "token-expired", "not valid now"],
    ["that was issued in the future", () => ({ claims: { iat: seconds(120) } }), "token-expired", "in the future"],
    ["without a subject", () => ({ claims: { sub: undefined } }), "token-malformed", '"sub"'],
    ["of a subject that no rule fits", () => ({ claims: { sub: "admin" } }), "not-allowed", 'the subject "admin"'],
    [
      "whose subject is no identity",
      () => ({ claims: { sub: "system:serviceaccount:shop:Rat%2fings" } }),
      "not-allowed",
      "makes no identity",
    ],
    [
      "for the config-server's own identity",
      () => ({ claims: { sub: "system:serviceaccount:tulle-system:config-server" } }),
      "not-allowed",
      "no identity for a member",
    ],
    [
      "signed by another key",
      async () => ({ key: (await generateKeyPair("RS256")).privateKey }),
      "token-signature",
      "not signed by",
    ],
    ["that names an unknown key", () => ({ kid: "nobody's" }), "token-signature", "not signed by"],
    [
      "signed with HS256 by the issuer's public key",
      async () => ({
        algorithm: "HS256",
        key: createSecretKey(Buffer.from(await exportSPKI(await publicKeyOf(issuer.jwks[0]!)))),
      }),
      "token-signature",
      "not signed by",
    ],
    [
      "signed with PS256 by an RS256 key of another",
      async () => ({ algorithm: "PS256", key: (await generateKeyPair("PS256")).privateKey }),
      "token-signature",
      "not signed by",
    ],
  ])("%s", async (_, wish, code, message) => {
    const server = await start();
    expect(await joinBy(server, await issuer.token(await wish()))).toEqual(refused(code, message));
  });

  test.each<[string, (token: string) => string, string]>([
    [
      "with the algorithm none",
      (token) => `${withHeader(token, { alg: "none" }).split(".").slice(0, 2).join(".")}.`,
      "token-signature",
    ],
    ["with the algorithm None and the old signature", (token) => withHeader(token, { alg: "None" }), "token-signature"],
    [
      "with a header that was changed",
      (token) => withHeader(token, { alg: "RS256", kid: issuer.kid, jku: "https://evil.example" }),
      "token-signature",
    ],
    [
      "with a key of its own in the header",
      (token) => withHeader(token, { alg: "RS256", jwk: issuer.jwks[0] }),
      "token-signature",
    ],
    [
      "with a critical extension",
      (token) => withHeader(token, { alg: "RS256", kid: issuer.kid, crit: ["x"], x: 1 }),
      "token-malformed",
    ],
    ["that was cut off", (token) => token.slice(0, -10), "token-signature"],
    [
      "with a claim that was changed",
      (token) => {
        const [header, payload = "", signature] = token.split(".");
        const claims = {
          ...JSON.parse(Buffer.from(payload, "base64url").toString()),
          sub: "system:serviceaccount:shop:admin",
        };
        return [header, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".");
      },
      "token-signature",
    ],
    ["that is too long", (token) => `${token}${"A".repeat(9_000)}`, "token-malformed"],
  ])("%s", async (_, change, code) => {
    const server = await start();
    expect(await joinBy(server, change(await issuer.token()))).toEqual(refused(code));
  });

  test("signed with HS256 by a shared secret that stands in the key set", async () => {
    const secret = createHmac("sha256", "s").digest();
    issuer.script.set("/keys", (_, response) => {
      response.end(
        JSON.stringify({
          keys: [...issuer.jwks, { kty: "oct", k: secret.toString("base64url"), kid: "shared", alg: "HS256" }],
        }),
      );
    });
    const server = await start();
    const token = await issuer.token({ algorithm: "HS256", kid: "shared", key: secret });
    expect(await joinBy(server, token)).toEqual(refused("token-signature"));
  });

  test("by two keys that both could have signed it, when it names none", async () => {
    await issuer.rotate();
    const server = await start();
    const token = await issuer.token({ kid: "" });
    expect(await joinBy(server, token)).toEqual(refused("token-signature"));
  });
});

describe("an issuer's keys", () => {
  const tokensOf = (clock: FakeClock, more: Partial<OidcIssuer> = {}) =>
    openOidcTokens([{ issuer: issuer.url, audiences: ["tulle"], ...more }], clock);
  // Tokens are made by the real clock; the fake one starts there.
  const clockNow = (): FakeClock => new FakeClock(0, Date.now());
  const fetches = () => issuer.asked.filter((path) => path === "/keys").length;
  const is = (code: string, message: string = "") =>
    expect.objectContaining({ code, message: expect.stringContaining(message) });

  test("are fetched once for many tokens, and looked at again after their time", async () => {
    const clock = clockNow();
    const tokens = tokensOf(clock);
    const token = await issuer.token({ expiresInSeconds: 86_400 });
    await Promise.all(Array.from({ length: 20 }, () => tokens.verify(token)));
    expect(fetches()).toBe(1);
    clock.advance(KEYS_FRESH_MS);
    await tokens.verify(token);
    expect(fetches()).toBe(2);
  });

  test("rotate: an unknown key is looked for at once, and then not more often than allowed", async () => {
    const clock = clockNow();
    const tokens = tokensOf(clock);
    const first = await issuer.token();
    await tokens.verify(first);
    await issuer.rotate();
    clock.advance(UNKNOWN_KEY_REFETCH_MS);
    await tokens.verify(await issuer.token());
    await tokens.verify(first);
    expect(fetches()).toBe(2);
    for (let guess = 0; guess < 10; guess++) {
      await expect(tokens.verify(await issuer.token({ kid: `guess-${guess}` }))).rejects.toEqual(is("token-signature"));
    }
    expect(fetches()).toBe(2);
    clock.advance(UNKNOWN_KEY_REFETCH_MS);
    await expect(tokens.verify(await issuer.token({ kid: "another" }))).rejects.toEqual(is("token-signature"));
    expect(fetches()).toBe(3);
    expect(tokens.counters()).toMatchObject({ "oidc.unknownKeys": 12 });
  });

  test("that were taken back end with the time of those that are kept", async () => {
    const clock = clockNow();
    const tokens = tokensOf(clock);
    const stolen = await issuer.token({ expiresInSeconds: 86_400 });
    await tokens.verify(stolen);
    await issuer.rotate(true);
    clock.advance(KEYS_FRESH_MS);
    await expect(tokens.verify(stolen)).rejects.toEqual(is("token-signature"));
  });

  test("serve on while the issuer is away, for a day, with few attempts", async () => {
    const clock = clockNow();
    const tokens = tokensOf(clock);
    const token = await issuer.token({ expiresInSeconds: 2 * 86_400 });
    await tokens.verify(token);
    issuer.script.set("/keys", (_, response) => response.writeHead(500).end());
    clock.advance(KEYS_FRESH_MS);
    for (let time = 0; time < 10; time++) await tokens.verify(token);
    expect(fetches()).toBe(2);
    clock.advance(FETCH_RETRY_MS);
    await tokens.verify(token);
    expect(fetches()).toBe(3);
    clock.advance(KEYS_MAX_STALE_MS);
    await expect(tokens.verify(token)).rejects.toEqual(is("issuer-unavailable", "it answered 500"));
    issuer.script.clear();
    clock.advance(FETCH_RETRY_MS);
    await tokens.verify(token);
  });

  test.each<[string, (request: unknown, response: import("node:http").ServerResponse) => void, string]>([
    [
      "redirects",
      (_, response) => response.writeHead(302, { location: "/elsewhere" }).end(),
      "redirects are not followed",
    ],
    [
      "answers without end",
      (_, response) => {
        const more = (): void =>
          void (response.write("x".repeat(65_536)) ? setImmediate(more) : response.once("drain", more));
        more();
      },
      `more than ${MAX_DOCUMENT_BYTES} bytes`,
    ],
    ["answers no JSON", (_, response) => response.end("<html>"), "no JSON"],
    ["has no keys", (_, response) => response.end("{}"), "its key set is none"],
    [
      "has shared secrets alone",
      (_, response) => response.end('{"keys":[{"kty":"oct","k":"AAAA"}]}'),
      "no public signing key",
    ],
    [
      "has too many keys",
      (_, response) => response.end(JSON.stringify({ keys: Array.from({ length: 101 }, () => ({ kty: "RSA" })) })),
      "more than 100",
    ],
    ["hangs up", (_, response) => response.destroy(), "socket hang up"],
  ])("cannot be had from one that %s", async (_, script, message) => {
    issuer.script.set("/keys", script);
    const tokens = tokensOf(clockNow());
    await expect(tokens.verify(await issuer.token())).rejects.toEqual(is("issuer-unavailable", message));
  });

  test("cannot be had from one that does not answer in time", async () => {
    const clock = clockNow();
    const hanging = Promise.withResolvers<void>();
    issuer.script.set("/keys", () => hanging.resolve());
    const tokens = tokensOf(clock);
    const verified = tokens.verify(await issuer.token());
    await hanging.promise;
    clock.advance(FETCH_TIMEOUT_MS);
    await expect(verified).rejects.toEqual(is("issuer-unavailable", `no whole answer within ${FETCH_TIMEOUT_MS} ms`));
  });

  test("are not waited for once the config-server closes", async () => {
    const hanging = Promise.withResolvers<void>();
    issuer.script.set("/keys", () => hanging.resolve());
    const tokens = tokensOf(clockNow());
    const verified = tokens.verify(await issuer.token());
    await hanging.promise;
    tokens.close();
    await expect(verified).rejects.toEqual(is("issuer-unavailable", "the config-server closes"));
  });

  test("cannot be had from one that is not there: 503, and what has a join token joins", async () => {
    const server = await start();
    const token = await issuer.token();
    await issuer.stop();
    expect(await joinBy(server, token)).toEqual(refused("issuer-unavailable", "ECONNREFUSED"));
    const { token: ours } = await server.createToken({ serviceAccount: "reviews" });
    expect(await joinBy(server, ours)).toMatchObject({ chain: expect.any(String) });
  });

  test.each<[string, () => object, string]>([
    [
      "another issuer",
      () => ({ issuer: "https://evil.example", jwks_uri: `${issuer.url}/keys` }),
      'of the issuer "https://evil.example"',
    ],
    [
      "keys over http elsewhere",
      () => ({ issuer: issuer.url, jwks_uri: "http://10.0.0.1/keys" }),
      "names no https jwks_uri",
    ],
    ["keys in a file", () => ({ issuer: issuer.url, jwks_uri: "file:///etc/passwd" }), "names no https jwks_uri"],
    ["no keys", () => ({ issuer: issuer.url }), "names no https jwks_uri"],
  ])("are not taken from a discovery document of %s", async (_, document, message) => {
    issuer.script.set("/.well-known/openid-configuration", (__, response) => response.end(JSON.stringify(document())));
    const tokens = tokensOf(clockNow());
    await expect(tokens.verify(await issuer.token())).rejects.toEqual(is("issuer-unavailable", message));
    expect(fetches()).toBe(0);
  });

  test("may be named, lie in a file that changes, or stand in the options", async () => {
    const clock = clockNow();
    const named = tokensOf(clock, { jwksUri: `${issuer.url}/keys` });
    await named.verify(await issuer.token());
    expect(issuer.asked).toEqual(["/keys"]);

    const jwksFile = join(await mkdtemp(join(tmpdir(), "tulle-")), "keys.json");
    await writeFile(jwksFile, JSON.stringify({ keys: issuer.jwks }));
    const kept = tokensOf(clock, { jwksFile });
    await kept.verify(await issuer.token());
    await issuer.rotate();
    await writeFile(jwksFile, JSON.stringify({ keys: issuer.jwks }));
    clock.advance(UNKNOWN_KEY_REFETCH_MS);
    await kept.verify(await issuer.token());

    const inline = tokensOf(clock, { jwks: { keys: issuer.jwks as Record<string, unknown>[] } });
    await inline.verify(await issuer.token());
    await issuer.rotate();
    await expect(inline.verify(await issuer.token())).rejects.toEqual(is("token-signature"));
  });

  test("are asked for with the token that the issuer wants to see, read anew each time", async () => {
    const bearerTokenFile = join(await mkdtemp(join(tmpdir(), "tulle-")), "token");
    const shown: (string | undefined)[] = [];
    issuer.script.set("/keys", (request, response) => {
      shown.push(request.headers.authorization);
      response.end(JSON.stringify({ keys: issuer.jwks }));
    });
    const clock = clockNow();
    const tokens = tokensOf(clock, { bearerTokenFile });
    const token = await issuer.token({ expiresInSeconds: 86_400 });
    for (const bearer of ["one\n", "two\n"]) {
      await writeFile(bearerTokenFile, bearer);
      await tokens.verify(token);
      clock.advance(KEYS_FRESH_MS);
    }
    expect(shown).toEqual(["Bearer one", "Bearer two"]);
  });

  test.each(["ES256", "ES384", "PS256", "EdDSA"])("of %s are taken", async (algorithm) => {
    await issuer.rotate(true, algorithm);
    await expect(tokensOf(clockNow()).verify(await issuer.token())).resolves.toMatchObject({ namespace: "shop" });
  });

  test("of an algorithm that the issuer is not believed with are not", async () => {
    await issuer.rotate(true, "ES256");
    const tokens = tokensOf(clockNow(), { algorithms: ["RS256"] });
    await expect(tokens.verify(await issuer.token())).rejects.toEqual(is("token-signature"));
  });
});
