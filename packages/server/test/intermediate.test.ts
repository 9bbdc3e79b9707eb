import "reflect-metadata";
import { webcrypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { TrustBundle } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { constant } from "@tulle/time";
import { expect, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
const times = () => ({ notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) });

/** A root, an intermediate that is a CA or pretends to be one, and a leaf below it. */
const chainOfThree = async (intermediateIsCa: boolean) => {
  const [rootKeys, middleKeys, leafKeys] = await Promise.all([newKeys(), newKeys(), newKeys()]);
  const root = await X509CertificateGenerator.createSelfSigned({
    name: "CN=root",
    ...times(),
    signingAlgorithm: algorithm,
    keys: rootKeys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    ],
  });
  const middle = await X509CertificateGenerator.create({
    issuer: root.subject,
    subject: "CN=intermediate",
    ...times(),
    signingAlgorithm: algorithm,
    publicKey: middleKeys.publicKey,
    signingKey: rootKeys.privateKey,
    extensions: [new BasicConstraintsExtension(intermediateIsCa, undefined, true)],
  });
  const leaf = await X509CertificateGenerator.create({
    issuer: middle.subject,
    subject: "",
    ...times(),
    signingAlgorithm: algorithm,
    publicKey: leafKeys.publicKey,
    signingKey: middleKeys.privateKey,
    extensions: [
      new SubjectAlternativeNameExtension([{ type: "url", value: "spiffe://cluster.local/ns/default/sa/deep" }], true),
    ],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", leafKeys.privateKey)).toString("base64");
  return {
    bundle: { trustDomain: "cluster.local", roots: [root.toString("pem")] },
    middle: middle.toString("pem"),
    peer: {
      certificateChain: `${leaf.toString("pem")}\n${middle.toString("pem")}`,
      privateKey: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
    },
  };
};

const portThatTrusts = async (...bundles: readonly TrustBundle[]) => {
  const authority = await createTestAuthority();
  const server = testServer({
    inbound: constant(inbound("strict")),
    credentials: constant(await authority.issue({ serviceAccount: "reviews", bundles })),
  });
  const { port } = await server.listen((_request, response) => response.end("ok"), { port: 0, host: "127.0.0.1" });
  return { server, port };
};

test("a chain over an intermediate that came with the leaf leads to the root", async () => {
  const { bundle, peer } = await chainOfThree(true);
  const { port } = await portThatTrusts(bundle);
  expect(await call(port, { as: peer })).toMatchObject({ status: 200 });
});

test("beside another domain's roots, a bundle that names its intermediates still tells whose chain it was", async () => {
  const { bundle, middle, peer } = await chainOfThree(true);
  const partner = await createTestAuthority("partner.test");
  const { port } = await portThatTrusts({ ...bundle, intermediates: [middle] }, partner.bundle);
  expect(await call(port, { as: peer })).toMatchObject({ status: 200 });
  // The same chain proves nothing where the partner brought it.
  const impostor = { ...bundle, trustDomain: "partner.test", intermediates: [middle] };
  const other = await portThatTrusts({ ...partner.bundle, trustDomain: "cluster.local" }, impostor);
  await expect(call(other.port, { as: peer })).rejects.toThrow();
  expect(other.server.counters()["refused.PEER_UNTRUSTED"]).toBe(1);
});

test("a certificate that is no CA vouches for nobody", async () => {
  const { bundle, peer } = await chainOfThree(false);
  const { server, port } = await portThatTrusts(bundle);
  await expect(call(port, { as: peer })).rejects.toThrow();
  expect(server.counters()["refused.PEER_UNTRUSTED"]).toBe(1);
});
