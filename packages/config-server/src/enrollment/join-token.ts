import { generateKeyPairSync } from "node:crypto";
import type { JoinTokenClaims, TokenIssued, TokenList } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import { type CryptoKey, errors, importPKCS8, importSPKI, jwtVerify, SignJWT } from "jose";
import type { KeyStore } from "../authority/key-store.ts";
import type { StateStore, StoreEntry } from "../store/state-store.ts";
import { EnrollmentRefused } from "./enrollment.ts";
import { newTokenId } from "./token-id.ts";

/** What a new token is to allow. */
export interface JoinTokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly ttlMs: number;
  readonly uses: "single" | "multi";
}

/** Makes, checks and revokes join tokens. Their state lives in the state store, so that replicas agree. */
export interface JoinTokens {
  create(request: JoinTokenRequest): Promise<TokenIssued>;
  /**
   * Checks signature, expiry, revocation, and that a single-use token was not used longer than {@link CLAIM_RETRY_MS} ago.
   * Until then only {@link claim} can tell whether it is the same key that comes again.
   *
   * @throws EnrollmentRefused `token-malformed`, `token-signature`, `token-expired`, `token-revoked` or `token-used`.
   */
  verify(token: string): Promise<JoinTokenClaims>;
  /**
   * Binds a single-use token to the hash of a key, by compare-and-set: that key may come again, another may not.
   *
   * @throws EnrollmentRefused `token-expired`, `token-revoked` or `token-used`.
   */
  claim(id: string, keyHash: string): Promise<void>;
  list(): Promise<TokenList["tokens"]>;
  /** @returns false when there is no such token. */
  revoke(id: string): Promise<boolean>;
}

/** What tokens are made with. */
export interface JoinTokensOptions {
  readonly store: StateStore;
  readonly keyStore: KeyStore;
  readonly trustDomain: string;
  /** What new tokens pin: first the root that the config-server shows now, then those that will follow it. */
  readonly pins: () => readonly [string, ...string[]];
  readonly clock: Clock;
}

/** More tokens than this do not exist at a time; a mesh that needs more wants multi-use tokens. */
export const MAX_TOKENS = 10_000;

/** The longest token that is looked at. */
const MAX_TOKEN_LENGTH = 4096;

/** So long the key that claimed a single-use token may come again, if it crashed before it had its certificate. */
export const CLAIM_RETRY_MS = 600_000;

/** An expired token stays listed for a day. */
const REMEMBERED_MS = 24 * 3_600_000;

const PREFIX = "tokens/";
const KEY_FILE = "token-key.pem";
const ALGORITHM = "ES256";
const TYPE = "tulle-join+jwt";

interface TokenRecord {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly uses: "single" | "multi";
  readonly expiresAtMs: number;
  readonly revoked?: true;
  readonly claimedBy?: string;
  readonly claimedAtMs?: number;
}

/** Thrown when {@link MAX_TOKENS} exist. */
export class TooManyTokens extends Error {
  override readonly name: string = "TooManyTokens";
}

/** Opens the tokens of a mesh; their signing key is made on the first start. */
export const openJoinTokens = async (options: JoinTokensOptions): Promise<JoinTokens> => {
  const { store, keyStore, trustDomain, pins, clock } = options;
  const keys = await openKeys(keyStore);

  const removeForgotten = async (entries: readonly StoreEntry[]): Promise<number> => {
    const forgotten = entries.filter(({ value }) => recordOf(value).expiresAtMs + REMEMBERED_MS < clock.wallNow());
    for (const { key, version } of forgotten) await store.commit([{ key, version }], [{ key, value: null }]);
    return entries.length - forgotten.length;
  };

  return {
    create: async ({ namespace, serviceAccount, ttlMs, uses }) => {
      if ((await removeForgotten(await store.list(PREFIX))) >= MAX_TOKENS) {
        throw new TooManyTokens(`there are ${MAX_TOKENS} join tokens already: use multi-use tokens, or shorter lives`);
      }
      const id = newTokenId();
      const nowSeconds = Math.floor(clock.wallNow() / 1000);
      const expSeconds = Math.ceil((clock.wallNow() + ttlMs) / 1000);
      const record: TokenRecord = { namespace, serviceAccount, uses, expiresAtMs: expSeconds * 1000 };
      const [pin, ...later] = pins();
      const more = later.length === 0 ? {} : { pins: [pin, ...later] };
      const token = await new SignJWT({ trustDomain, namespace, serviceAccount, uses, pin, ...more })
        .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
        .setJti(id)
        .setIssuedAt(nowSeconds)
        .setExpirationTime(expSeconds)
        .sign(keys.privateKey);
      const key = `${PREFIX}${id}`;
      await store.commit([{ key, version: 0 }], [{ key, value: JSON.stringify(record) }]);
      return { id, token, expiresAtMs: record.expiresAtMs };
    },
    verify: async (token) => {
      const claims = await verifySignature(token, keys.publicKey, clock);
      const entry = await store.get(`${PREFIX}${claims.jti}`);
      const { claimedAtMs } = checkUsable(claims.jti, entry, clock);
      if (claimedAtMs !== undefined && claimedAtMs + CLAIM_RETRY_MS <= clock.wallNow()) throw used(claims.jti);
      return claims;
    },
    claim: async (id, keyHash) => {
      const key = `${PREFIX}${id}`;
      for (;;) {
        const entry = await store.get(key);
        const record = checkUsable(id, entry, clock);
        if (record.uses === "multi" || record.claimedBy === keyHash) return;
        if (record.claimedBy !== undefined) throw used(id);
        const claimed: TokenRecord = { ...record, claimedBy: keyHash, claimedAtMs: clock.wallNow() };
        const value = JSON.stringify(claimed);
        if (await store.commit([{ key, version: entry?.version ?? 0 }], [{ key, value }])) return;
        // Somebody was faster: a claim or a revocation, and both are final, so the loop ends.
      }
    },
    list: async () => {
      const entries = await store.list(PREFIX);
      return entries.map(({ key, value }) => {
        const { namespace, serviceAccount, uses, expiresAtMs, ...rest } = recordOf(value);
        const state = stateOf({ expiresAtMs, ...rest }, clock.wallNow());
        return { id: key.slice(PREFIX.length), namespace, serviceAccount, uses, expiresAtMs, state };
      });
    },
    revoke: async (id) => {
      const key = `${PREFIX}${id}`;
      for (;;) {
        const entry = await store.get(key);
        if (entry === undefined) return false;
        const record = recordOf(entry.value);
        if (record.revoked) return true;
        const value = JSON.stringify({ ...record, revoked: true } satisfies TokenRecord);
        if (await store.commit([{ key, version: entry.version }], [{ key, value }])) return true;
      }
    },
  };
};

