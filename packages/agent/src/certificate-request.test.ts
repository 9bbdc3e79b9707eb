import "reflect-metadata";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync, webcrypto } from "node:crypto";
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from "@peculiar/x509";
import { describe, expect, test } from "vitest";
import { certificateRequest } from "./certificate-request.ts";

const spiffeId = "spiffe://cluster.local/ns/default/sa/reviews";
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const spki = publicKey.export({ type: "spki", format: "der" });
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

describe("certificateRequest", () => {
  test("is read by another implementation: signature, key, empty subject, one URI", async () => {
    const request = new Pkcs10CertificateRequest(certificateRequest(privateKey, spiffeId));
    expect(await request.verify(webcrypto)).toBe(true);
    expect(Buffer.from(request.publicKey.rawData)).toEqual(spki);
    expect(request.subject).toBe("");
    const [extension, ...more] = request.extensions;
    expect(more).toEqual([]);
    expect(extension?.critical).toBe(true);
    expect(new SubjectAlternativeNameExtension(extension!.rawData).names.items).toMatchObject([
      { type: "url", value: spiffeId },
    ]);
  });

  test("takes names whose length needs two bytes of DER", async () => {
    const long = `spiffe://cluster.local/ns/default/sa/${"a".repeat(300)}`;
    const request = new Pkcs10CertificateRequest(certificateRequest(privateKey, long));
    expect(await request.verify(webcrypto)).toBe(true);
    expect(new SubjectAlternativeNameExtension(request.extensions[0]!.rawData).names.items).toMatchObject([
      { value: long },
    ]);
  });

  test.skipIf(!hasOpenssl)("is verified by openssl req", () => {
    const { status, stdout, stderr } = spawnSync("openssl", ["req", "-verify", "-noout", "-text"], {
      input: certificateRequest(privateKey, spiffeId),
      encoding: "utf8",
    });
    expect(status, stderr).toBe(0);
    expect(stdout).toContain(`URI:${spiffeId}`);
  });
});
