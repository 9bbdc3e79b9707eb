export { makeCertificateRequest } from "./certificate-request.ts";
export { FakeClock } from "./fake-clock.ts";
export { seededRandom } from "./seeded-random.ts";
export { createTestAuthority, type TestAuthority, type TestSvidOptions } from "./test-authority.ts";
export { createTestIssuer, type TestAlgorithm, type TestIssuer } from "./test-issuer.ts";
