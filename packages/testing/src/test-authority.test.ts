import { createPrivateKey, X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { createTestAuthority } from "./test-authority.ts";

test("issues an SVID that chains to the root, belongs to its key and names one SPIFFE ID", async () => {
  const authority = await createTestAuthority("example.org");
  const svid = await authority.issue({ serviceAccount: "reviews", namespace: "bookinfo" });
  const leaf = new X509Certificate(svid.certificateChain);
  expect(svid.spiffeId).toBe("spiffe://example.org/ns/bookinfo/sa/reviews");
  expect(leaf.subjectAltName).toBe("URI:spiffe://example.org/ns/bookinfo/sa/reviews");
  expect(leaf.verify(new X509Certificate(authority.root).publicKey)).toBe(true);
  expect(leaf.checkPrivateKey(createPrivateKey(svid.privateKey))).toBe(true);
  expect(leaf.validToDate.getTime()).toBe(svid.notAfterMs);
});

test("issues expired and not yet valid certificates on request", async () => {
  const authority = await createTestAuthority();
  const expired = await authority.issue({ expired: true });
  const future = await authority.issue({ notBeforeMs: Date.now() + 60_000 });
  expect(new X509Certificate(expired.certificateChain).validToDate.getTime()).toBeLessThan(Date.now());
  expect(new X509Certificate(future.certificateChain).validFromDate.getTime()).toBeGreaterThan(Date.now());
});
