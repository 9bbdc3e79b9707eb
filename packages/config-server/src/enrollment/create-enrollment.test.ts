import { generateKeyPairSync, webcrypto, X509Certificate } from "node:crypto";
import type { RefusalCode } from "@tulle/protocol";
import { FakeClock } from "@tulle/testing";
import { SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import type { AuditEvent, AuditLog } from "../audit/audit-log.ts";
import { memoryKeyStore } from "../authority/key-store.ts";
import { openAuthority } from "../authority/open-authority.ts";
import { openRevocations } from "../authority/revocations.ts";
import { SigningFailed } from "../authority/signer.ts";
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from "../authority/x509.ts";
import { MemoryStore } from "../store/memory-store.ts";
import { createEnrollment } from "./create-enrollment.ts";
import { MAX_CSR_BYTES } from "./csr.ts";
import type { Evidence, MemberIdentity } from "./enrollment.ts";
import type { IssueLimit } from "./issue-limiter.ts";
import { FAILED_JOIN_BURST } from "./join-limiter.ts";
import { CLAIM_RETRY_MS, type JoinTokenRequest, openJoinTokens } from "./join-token.ts";

const HOUR_MS = 3_600_000;
const trustDomain = "cluster.local";
const reviewsId = "spiffe://cluster.local/ns/default/sa/reviews";

const setUp = async (issueLimit?: IssueLimit) => {
  const clock = new FakeClock();
  const keyStore = memoryKeyStore();
  const authority = await openAuthority({ keyStore, trustDomain, clock, certificateTtlMs: HOUR_MS });
  const store = new MemoryStore(clock);
  const tokens = await openJoinTokens({ store, keyStore, trustDomain, pins: () => authority.pins, clock });
  const events: AuditEvent[] = [];
  const audit: AuditLog = { record: async (event) => void events.push(event), close: async () => undefined };
  const enrollment = createEnrollment({ authority, tokens, audit, clock, ...(issueLimit && { issueLimit }) });
  const token = (request: Partial<JoinTokenRequest> = {}) =>
    tokens.create({ namespace: "default", serviceAccount: "reviews", ttlMs: HOUR_MS, uses: "single", ...request });
  const join = (value: string): Promise<MemberIdentity> => enrollment.authenticate(bearing(value));
  return { clock, keyStore, authority, tokens, events, enrollment, token, join };
};

const bearing = (token: string): Evidence => ({ authorization: `Bearer ${token}`, certificate: undefined });

const showing = (chain: string): Evidence => ({ authorization: undefined, certificate: new X509Certificate(chain) });

type Keys = webcrypto.CryptoKeyPair;
const ecdsa = (namedCurve: string): Promise<Keys> =>
  webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve }, true, ["sign", "verify"]);
const rsa = (modulusLength: number): Promise<Keys> =>
  webcrypto.subtle.generateKey(
    { name: "RSASSA-PKCS1-v1_5", modulusLength, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" },
    true,
    ["sign", "verify"],
  );

const csrOf = async (keys: Keys, uris?: readonly string[]): Promise<string> => {
  const algorithm = keys.privateKey.algorithm.name;
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: { name: algorithm, hash: "SHA-256" },
    extensions:
      uris === undefined ? [] : [new SubjectAlternativeNameExtension(uris.map((value) => ({ type: "url", value })))],
  });
  return request.toString("pem");
};

const refusal = (code: RefusalCode, message?: string) =>
  expect.objectContaining({ code, ...(message === undefined ? {} : { message: expect.stringContaining(message) }) });

