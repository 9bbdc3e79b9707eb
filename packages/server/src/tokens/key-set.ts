import type { TokenHeader } from "./compact-token.ts";

/** Largest key set that is fetched, bytes. */
export const MAX_KEY_SET_BYTES = 262_144;

/** Most keys that one set may hold, those that are of no use here too. */
export const MAX_KEYS = 256;

/** Keys that one token is tried with, where its `kid` leaves several: a signature costs about 0.1 ms to check. */
export const MAX_KEYS_TRIED = 16;

const MIN_RSA_BITS = 2_048;
const MAX_RSA_BITS = 8_192;

/** An RSA key's exponent is 65537 nearly everywhere; one of hundreds of digits only makes checking slow. */
const MAX_EXPONENT_BYTES = 8;

/** The key that each algorithm needs. What is not here is refused: `none`, and all that signs with a shared secret. */
const algorithms: Readonly<Record<string, { readonly kty: "RSA" | "EC" | "OKP"; readonly crv?: string }>> = {
  RS256: { kty: "RSA" },
  RS384: { kty: "RSA" },
  RS512: { kty: "RSA" },
  PS256: { kty: "RSA" },
  PS384: { kty: "RSA" },
  PS512: { kty: "RSA" },
  ES256: { kty: "EC", crv: "P-256" },
  ES384: { kty: "EC", crv: "P-384" },
  ES512: { kty: "EC", crv: "P-521" },
  EdDSA: { kty: "OKP", crv: "Ed25519" },
  Ed25519: { kty: "OKP", crv: "Ed25519" },
};

/** Whether tokens of an algorithm are looked at, whatever the key. */
export const isKnownAlgorithm = (alg: string): boolean => Object.hasOwn(algorithms, alg);

/** What checking needs of a public key; members that are none of its business are left out, private ones too. */
export interface PublicJwk {
  readonly kty: "RSA" | "EC" | "OKP";
  readonly crv?: string;
  readonly n?: string;
  readonly e?: string;
  readonly x?: string;
  readonly y?: string;
}

/** A key that may check tokens. */
export interface TokenKey {
  readonly kid: string | undefined;
  /** What its owner says it is for. */
  readonly alg: string | undefined;
  readonly jwk: PublicJwk;
}

/** The keys of an issuer at one moment. Immutable; another set is another object. */
export interface KeySet {
  readonly keys: readonly TokenKey[];
}

/**
 * Reads a JSON Web Key Set. Keys of other kinds and other uses are left out.
 *
 * @throws Error when it is no key set, holds more than 256 keys or none that may check tokens.
 */
export const readKeySet = (text: string): KeySet => {
  if (text.length > MAX_KEY_SET_BYTES) throw new Error(`the key set is larger than ${MAX_KEY_SET_BYTES} bytes`);
  const parsed: unknown = JSON.parse(text);
  const written: unknown = typeof parsed === "object" && parsed !== null && "keys" in parsed ? parsed.keys : undefined;
  if (!Array.isArray(written)) throw new Error('the answer is no key set: it has no list "keys"');
  if (written.length > MAX_KEYS) throw new Error(`the key set holds ${written.length} keys, more than ${MAX_KEYS}`);
  const keys = written.flatMap((entry: unknown) => readKey(entry) ?? []);
  if (keys.length === 0) throw new Error("the key set holds no key that could check a token");
  return { keys };
};

const readKey = (entry: unknown): TokenKey | undefined => {
  if (typeof entry !== "object" || entry === null) return undefined;
  // An object of unknown shape is read by name; what is not there is undefined.
  const { kty, kid, alg, use, key_ops: operations, crv, n, e, x, y } = entry as Readonly<Record<string, unknown>>;
  if (use !== undefined && use !== "sig") return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) return undefined;
  if ((kid !== undefined && typeof kid !== "string") || (alg !== undefined && typeof alg !== "string"))
    return undefined;
  const jwk = publicPart({ kty, crv, n, e, x, y });
  return jwk === undefined ? undefined : { kid, alg, jwk };
};

const publicPart = ({ kty, crv, n, e, x, y }: Readonly<Record<string, unknown>>): PublicJwk | undefined => {
  if (kty === "RSA" && typeof n === "string" && typeof e === "string") {
    const bits = bitsOf(n);
    const fits =
      bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS && Buffer.from(e, "base64url").length <= MAX_EXPONENT_BYTES;
    return fits ? { kty, n, e } : undefined;
  }
  if (kty === "EC" && typeof crv === "string" && typeof x === "string" && typeof y === "string") {
    return { kty, crv, x, y };
  }
  return kty === "OKP" && crv === "Ed25519" && typeof x === "string" ? { kty, crv, x } : undefined;
};

const bitsOf = (n: string): number => {
  const bytes = Buffer.from(n, "base64url");
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24;
};

/**
 * The keys that a token may be signed with. One that names a key is tried with keys of that name and with nameless ones,
 * one that names none with all (Envoy); of both only with those that its algorithm agrees with.
 */
export const keysFor = ({ keys }: KeySet, { alg, kid }: TokenHeader): readonly TokenKey[] => {
  const needed = Object.hasOwn(algorithms, alg) ? algorithms[alg] : undefined;
  if (needed === undefined) return [];
  return keys
    .filter((key) => kid === undefined || key.kid === undefined || key.kid === kid)
    .filter(({ jwk }) => jwk.kty === needed.kty && (needed.crv === undefined || jwk.crv === needed.crv))
    .filter((key) => key.alg === undefined || agrees(alg, key.alg))
    .slice(0, MAX_KEYS_TRIED);
};

/**
 * Whether a token's algorithm is what the key's owner says it is for: the same one, by whichever of its names. The one
 * liberty is PSS with a longer hash than the key's: published vectors have it, and it is never weaker.
 */
const agrees = (alg: string, ofKey: string): boolean => {
  if (alg === ofKey) return true;
  const pss = /^PS(256|384|512)$/;
  const [length, named] = [pss.exec(alg)?.[1], pss.exec(ofKey)?.[1]];
  if (length !== undefined && named !== undefined) return Number(length) > Number(named);
  return otherNames[ofKey]?.includes(alg) === true;
};

/** Ed25519 has two registered names; ES521 is a common slip for ES512, and its curve tells what is meant. */
const otherNames: Readonly<Record<string, readonly string[]>> = {
  EdDSA: ["Ed25519"],
  Ed25519: ["EdDSA"],
  ES521: ["ES512"],
};
