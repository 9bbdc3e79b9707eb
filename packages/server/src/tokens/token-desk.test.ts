import { createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { effectiveJwtRule, type JwtRule } from "@tulle/policy";
import { createTestIssuer, FakeClock, type TestIssuer } from "@tulle/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isFlaw } from "./compact-token.ts";
import { type EndUser, TokenDesk } from "./token-desk.ts";

const NOW = 1_700_000_000;

const ours = createTestIssuer();
const rsa = createTestIssuer({ alg: "RS256", kid: "rsa" });
const stranger = createTestIssuer();

const deskFor = (rules: readonly JwtRule[], clock = new FakeClock(0, NOW * 1_000)): TokenDesk => {
  const desk = new TokenDesk({
    clock,
    random: () => 0,
    fetch: () => Promise.reject(new Error("nothing is fetched in this test")),
    storage: undefined,
    onNotice: () => undefined,
  });
  desk.take(rules.map(effectiveJwtRule));
  return desk;
};

const ruleOf = ({ issuer, jwks }: TestIssuer, more: Partial<JwtRule> = {}): JwtRule => ({ issuer, jwks, ...more });

const requestWith = (headers: readonly (readonly [string, string])[], url = "/"): IncomingMessage =>
  // The desk reads these fields and no others.
  ({ url, rawHeaders: headers.flat(), headers: {}, method: "GET" }) as unknown as IncomingMessage;

const bearer = (token: string): IncomingMessage => requestWith([["Authorization", `Bearer ${token}`]]);

/** What comes of a request: who the user is, or the code and the reason. */
const outcome = async (desk: TokenDesk, request: IncomingMessage): Promise<string> => {
  const found = await desk.authenticate(request);
  if (found === undefined) return "nobody";
  return isFlaw(found) ? `${found.code}: ${found.detail}` : `user ${found.proven.token.subject}`;
};

const segment = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token with a signature made of a public key, as if it were a shared secret. */
const confused = (secret: string, kid: string): string => {
  const input = `${segment({ alg: "HS256", kid })}.${segment({ iss: ours.issuer, sub: "forged" })}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
};

const [head = "", body = "", signature = ""] = ours.token().split(".");
const NOT_SIGNED = "TOKEN_INVALID: no key of the issuer signed the token";
const NO_ALGORITHM = "TOKEN_INVALID: the token's algorithm is not accepted";
const EXPIRED = "TOKEN_INVALID: the token is expired";
const NOT_YET = "TOKEN_INVALID: the token is not yet valid";
const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) });

describe("a token of an issuer with a key in the policy", () => {
  const desk = deskFor([ruleOf(ours, { audiences: ["https://shop.test/", "orders"] })]);
  const good = { aud: "shop.test" };

  test.each([
    ["is believed when all is well", ours.token(good), "user user-1"],
    ["names one of several audiences", ours.token({ aud: ["other", "orders"] }), "user user-1"],
    ["names an audience with another scheme and a slash", ours.token({ aud: "http://shop.test/" }), "user user-1"],
    [
      "names another audience",
      ours.token({ aud: "payments" }),
      "TOKEN_AUDIENCE_REFUSED: the token is for another audience",
    ],
    ["names no audience", ours.token(), "TOKEN_AUDIENCE_REFUSED: the token is for another audience"],
    [
      "has an audience that is no text",
      ours.token({ aud: [7] }),
      'TOKEN_INVALID: the token\'s "aud" is neither a text nor a list of texts',
    ],
    ["is expired, and for another audience too", ours.token({ exp: NOW - 61 }), EXPIRED],
    ["expired 61 s ago", ours.token({ ...good, exp: NOW - 61 }), EXPIRED],
    ["expired 60 s ago, within the clocks' difference", ours.token({ ...good, exp: NOW - 60 }), "user user-1"],
    ["expired in 1970", ours.token({ ...good, exp: 0 }), EXPIRED],
    ["has no end", ours.token({ ...good, exp: undefined }), "user user-1"],
    [
      "has an end that is a text",
      ours.token({ ...good, exp: "9999999999" }),
      'TOKEN_INVALID: the token\'s "exp" is no time',
    ],
    ["has an end before all time", ours.token({ ...good, exp: -1 }), 'TOKEN_INVALID: the token\'s "exp" is no time'],
    ["begins in 61 s", ours.token({ ...good, nbf: NOW + 61 }), NOT_YET],
    ["begins in 60 s, within the clocks' difference", ours.token({ ...good, nbf: NOW + 60 }), "user user-1"],
    ["begins at no time", ours.token({ ...good, nbf: null }), 'TOKEN_INVALID: the token\'s "nbf" is no time'],
    ["was issued in the future, which nobody asks", ours.token({ ...good, iat: NOW + 9_999 }), "user user-1"],
    ["was issued at no time", ours.token({ ...good, iat: "now" }), 'TOKEN_INVALID: the token\'s "iat" is no time'],
    [
      "has another issuer",
      ours.token({ ...good, iss: "https://other.test" }),
      "TOKEN_INVALID: no rule names the issuer of the token",
    ],
    [
      "has an issuer that begins like ours",
      ours.token({ ...good, iss: `${ours.issuer}/` }),
      "TOKEN_INVALID: no rule names the issuer of the token",
    ],
    ["has no issuer", ours.token({ ...good, iss: undefined }), "TOKEN_INVALID: no rule names the issuer of the token"],
    [
      "has a list of issuers",
      ours.token({ ...good, iss: [ours.issuer] }),
      'TOKEN_INVALID: the token\'s "iss" is no text',
    ],
    ["has a subject that is no text", ours.token({ ...good, sub: 7 }), 'TOKEN_INVALID: the token\'s "sub" is no text'],
    ["is signed by another key of the same name", stranger.token(good), NOT_SIGNED],
    ["names a key that does not exist", ours.token(good, { kid: "../../etc/passwd" }), NOT_SIGNED],
    ["names a key by an injection", ours.token(good, { kid: "key-1' OR '1'='1" }), NOT_SIGNED],
    ["names a key by a member of all objects", ours.token(good, { kid: "__proto__" }), NOT_SIGNED],
    [
      "has a huge key id",
      ours.token(good, { kid: "k".repeat(513) }),
      "TOKEN_INVALID: the token's header has a malformed key id",
    ],
    [
      "has a key id that is a number",
      ours.token(good, { kid: 1 }),
      "TOKEN_INVALID: the token's header has a malformed key id",
    ],
    ["has an empty key id", ours.token(good, { kid: "" }), NOT_SIGNED],
    ["names no key", ours.token(good, { kid: undefined }), "user user-1"],
    ["brings its own key", stranger.token(good, { jwk: stranger.jwk, kid: undefined }), NOT_SIGNED],
    [
      "says where its key is",
      stranger.token(good, { jku: "http://127.0.0.1:1/", x5u: "http://127.0.0.1:1/" }),
      NOT_SIGNED,
    ],
    ["has the algorithm none", `${segment({ alg: "none" })}.${body}.`, "TOKEN_INVALID: the token is not signed"],
    [
      "has the algorithm none and a signature",
      `${segment({ alg: "none" })}.${segment({ iss: ours.issuer, ...good })}.${signature}`,
      NO_ALGORITHM,
    ],
    [
      "has the algorithm nOnE",
      `${segment({ alg: "nOnE" })}.${segment({ iss: ours.issuer, ...good })}.${signature}`,
      NO_ALGORITHM,
    ],
    ["has no algorithm", `${segment({})}.${body}.${signature}`, "TOKEN_INVALID: the token's header names no algorithm"],
    ["has an algorithm of all objects", ours.token(good, { alg: "constructor" }), NO_ALGORITHM],
    ["has another algorithm for the same kind of key", ours.token(good, { alg: "ES384" }), NOT_SIGNED],
    ["has an algorithm for another kind of key", ours.token(good, { alg: "RS256" }), NOT_SIGNED],
    [
      "has something critical",
      ours.token(good, { crit: ["exp"], exp: NOW }),
      "TOKEN_INVALID: the token's header has critical parts that are not understood",
    ],
    [
      "has an empty list of what is critical",
      ours.token(good, { crit: [] }),
      "TOKEN_INVALID: the token's header has critical parts that are not understood",
    ],
    [
      "has a payload that is not encoded",
      ours.token(good, { b64: false }),
      "TOKEN_INVALID: the token's payload is not base64url",
    ],
    ["is of any type", ours.token(good, { typ: "at+jwt" }), "user user-1"],
    [
      "was changed after it was signed",
      `${head}.${segment({ iss: ours.issuer, sub: "admin", ...good })}.${signature}`,
      NOT_SIGNED,
    ],
    ["lost its signature", `${head}.${body}.`, "TOKEN_INVALID: the token is not signed"],
    ["lost a part", `${head}.${body}`, "TOKEN_INVALID: the token has not the three parts of a signed token"],
    [
      "is encrypted",
      `${head}.${body}.${signature}.${body}.${signature}`,
      "TOKEN_INVALID: the token has more parts than a signed token",
    ],
    ["is a word", "letmein", "TOKEN_INVALID: the token has not the three parts of a signed token"],
    [
      "has a header that is a list",
      `${segment(["ES256"])}.${body}.${signature}`,
      "TOKEN_INVALID: the token's header is not a JSON object",
    ],
    ["has claims that are no object", ours.sign("[]"), "TOKEN_INVALID: the token's claims are not a JSON object"],
    ["has claims that are no JSON", ours.sign("{"), "TOKEN_INVALID: the token's claims are not a JSON object"],
    [
      "has claims that are no UTF-8",
      ours.sign(new Uint8Array([0x7b, 0xff, 0x7d])),
      "TOKEN_INVALID: the token's claims are not a JSON object",
    ],
    [
      "has claims 33 deep",
      ours.token({ ...good, deep: nested(33) }),
      "TOKEN_INVALID: the token's claims are nested deeper than 32",
    ],
    [
      "is longer than all",
      ours.token({ ...good, filling: "x".repeat(16_384) }),
      "TOKEN_INVALID: the token is longer than 16384 characters",
    ],
  ])("%s", async (_name, token, expected) => {
    expect(await outcome(desk, bearer(token))).toBe(expected);
  });

  test.each([
    ["PEM", rsa.publicPem],
    ["PEM without its last line break", rsa.publicPem.trimEnd()],
    ["JSON", JSON.stringify(rsa.jwk)],
    ["modulus", String(rsa.jwk.n)],
  ])("is not believed when a public key, as %s, was used as a shared secret", async (_name, secret) => {
    const rsaDesk = deskFor([ruleOf(rsa)]);
    expect(await outcome(rsaDesk, bearer(rsa.token()))).toBe("user user-1");
    expect(await outcome(rsaDesk, bearer(confused(secret, "rsa")))).toBe(NO_ALGORITHM);
  });
});

test("a token in which any one character was changed is not believed", async () => {
  const desk = deskFor([ruleOf(ours)]);
  const token = ours.token();
  for (let at = 0; at < token.length; at++) {
    for (const other of ["A", "B", "."]) {
      if (token[at] === other) continue;
      const changed = `${token.slice(0, at)}${other}${token.slice(at + 1)}`;
      const found = await desk.authenticate(bearer(changed));
      expect(found !== undefined && isFlaw(found), `character ${at} as ${other}`).toBe(true);
    }
  }
});

test("whatever stands where a token may stand, nothing but a signed one is believed, and nothing breaks", async () => {
  const desk = deskFor([ruleOf(ours, { fromHeaders: [{ name: "x-token" }], fromParams: ["t"], fromCookies: ["c"] })]);
  const segments = fc.oneof(
    fc.base64String(),
    fc.json().map((text) => Buffer.from(text).toString("base64url")),
    fc.constantFrom(head, body, signature, ""),
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(segments, { maxLength: 5 }).map((parts) => parts.join(".")),
  );
  await fc.assert(
    fc.asyncProperty(text, text, text, async (header, param, cookie) => {
      fc.pre(![header, param, cookie].some((each) => each.includes(`${head}.${body}.${signature}`)));
      const request = requestWith(
        [
          ["x-token", header],
          ["cookie", `c=${cookie}`],
        ],
        `/?t=${param}`,
      );
      const found = await desk.authenticate(request);
      return found !== undefined && isFlaw(found);
    }),
    { numRuns: 2_000 },
  );
});

describe("the keys of an issuer", () => {
  test.each([
    ["without an algorithm fit by their kind", { ...ours.jwk, alg: undefined }, "user user-1"],
    ["for encryption check nothing", { ...ours.jwk, use: "enc" }, "refused"],
    ["with operations, but not to verify, check nothing", { ...ours.jwk, key_ops: ["sign"] }, "refused"],
    ["for another algorithm check nothing", { ...ours.jwk, alg: "ES384" }, NOT_SIGNED],
    [
      "of another curve check nothing",
      { ...createTestIssuer({ alg: "ES384" }).jwk, kid: "key-1", alg: undefined },
      NOT_SIGNED,
    ],
    ["of a broken point check nothing", { ...ours.jwk, x: ours.jwk.y }, NOT_SIGNED],
    ["that are shared secrets check nothing", { kty: "oct", k: "c2VjcmV0", kid: "key-1" }, "refused"],
    ["without a name fit whatever is named", { ...ours.jwk, kid: undefined }, "user user-1"],
  ])("%s", async (_name, key, expected) => {
    const jwks = JSON.stringify({ keys: [key] });
    if (expected === "refused")
      expect(() => deskFor([ruleOf({ ...ours, jwks })])).toThrow("no key that could check a token");
    else expect(await outcome(deskFor([ruleOf({ ...ours, jwks })]), bearer(ours.token()))).toBe(expected);
  });

  test("of one name are all tried, and of a token without a name 16 at most", async () => {
    const others = Array.from({ length: 16 }, () => stranger.jwk);
    const among = (count: number): string => JSON.stringify({ keys: [...others.slice(0, count), ours.jwk] });
    const nameless = ours.token({}, { kid: undefined });
    expect(await outcome(deskFor([ruleOf({ ...ours, jwks: among(15) })]), bearer(ours.token()))).toBe("user user-1");
    expect(await outcome(deskFor([ruleOf({ ...ours, jwks: among(15) })]), bearer(nameless))).toBe("user user-1");
    expect(await outcome(deskFor([ruleOf({ ...ours, jwks: among(16) })]), bearer(nameless))).toBe(NOT_SIGNED);
  });

  test.each(["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"] as const)(
    "of %s check tokens",
    async (alg) => {
      const issuer = createTestIssuer({ alg });
      expect(await outcome(deskFor([ruleOf(issuer)]), bearer(issuer.token()))).toBe("user user-1");
    },
  );
});

describe("where a token stands", () => {
  const everywhere = deskFor([
    ruleOf(ours, {
      fromHeaders: [{ name: "X-Token" }, { name: "auth", prefix: "Token " }],
      fromParams: ["t"],
      fromCookies: ["session"],
    }),
  ]);
  const byDefault = deskFor([ruleOf(ours)]);
  const token = ours.token();

  test.each([
    ["in authorization by default", byDefault, bearer(token), "user user-1"],
    ["in access_token by default", byDefault, requestWith([], `/a?b=c&access_token=${token}`), "user user-1"],
    [
      "with a prefix in another case it is none (Envoy)",
      byDefault,
      requestWith([["authorization", `bearer ${token}`]]),
      "nobody",
    ],
    ["with another scheme it is none", byDefault, requestWith([["authorization", "Basic dTpw"]]), "nobody"],
    [
      "behind another word it is one (Envoy)",
      byDefault,
      requestWith([["authorization", `x Bearer ${token}, y`]]),
      "user user-1",
    ],
    ["in a place that the rule does not name it is none", everywhere, bearer("bad"), "nobody"],
    ["in a header without prefix", everywhere, requestWith([["x-token", token]]), "user user-1"],
    ["in a header with another prefix", everywhere, requestWith([["Auth", `Token ${token}`]]), "user user-1"],
    ["in a parameter", everywhere, requestWith([], `/?t=${token}`), "user user-1"],
    ["in a cookie", everywhere, requestWith([["cookie", `a=b; session=${token}`]]), "user user-1"],
    ["in a cookie in quotes", everywhere, requestWith([["cookie", `session="${token}"`]]), "user user-1"],
    [
      "in a second field of cookies",
      everywhere,
      requestWith([
        ["cookie", "a=b"],
        ["Cookie", `session=${token}`],
      ]),
      "user user-1",
    ],
    [
      "an empty one is bad",
      everywhere,
      requestWith([["x-token", ""]]),
      "TOKEN_INVALID: the token has not the three parts of a signed token",
    ],
    [
      "an empty parameter is bad",
      everywhere,
      requestWith([], "/?t="),
      "TOKEN_INVALID: the token has not the three parts of a signed token",
    ],
    ["in two places, both good", everywhere, requestWith([["x-token", token]], `/?t=${token}`), "user user-1"],
    [
      "in two places, one bad",
      everywhere,
      requestWith([["x-token", token]], "/?t=bad"),
      "TOKEN_INVALID: the token has not the three parts of a signed token",
    ],
    [
      "in two fields of one name, the second bad",
      byDefault,
      requestWith([
        ["authorization", `Bearer ${token}`],
        ["Authorization", `Bearer ${stranger.token()}`],
      ]),
      NOT_SIGNED,
    ],
    [
      "twice in the query, the second bad",
      everywhere,
      requestWith([], `/?t=${token}&t=bad`),
      "TOKEN_INVALID: the token has not the three parts of a signed token",
    ],
    [
      "under an encoded name",
      everywhere,
      requestWith([], "/?%74=bad"),
      "TOKEN_INVALID: the token has not the three parts of a signed token",
    ],
    [
      "more often than 8 times",
      everywhere,
      requestWith([], `/?${`t=${token}&`.repeat(9)}`),
      "TOKEN_INVALID: the request carries more than 8 tokens",
    ],
  ])("%s", async (_name, desk, request, expected) => {
    expect(await outcome(desk, request)).toBe(expected);
  });
});

describe("a rule that requires a token", () => {
  const second = createTestIssuer({ issuer: "https://second.test" });
  const MISSING = "TOKEN_MISSING: a token is required that the request does not carry";
  const desk = deskFor([ruleOf(ours, { presence: "required" }), ruleOf(second)]);

  test("refuses a request without any, where one that is optional lets it pass", async () => {
    expect(await outcome(desk, requestWith([]))).toBe(MISSING);
    expect(await outcome(deskFor([ruleOf(ours, { presence: "optional" })]), requestWith([]))).toBe("nobody");
  });

  test("believes its own, and takes that of no other rule for it, the second time too", async () => {
    for (const _time of [1, 2]) {
      expect(await outcome(desk, bearer(ours.token({ sub: "a" })))).toBe("user a");
      expect(await outcome(desk, bearer(second.token()))).toBe(MISSING);
    }
  });

  test("says what is wrong with a bad one", async () => {
    expect(await outcome(desk, bearer(stranger.token({ iss: ours.issuer })))).toBe(NOT_SIGNED);
  });

  test("beside another one that does leaves a request needing both", async () => {
    const both = deskFor([
      ruleOf(ours, { presence: "required", fromHeaders: [{ name: "x-ours" }] }),
      ruleOf(second, { presence: "required", fromHeaders: [{ name: "x-second" }] }),
    ]);
    expect(await outcome(both, requestWith([["x-ours", ours.token()]]))).toBe(MISSING);
    const carrying = requestWith([
      ["x-ours", ours.token({ sub: "a" })],
      ["x-second", second.token()],
    ]);
    expect(await outcome(both, carrying)).toBe("user a");
  });
});

describe("a rule without issuer", () => {
  const { jwks } = ours;
  const desk = deskFor([{ jwks }]);

  test("believes a token of any issuer that its keys have signed, the second time too", async () => {
    const token = ours.token({ iss: "https://tenant-7.test", sub: "a" });
    for (const _time of [1, 2]) expect(await outcome(desk, bearer(token))).toBe("user a");
  });

  test("believes no token that others have signed", async () => {
    expect(await outcome(desk, bearer(stranger.token()))).toBe(NOT_SIGNED);
  });
});

describe("several issuers", () => {
  const second = createTestIssuer({ issuer: "https://second.test" });
  const desk = deskFor([ruleOf(ours), ruleOf(second)]);

  test("each is believed in the place that both look into", async () => {
    expect(await outcome(desk, bearer(ours.token({ sub: "a" })))).toBe("user a");
    expect(await outcome(desk, bearer(second.token({ sub: "b" })))).toBe("user b");
  });

  test("one cannot sign for the other", async () => {
    expect(await outcome(desk, bearer(ours.token({ iss: second.issuer })))).toBe(NOT_SIGNED);
  });

  test("two tokens of two issuers in places that both look into leave no rule content (Envoy)", async () => {
    const request = requestWith([["authorization", `Bearer ${ours.token()}`]], `/?access_token=${second.token()}`);
    expect(await outcome(desk, request)).toBe("TOKEN_INVALID: no rule names the issuer of the token");
  });

  test("two tokens of two issuers, each in its own place: the first rule says who the user is", async () => {
    const apart = deskFor([
      ruleOf(second, { fromHeaders: [{ name: "x-second" }] }),
      ruleOf(ours, { fromHeaders: [{ name: "x-ours" }] }),
    ]);
    const both = (x: string, y: string): IncomingMessage =>
      requestWith([
        ["x-ours", x],
        ["x-second", y],
      ]);
    expect(await outcome(apart, both(ours.token({ sub: "a" }), second.token({ sub: "b" })))).toBe("user b");
    expect(await outcome(apart, both(ours.token({ sub: "a" }), stranger.token({ iss: second.issuer })))).toBe(
      NOT_SIGNED,
    );
  });

  test("rules of one issuer with other audiences: one that fits is enough", async () => {
    const either = deskFor([ruleOf(ours, { audiences: ["a"] }), ruleOf(ours, { audiences: ["b"] })]);
    expect(await outcome(either, bearer(ours.token({ aud: "b" })))).toBe("user user-1");
    expect(await outcome(either, bearer(ours.token({ aud: "c" })))).toBe(
      "TOKEN_AUDIENCE_REFUSED: the token is for another audience",
    );
  });
});

describe("a proven token", () => {
  const userOf = async (desk: TokenDesk, token: string): Promise<EndUser["proven"]> => {
    const found = await desk.authenticate(bearer(token));
    if (found === undefined || isFlaw(found)) throw new Error("no user");
    return found.proven;
  };

  test("tells its claims, those divided by spaces as lists, and nobody can change them", async () => {
    const desk = deskFor([ruleOf(ours, { spaceDelimitedClaims: ["login.roles"] })]);
    const { token } = await userOf(
      desk,
      ours.token({ aud: "a", azp: "app", scope: "read  write", login: { roles: "x y", id: 7 }, note: "a b" }),
    );
    expect(token).toEqual({
      issuer: ours.issuer,
      subject: "user-1",
      audiences: ["a"],
      presenter: "app",
      claims: {
        iss: ours.issuer,
        sub: "user-1",
        aud: "a",
        azp: "app",
        scope: ["read", "write"],
        login: { roles: ["x", "y"], id: 7 },
        note: "a b",
      },
    });
    expect(Object.isFrozen(token.claims.login)).toBe(true);
  });

  test("fills headers with texts, numbers and booleans, and with nothing else", async () => {
    const claims = ["sub", "n", "yes", "deep.er", "list", "object", "null", "none", "breaks", "empty", "name", "scope"];
    const desk = deskFor([
      ruleOf(ours, {
        outputPayloadToHeader: "X-Payload",
        outputClaimToHeaders: claims.map((claim) => ({ header: `X-${claim.replace(".", "-")}`, claim })),
      }),
    ]);
    const text = ours.token({
      n: 7,
      yes: true,
      deep: { er: "down" },
      list: ["a"],
      object: { a: 1 },
      null: null,
      breaks: "a\r\nx-admin: 1",
      empty: "",
      name: "Zoë",
      scope: "read write",
    });
    const { headers } = await userOf(desk, text);
    expect(Object.fromEntries(headers)).toEqual({
      "x-payload": text.split(".")[1],
      "x-sub": "user-1",
      "x-n": "7",
      "x-yes": "true",
      "x-deep-er": "down",
      "x-name": Buffer.from("Zoë").toString("latin1"),
      "x-scope": "read write",
    });
  });

  test("is remembered until it expires, and its signature is not checked again", async () => {
    const clock = new FakeClock(0, NOW * 1_000);
    const desk = deskFor([ruleOf(ours)], clock);
    const request = bearer(ours.token({ exp: NOW + 10 }));
    expect(desk.authenticate(request)).toBeInstanceOf(Promise);
    await outcome(desk, request);
    expect(desk.authenticate(request)).not.toBeInstanceOf(Promise);
    clock.advance(70_000);
    expect(await outcome(desk, request)).toBe("user user-1");
    clock.advance(1);
    expect(await outcome(desk, request)).toBe(EXPIRED);
  });

  test("is forgotten when the rules change, and kept when they come again unchanged", async () => {
    const desk = deskFor([ruleOf(ours)]);
    const request = bearer(ours.token());
    await outcome(desk, request);
    desk.take([effectiveJwtRule(ruleOf(ours))]);
    expect(desk.counters().tokensRemembered).toBe(1);
    desk.take([effectiveJwtRule(ruleOf(ours, { audiences: ["a"] }))]);
    expect(desk.counters().tokensRemembered).toBe(0);
    expect(await outcome(desk, request)).toBe("TOKEN_AUDIENCE_REFUSED: the token is for another audience");
  });

  test("takes the place of others when 1,000 are remembered; bad ones are not", async () => {
    const desk = deskFor([ruleOf(ours)]);
    for (let at = 0; at < 1_005; at++) await desk.authenticate(bearer(ours.token({ at })));
    await desk.authenticate(bearer(stranger.token()));
    expect(desk.counters().tokensRemembered).toBe(1_000);
  });
});