describe("joining by token", () => {
  test("gives exactly the identity that the token names, and a certificate for it", async () => {
    const { token, join, enrollment, authority, events } = await setUp();
    const issued = await token();
    const identity = await join(issued.token);
    expect(identity).toEqual({
      spiffeId: reviewsId,
      trustDomain,
      namespace: "default",
      serviceAccount: "reviews",
      by: "token",
      tokenId: issued.id,
    });
    const { chain } = await enrollment.issue(identity, await csrOf(await ecdsa("P-256"), [reviewsId]));
    expect(authority.verifySvid(new X509Certificate(chain))).toMatchObject({ valid: true, spiffeId: reviewsId });
    expect(events).toMatchObject([{ event: "certificate-issued", actor: reviewsId, detail: { token: issued.id } }]);
  });

  test("a single-use token serves the key that claimed it again, and no other key", async () => {
    const { token, join, enrollment, tokens } = await setUp();
    const issued = await token();
    const csr = await csrOf(await ecdsa("P-256"));
    await enrollment.issue(await join(issued.token), csr);
    await enrollment.issue(await join(issued.token), csr);
    await expect(enrollment.issue(await join(issued.token), await csrOf(await ecdsa("P-256")))).rejects.toEqual(
      refusal("token-used", "was used already"),
    );
    expect(await tokens.list()).toMatchObject([{ id: issued.id, state: "used" }]);
  });

  test("a single-use token opens no connection once the time to come again is over", async () => {
    const { token, join, enrollment, clock } = await setUp();
    const issued = await token();
    await enrollment.issue(await join(issued.token), await csrOf(await ecdsa("P-256")));
    clock.advance(CLAIM_RETRY_MS - 1);
    await join(issued.token);
    clock.advance(1);
    await expect(join(issued.token)).rejects.toEqual(refusal("token-used"));
  });

  test("two keys that race for a single-use token: one wins", async () => {
    const { token, join, enrollment } = await setUp();
    const issued = await token();
    const identity = [await join(issued.token), await join(issued.token)] as const;
    const csrs = [await csrOf(await ecdsa("P-256")), await csrOf(await ecdsa("P-256"))] as const;
    const outcomes = await Promise.allSettled([
      enrollment.issue(identity[0], csrs[0]),
      enrollment.issue(identity[1], csrs[1]),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("a connection renews over itself until the certificate ends that it proved itself by", async () => {
    const { token, join, enrollment, clock } = await setUp();
    const identity = await join((await token()).token);
    const { chain } = await enrollment.issue(identity, await csrOf(await ecdsa("P-256")));
    const shown = await enrollment.authenticate(showing(chain));
    clock.advance(HOUR_MS - 1);
    await enrollment.issue(shown, await csrOf(await ecdsa("P-256")));
    clock.advance(1);
    await expect(enrollment.issue(identity, await csrOf(await ecdsa("P-256")))).rejects.toEqual(
      refusal("unauthenticated", "expired at"),
    );
    await expect(enrollment.issue(shown, await csrOf(await ecdsa("P-256")))).resolves.toBeDefined();
  });

  test("one identity cannot take the CA from the others", async () => {
    const { token, join, enrollment, clock } = await setUp({ burst: 2, perSecond: 1 });
    const identity = await join((await token({ uses: "multi" })).token);
    const other = await join((await token({ serviceAccount: "ratings" })).token);
    const csr = await csrOf(await ecdsa("P-256"));
    for (let time = 0; time < 2; time++) await enrollment.issue(identity, csr);
    await expect(enrollment.issue(identity, csr)).rejects.toEqual(refusal("too-many", "too many certificates for"));
    await expect(enrollment.issue(other, csr)).resolves.toBeDefined();
    clock.advance(1_000);
    await expect(enrollment.issue(identity, csr)).resolves.toBeDefined();
    expect(enrollment.counters()).toMatchObject({ issuesLimited: 1, certificatesIssued: 4, certificatesRefused: 1 });
  });

  test("a connection that got its certificate renews over itself, with a new key and after the token ended", async () => {
    const { token, join, enrollment, clock } = await setUp();
    const identity = await join((await token({ ttlMs: 1_000 })).token);
    await enrollment.issue(identity, await csrOf(await ecdsa("P-256")));
    clock.advance(HOUR_MS / 2);
    await expect(enrollment.issue(identity, await csrOf(await ecdsa("P-256")))).resolves.toBeDefined();
  });

  test("a multi-use token serves many keys until it expires", async () => {
    const { token, join, enrollment, clock, tokens } = await setUp();
    const issued = await token({ uses: "multi" });
    for (let member = 0; member < 3; member++) {
      await enrollment.issue(await join(issued.token), await csrOf(await ecdsa("P-256")));
    }
    clock.advance(HOUR_MS);
    await expect(join(issued.token)).rejects.toEqual(refusal("token-expired", "2023-11-14T23:13:20.000Z"));
    expect(await tokens.list()).toMatchObject([{ state: "expired" }]);
  });

  test("a token that is revoked between the join and the request gets no certificate", async () => {
    const { token, join, enrollment, tokens } = await setUp();
    const issued = await token();
    const identity = await join(issued.token);
    expect(await tokens.revoke(issued.id)).toBe(true);
    await expect(enrollment.issue(identity, await csrOf(await ecdsa("P-256")))).rejects.toEqual(
      refusal("token-revoked"),
    );
    await expect(join(issued.token)).rejects.toEqual(refusal("token-revoked"));
  });

  test("tokens hold over a restart that keeps the state folder", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore(clock);
    const keyStore = memoryKeyStore();
    const open = () => openJoinTokens({ store, keyStore, trustDomain, pins: () => ["pin"], clock });
    const { token } = await (await open()).create({
      namespace: "default",
      serviceAccount: "reviews",
      ttlMs: HOUR_MS,
      uses: "multi",
    });
    await expect((await open()).verify(token)).resolves.toMatchObject({ serviceAccount: "reviews", pin: "pin" });
  });
});

describe("bad tokens", () => {
  const changed = (token: string): string => {
    const [header = "", , signature = ""] = token.split(".");
    const claims = Buffer.from(JSON.stringify({ jti: "x", exp: 4_000_000_000, serviceAccount: "admin" })).toString(
      "base64url",
    );
    return `${header}.${claims}.${signature}`;
  };
  const foreign = (algorithm: string, typ: string): Promise<string> =>
    new SignJWT({ trustDomain, namespace: "default", serviceAccount: "reviews", uses: "multi", pin: "p", jti: "x" })
      .setProtectedHeader({ alg: algorithm, typ })
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(algorithm === "HS256" ? new Uint8Array(32) : generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);

  test.each<[string, (token: string) => string | Promise<string>, RefusalCode, string]>([
    ["no JWT", () => "nonsense", "token-malformed", "this is no join token"],
    ["too long", () => "x".repeat(5000), "token-malformed", "too long"],
    ["claims changed", changed, "token-signature", "not signed by this config-server"],
    ["another mesh's key", () => foreign("ES256", "tulle-join+jwt"), "token-signature", "another mesh"],
    ["a symmetric algorithm", () => foreign("HS256", "tulle-join+jwt"), "token-signature", "not signed"],
  ])("%s", async (_, make, code, message) => {
    const { token, join, events } = await setUp();
    await expect(join(await make((await token()).token))).rejects.toEqual(refusal(code, message));
    expect(events).toMatchObject([{ event: "join-refused", actor: "unknown", detail: { code } }]);
  });

  test("an address that guesses is slowed down; a valid certificate from there is not", async () => {
    const { enrollment, join, authority } = await setUp();
    for (let guess = 0; guess < FAILED_JOIN_BURST; guess++) {
      await expect(join("nonsense")).rejects.toEqual(refusal("token-malformed"));
    }
    await expect(join("nonsense")).rejects.toEqual(refusal("too-many"));
    const keys = await ecdsa("P-256");
    const publicKey = new Uint8Array(await webcrypto.subtle.exportKey("spki", keys.publicKey));
    const { chain } = await authority.issueSvid({ publicKey, spiffeId: reviewsId });
    await expect(enrollment.authenticate(showing(chain))).resolves.toMatchObject({ by: "certificate" });
  });
});

describe("joining by certificate", () => {
  const issueFor = async (authority: Awaited<ReturnType<typeof openAuthority>>, spiffeId: string) => {
    const keys = await ecdsa("P-256");
    const publicKey = new Uint8Array(await webcrypto.subtle.exportKey("spki", keys.publicKey));
    return (await authority.issueSvid({ publicKey, spiffeId })).chain;
  };

  test("wins over a token, and renews without one", async () => {
    const { enrollment, authority, token } = await setUp();
    const chain = await issueFor(authority, reviewsId);
    const { token: ratings } = await token({ serviceAccount: "ratings" });
    const identity = await enrollment.authenticate({
      ...bearing(ratings),
      ...{ certificate: new X509Certificate(chain) },
    });
    expect(identity).toMatchObject({ spiffeId: reviewsId, by: "certificate" });
    await expect(enrollment.issue(identity, await csrOf(await ecdsa("P-384")))).resolves.toBeDefined();
  });

  test("gives way to a token when it is expired, and says why it did not do when there is none", async () => {
    const { enrollment, authority, token, clock } = await setUp();
    const certificate = new X509Certificate(await issueFor(authority, reviewsId));
    clock.advance(2 * HOUR_MS);
    await expect(enrollment.authenticate({ authorization: undefined, certificate })).rejects.toEqual(
      refusal("unauthenticated", "it expired at"),
    );
    const evidence = { ...bearing((await token()).token), certificate };
    await expect(enrollment.authenticate(evidence)).resolves.toMatchObject({ by: "token" });
  });

  test("another mesh's certificate of the same name, and none at all, are refused", async () => {
    const { enrollment } = await setUp();
    const other = await setUp();
    await expect(enrollment.authenticate(showing(await issueFor(other.authority, reviewsId)))).rejects.toEqual(
      refusal("unauthenticated", "not issued by this mesh's CA"),
    );
    await expect(enrollment.authenticate({ authorization: undefined, certificate: undefined })).rejects.toEqual(
      refusal("unauthenticated", "no client certificate, and no join token"),
    );
    await expect(enrollment.authenticate({ authorization: "Basic x", certificate: undefined })).rejects.toEqual(
      refusal("unauthenticated", "not `Bearer <token>`"),
    );
  });

  test("the config-server's own identity, and one that is no workload, are refused", async () => {
    const { enrollment, authority } = await setUp();
    const own = await issueFor(authority, "spiffe://cluster.local/ns/tulle-system/sa/config-server");
    await expect(enrollment.authenticate(showing(own))).rejects.toEqual(refusal("not-allowed"));
    const node = await issueFor(authority, "spiffe://cluster.local/node/7");
    await expect(enrollment.authenticate(showing(node))).rejects.toEqual(
      refusal("unauthenticated", "names no workload"),
    );
  });
});

describe("bad certificate requests", () => {
  const otherId = "spiffe://cluster.local/ns/default/sa/admin";
  const brokenSignature = async (): Promise<string> => {
    const der = Buffer.from((await csrOf(await ecdsa("P-256"))).replace(/-----[^-]+-----/g, ""), "base64");
    der[der.length - 5] = (der[der.length - 5] ?? 0) ^ 0xff;
    return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
  };

  test.each<[string, () => string | Promise<string>, RefusalCode, string]>([
    ["no PEM", () => "hello", "csr-malformed", "not one PEM block"],
    ["two requests", async () => (await csrOf(await ecdsa("P-256"))).repeat(2), "csr-malformed", "not one PEM block"],
    [
      "no PKCS#10 inside",
      () => "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
      "csr-malformed",
      "cannot be read as PKCS#10",
    ],
    ["too large", () => "x".repeat(MAX_CSR_BYTES + 1), "csr-malformed", "more than 8192"],
    ["an RSA key of 1024 bits", async () => csrOf(await rsa(1024)), "csr-key", "rsa 1024"],
    ["an RSA key of 2048 bits", async () => csrOf(await rsa(2048)), "csr-key", "rsa 2048"],
    ["a signature by another key", brokenSignature, "csr-signature", "not signed by the key"],
    ["another's name", async () => csrOf(await ecdsa("P-256"), [otherId]), "csr-subject", otherId],
    [
      "its own name and another's",
      async () => csrOf(await ecdsa("P-256"), [reviewsId, otherId]),
      "csr-subject",
      "name exactly that URI",
    ],
  ])("%s", async (_, make, code, message) => {
    const { token, join, enrollment, events, tokens } = await setUp();
    const identity = await join((await token()).token);
    await expect(enrollment.issue(identity, await make())).rejects.toEqual(refusal(code, message));
    expect(events).toMatchObject([{ event: "certificate-refused", actor: reviewsId, detail: { code } }]);
    expect(await tokens.list()).toMatchObject([{ state: "valid" }]);
  });
});

describe("revocation", () => {
  test("ends joining and renewing: by certificate, by token, and over a connection that was opened before", async () => {
    const { clock, authority, tokens, token, events } = await setUp();
    const revocations = await openRevocations({
      store: new MemoryStore(clock),
      clock,
      trustDomain,
      longestLeafMs: () => HOUR_MS,
    });
    const audit: AuditLog = { record: async (event) => void events.push(event), close: async () => undefined };
    const enrollment = createEnrollment({ authority, tokens, audit, clock, revocations });
    const byToken = await enrollment.authenticate(bearing((await token({ uses: "multi" })).token));
    const { chain, serial } = await enrollment.issue(byToken, await csrOf(await ecdsa("P-256")));
    const open = await enrollment.authenticate(showing(chain));

    await revocations.revoke({ serial, reason: "" });
    await expect(enrollment.authenticate(showing(chain))).rejects.toEqual(refusal("revoked", serial));
    await expect(enrollment.issue(open, await csrOf(await ecdsa("P-256")))).rejects.toEqual(refusal("revoked"));
    // One certificate is gone; its owner may have another.
    await enrollment.authenticate(bearing((await token()).token));

    await revocations.revoke({ spiffeId: reviewsId, reason: "" });
    const again = (await token()).token;
    await expect(enrollment.authenticate(bearing(again))).rejects.toEqual(refusal("revoked", reviewsId));
    await expect(enrollment.issue(byToken, await csrOf(await ecdsa("P-256")))).rejects.toEqual(refusal("revoked"));
    expect(events.filter(({ detail }) => detail.code === "revoked").map(({ event }) => event)).toEqual([
      "join-refused",
      "certificate-refused",
      "join-refused",
      "certificate-refused",
    ]);
  });
});

test("a CA whose key does not sign leaves a line in the audit log, and its reason to the server's own", async () => {
  const { clock, authority, tokens, token, events } = await setUp();
  const failing = {
    ...authority,
    pins: authority.pins,
    bundle: authority.bundle,
    issueSvid: () => Promise.reject(new SigningFailed("the CA's signing function failed: AccessDenied")),
  };
  const audit: AuditLog = { record: async (event) => void events.push(event), close: async () => undefined };
  const enrollment = createEnrollment({ authority: failing, tokens, audit, clock });
  const identity = await enrollment.authenticate(bearing((await token()).token));
  await expect(enrollment.issue(identity, await csrOf(await ecdsa("P-256")))).rejects.toThrow("AccessDenied");
  expect(events.at(-1)).toMatchObject({
    event: "certificate-refused",
    detail: { code: "internal", reason: "the CA's signing function failed: AccessDenied" },
  });
});
