import { X509Certificate } from "node:crypto";
import { createTestAuthority } from "@tulle/testing";
import { expect, test } from "vitest";
import { peerIdentity } from "./peer-identity.ts";

const { root, issue } = await createTestAuthority();
const { certificateChain } = await issue();
const { raw } = new X509Certificate(certificateChain);

/** A good leaf but for its names; Node.js prints them so. */
const named = (subjectAltName: string | undefined) => peerIdentity({ subjectAltName, raw } as X509Certificate);

test("reads the one SPIFFE ID, beside names of hosts", () => {
  expect(named("DNS:reviews, URI:spiffe://cluster.local/ns/default/sa/reviews")).toEqual({
    spiffeId: "spiffe://cluster.local/ns/default/sa/reviews",
    trustDomain: "cluster.local",
  });
});

test.each([
  ["no names", undefined, /no subject alternative name/],
  ["empty names", "", /no subject alternative name/],
  ["only a host name", "DNS:reviews", /no URI/],
  ["a host name that begins like a URI", "DNS:URI:spiffe://a/b", /no URI/],
  ["two URIs", "URI:spiffe://a/b, URI:spiffe://a/c", /2 URIs/],
  ["the same URI twice", "URI:spiffe://a/b, URI:spiffe://a/b", /2 URIs/],
  ["a URI of another scheme", "URI:https://a/b", /no SPIFFE ID/],
  ["an upper-case trust domain", "URI:spiffe://A/b", /no SPIFFE ID/],
  ["an escaped path", "URI:spiffe://a/%2e%2e/b", /no SPIFFE ID/],
  ["a host name that hides a URI in quotes", 'DNS:"x, URI:spiffe://a/b"', /need quotes/],
  ["a trust domain, which is no workload", "URI:spiffe://a", /no path/],
  ["a quoted URI", 'URI:"spiffe://a/b, URI:spiffe://a/c"', /need quotes/],
])("reads nobody out of %s", (_name, names, problem) => {
  expect(named(names)).toEqual({ spiffeId: undefined, problem: expect.stringMatching(problem) });
});

test("reads nobody out of a CA's certificate", () => {
  expect(
    peerIdentity({ subjectAltName: "URI:spiffe://a/b", raw: new X509Certificate(root).raw } as X509Certificate),
  ).toEqual({
    spiffeId: undefined,
    problem: "spiffe://a/b: it is a CA's certificate",
  });
});