const stateOf = (
  record: Pick<TokenRecord, "expiresAtMs" | "revoked" | "claimedBy">,
  nowMs: number,
): TokenList["tokens"][number]["state"] => {
  if (record.revoked) return "revoked";
  if (record.claimedBy !== undefined) return "used";
  return record.expiresAtMs <= nowMs ? "expired" : "valid";
};

const checkUsable = (id: string, entry: StoreEntry | undefined, clock: Clock): TokenRecord => {
  const record = entry === undefined ? undefined : recordOf(entry.value);
  if (record === undefined || record.revoked) {
    // A token that the store does not know may have been revoked in a history that was lost.
    throw new EnrollmentRefused("token-revoked", `the join token ${id} was revoked or is not known: create a new one`);
  }
  if (record.expiresAtMs <= clock.wallNow()) throw expired(id, record.expiresAtMs);
  return record;
};

const used = (id: string): EnrollmentRefused =>
  new EnrollmentRefused("token-used", `the single-use join token ${id} was used already: create a new one`);

const expired = (id: string, atMs: number): EnrollmentRefused =>
  new EnrollmentRefused(
    "token-expired",
    `the join token ${id} expired at ${new Date(atMs).toISOString()}: create a new one`,
  );

interface TokenKeys {
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
}

const openKeys = async (keyStore: KeyStore): Promise<TokenKeys> => {
  const stored = await keyStore.read(KEY_FILE);
  const pem = stored ?? newKeyPair();
  if (stored === undefined) await keyStore.write(KEY_FILE, pem);
  const [publicPart = "", privatePart = ""] = pem.split(/(?=-----BEGIN PRIVATE KEY-----)/);
  try {
    return {
      publicKey: await importSPKI(publicPart, ALGORITHM),
      privateKey: await importPKCS8(privatePart, ALGORITHM),
    };
  } catch (cause) {
    throw new Error(`${KEY_FILE} in the state folder cannot be read: restore it, or remove it (all join tokens end)`, {
      cause,
    });
  }
};

const newKeyPair = (): string => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  return `${publicKey}${privateKey}`;
};

const verifySignature = async (token: string, key: CryptoKey, clock: Clock): Promise<JoinTokenClaims> => {
  if (token.length > MAX_TOKEN_LENGTH) throw malformed("it is too long");
  try {
    const { payload } = await jwtVerify<JoinTokenClaims>(token, key, {
      algorithms: [ALGORITHM],
      typ: TYPE,
      currentDate: new Date(clock.wallNow()),
      requiredClaims: ["jti", "exp", "iat", "trustDomain", "namespace", "serviceAccount", "uses", "pin"],
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) {
      throw expired(String(error.payload.jti), Number(error.payload.exp) * 1000);
    }
    if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JOSEAlgNotAllowed) {
      throw new EnrollmentRefused(
        "token-signature",
        "the join token was not signed by this config-server: it belongs to another mesh, or was changed",
      );
    }
    throw malformed(error instanceof Error ? error.message : "unknown form");
  }
};

const malformed = (reason: string): EnrollmentRefused =>
  new EnrollmentRefused("token-malformed", `this is no join token: ${reason}`);

// Only this file writes these records.
const recordOf = (value: string): TokenRecord => JSON.parse(value) as TokenRecord;
