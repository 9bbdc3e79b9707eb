import { constants, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** Algorithms that a {@link TestIssuer} can sign with. */
export type TestAlgorithm = "RS256" | "RS512" | "PS256" | "ES256" | "ES384" | "ES512" | "EdDSA";

/** An issuer of end users' tokens, with one key. */
export interface TestIssuer {
  readonly issuer: string;
  /** The public key as it is published, with its name. */
  readonly jwk: Readonly<Record<string, unknown>>;
  /** The public key, PEM: what algorithm confusion signs with. */
  readonly publicPem: string;
  /** A key set with this key alone, as JSON text. */
  readonly jwks: string;
  /** A signed token. `iss` is this issuer unless the claims name another; a field that is `undefined` is left out. */
  token(claims?: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): string;
  /** Signs a payload as it stands. */
  sign(payload: string | Uint8Array, header?: Readonly<Record<string, unknown>>): string;
}

/** Makes an issuer with a fresh key. */
export const createTestIssuer = (
  options: { readonly issuer?: string; readonly kid?: string; readonly alg?: TestAlgorithm } = {},
): TestIssuer => {
  const { issuer = "https://issuer.test", kid = "key-1", alg = "ES256" } = options;
  const { publicKey, privateKey } = makeKeys(alg);
  const jwk = { ...publicKey.export({ format: "jwk" }), kid, alg, use: "sig" };
  const signed = (payload: string | Uint8Array, header: Readonly<Record<string, unknown>> = {}): string => {
    const input = `${base64url(JSON.stringify({ alg, kid, typ: "JWT", ...header }))}.${base64url(payload)}`;
    return `${input}.${signatureOf(alg, input, privateKey).toString("base64url")}`;
  };
  return {
    issuer,
    jwk,
    publicPem: publicKey.export({ format: "pem", type: "spki" }).toString(),
    jwks: JSON.stringify({ keys: [jwk] }),
    sign: signed,
    token: (claims = {}, header) => signed(JSON.stringify({ iss: issuer, sub: "user-1", ...claims }), header),
  };
};

const base64url = (data: string | Uint8Array): string => Buffer.from(data).toString("base64url");

const curves = { ES256: "P-256", ES384: "P-384", ES512: "P-521" } as const;

const makeKeys = (alg: TestAlgorithm): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } => {
  if (alg === "EdDSA") return generateKeyPairSync("ed25519");
  if (alg === "ES256" || alg === "ES384" || alg === "ES512") {
    return generateKeyPairSync("ec", { namedCurve: curves[alg] });
  }
  return generateKeyPairSync("rsa", { modulusLength: 2_048 });
};

const signatureOf = (alg: TestAlgorithm, input: string, key: KeyObject): Buffer => {
  const data = Buffer.from(input);
  if (alg === "EdDSA") return sign(null, data, key);
  const digest = `sha${alg.slice(2)}`;
  if (alg.startsWith("ES")) return sign(digest, data, { key, dsaEncoding: "ieee-p1363" });
  if (alg.startsWith("RS")) return sign(digest, data, key);
  return sign(digest, data, {
    key,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  });
};
