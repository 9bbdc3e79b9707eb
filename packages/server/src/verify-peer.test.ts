import { X509Certificate } from "node:crypto";
import { normalSerial } from "@tulle/policy";
import { createTestAuthority, type TestAuthority } from "@tulle/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { parseRoots, verifyPeer } from "./verify-peer.ts";

let authority: TestAuthority;
let other: TestAuthority;

beforeAll(async () => {
  [authority, other] = await Promise.all([createTestAuthority(), createTestAuthority("elsewhere.example")]);
});

const leafOf = async (from: TestAuthority, options: Parameters<TestAuthority["issue"]>[0] = {}) =>
  new X509Certificate((await from.issue(options)).certificateChain);

describe("a peer is verified", () => {
  test("by the roots of its own trust domain, until the first certificate of its chain ends", async () => {
    const leaf = await leafOf(authority, { serviceAccount: "a", lifetimeMs: 60_000 });
    expect(verifyPeer({ leaf, authorized: true }, parseRoots([authority.bundle]), Date.now())).toEqual({
      ok: true,
      spiffeId: "spiffe://cluster.local/ns/default/sa/a",
      notAfterMs: leaf.validToDate.getTime(),
    });
  });

  test("on the moment at which its time ends it is expired, and before it begins too", async () => {
    const leaf = await leafOf(authority);
    const roots = parseRoots([authority.bundle]);
    const at = (nowMs: number) => verifyPeer({ leaf, authorized: true }, roots, nowMs);
    expect(at(leaf.validToDate.getTime() - 1)).toMatchObject({ ok: true });
    expect(at(leaf.validToDate.getTime())).toMatchObject({ ok: false, code: "PEER_EXPIRED" });
    expect(at(leaf.validFromDate.getTime() - 1)).toMatchObject({ ok: false, code: "PEER_EXPIRED" });
  });

  test("and refused when OpenSSL found what is not checked here", async () => {
    const leaf = await leafOf(authority);
    expect(
      verifyPeer({ leaf, authorized: "INVALID_PURPOSE" }, parseRoots([authority.bundle]), Date.now()),
    ).toMatchObject({ ok: false, code: "PEER_UNTRUSTED", detail: expect.stringContaining("INVALID_PURPOSE") });
  });

  test("and never by another domain's roots, whatever OpenSSL says of all together", async () => {
    const leaf = await leafOf(other, { spiffeId: "spiffe://cluster.local/ns/default/sa/a" });
    const roots = parseRoots([authority.bundle, other.bundle]);
    expect(verifyPeer({ leaf, authorized: true }, roots, Date.now())).toMatchObject({
      ok: false,
      code: "PEER_UNTRUSTED",
    });
  });

  test("under an alias of our own trust domain by our own roots, and never by those of a mesh that bears that name", async () => {
    const roots = parseRoots(
      [authority.bundle, { ...other.bundle, trustDomain: "old.example" }],
      ["cluster.local", "old.example"],
    );
    const named = (from: TestAuthority) => leafOf(from, { spiffeId: "spiffe://old.example/ns/default/sa/a" });
    const verdictOn = (leaf: X509Certificate) => verifyPeer({ leaf, authorized: true }, roots, Date.now());
    expect(verdictOn(await named(authority))).toMatchObject({
      ok: true,
      spiffeId: "spiffe://old.example/ns/default/sa/a",
    });
    expect(verdictOn(await named(other))).toMatchObject({ ok: false, code: "PEER_UNTRUSTED" });
    // Where our own roots are missing, an alias lends us nobody else's.
    const partners = parseRoots([{ ...other.bundle, trustDomain: "old.example" }], ["cluster.local", "old.example"]);
    expect(verifyPeer({ leaf: await named(other), authorized: true }, partners, Date.now())).toMatchObject({
      ok: false,
    });
    // Without the alias it is nobody's name.
    const leaf = await named(authority);
    expect(verifyPeer({ leaf, authorized: true }, parseRoots([authority.bundle]), Date.now())).toMatchObject({
      ok: false,
    });
  });

  test.each([
    ["no URI", { uris: [], dnsNames: ["a"] }],
    ["two URIs", { uris: ["spiffe://cluster.local/a", "spiffe://cluster.local/b"] }],
    ["another scheme", { uris: ["https://cluster.local/a"] }],
    ["an ID with a query", { uris: ["spiffe://cluster.local/a?b"] }],
    ["a name that reads like a list", { dnsNames: ['a", URI:spiffe://cluster.local/b'], uris: [] }],
  ])("and refused with %s", async (_what, options) => {
    const leaf = await leafOf(authority, options);
    expect(verifyPeer({ leaf, authorized: true }, parseRoots([authority.bundle]), Date.now())).toMatchObject({
      ok: false,
      code: "PEER_UNTRUSTED",
    });
  });

  test("and absent without a certificate", () => {
    expect(verifyPeer({ leaf: undefined, authorized: "x" }, parseRoots([]), 0)).toMatchObject({ code: "PEER_ABSENT" });
  });

  test("a revoked certificate proves nothing, nor does any of a revoked identity", async () => {
    const authority = await createTestAuthority();
    const { certificateChain, spiffeId } = await authority.issue();
    const leaf = new X509Certificate(certificateChain);
    const roots = parseRoots([authority.bundle]);
    const none = new Set<string>();
    const verdict = (serials: ReadonlySet<string>, spiffeIds: ReadonlySet<string>) =>
      verifyPeer({ leaf, authorized: true }, roots, Date.now(), { serials, spiffeIds });
    expect(verdict(none, none)).toMatchObject({ ok: true });
    expect(verdict(new Set([normalSerial(leaf.serialNumber)]), none)).toMatchObject({ code: "PEER_REVOKED" });
    expect(verdict(none, new Set([spiffeId]))).toMatchObject({ code: "PEER_REVOKED" });
  });
});
