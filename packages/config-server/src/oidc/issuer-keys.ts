import { readFile } from "node:fs/promises";
import type { Clock } from "@tulle/time";
import { type CryptoKey, createLocalJWKSet, errors, type JSONWebKeySet, type JWSHeaderParameters } from "jose";
import { fetchJson } from "./fetch-json.ts";
import { isSafeUrl, type OidcIssuer } from "./oidc-issuer.ts";

/** Keys are taken for good for so long. */
export const KEYS_FRESH_MS = 300_000;
/** And for so long when newer ones cannot be had: an issuer's outage does not end joining, a key that was taken back does end. */
export const KEYS_MAX_STALE_MS: number = 24 * 3_600_000;
/** A token that names an unknown key makes the keys be looked at again, this often at most. */
export const UNKNOWN_KEY_REFETCH_MS = 30_000;
/** After a failure the issuer is left alone for so long. */
export const FETCH_RETRY_MS = 5_000;
/** For each document. */
export const FETCH_TIMEOUT_MS = 5_000;
/** Of a discovery document or a key set. Google's has 2 KB, a large cluster's 10 KB. */
export const MAX_DOCUMENT_BYTES = 262_144;
const MAX_KEYS = 100;

/** Thrown when an issuer's keys cannot be had, and no kept ones are young enough. */
export class KeysUnavailable extends Error {
  override readonly name: string = "KeysUnavailable";
}

type KeySet = ReturnType<typeof createLocalJWKSet>;

/** The public keys of one issuer, fetched when they are needed, kept, and looked at again. */
export class IssuerKeys {
  readonly counters = { fetches: 0, fetchFailures: 0, staleUses: 0, unknownKeys: 0 };
  readonly #issuer: OidcIssuer;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #held: { readonly keys: KeySet; readonly atMs: number } | undefined;
  #fetching: Promise<KeySet> | undefined;
  #failed: { readonly error: unknown; readonly atMs: number } | undefined;
  #triedMs = Number.NEGATIVE_INFINITY;

  constructor(issuer: OidcIssuer, clock: Clock) {
    this.#issuer = issuer;
    this.#clock = clock;
  }

  /**
   * The key that a token names.
   *
   * @throws KeysUnavailable; errors of jose when the issuer has no such key, or several.
   */
  async find(header: JWSHeaderParameters): Promise<CryptoKey> {
    const keys = await this.#current();
    try {
      return await keys(header);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      this.counters.unknownKeys += 1;
      const newer = await this.#afterUnknownKey();
      if (newer === undefined) throw error;
      return newer(header);
    }
  }

  close(): void {
    this.#stop.abort();
  }

  async #current(): Promise<KeySet> {
    const held = this.#held;
    const ageMs = held === undefined ? Number.POSITIVE_INFINITY : this.#clock.now() - held.atMs;
    if (held !== undefined && (ageMs < KEYS_FRESH_MS || this.#issuer.jwks !== undefined)) return held.keys;
    try {
      return await this.#refresh();
    } catch (cause) {
      if (held !== undefined && ageMs < KEYS_MAX_STALE_MS) {
        this.counters.staleUses += 1;
        return held.keys;
      }
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new KeysUnavailable(`the keys of ${this.#issuer.issuer} cannot be had: ${why}`, { cause });
    }
  }

  async #afterUnknownKey(): Promise<KeySet | undefined> {
    if (this.#issuer.jwks !== undefined) return undefined;
    if (this.#clock.now() - this.#triedMs < UNKNOWN_KEY_REFETCH_MS && this.#fetching === undefined) return undefined;
    return this.#refresh().catch(() => undefined);
  }

  /** One fetch at a time, whoever waits for it. */
  #refresh(): Promise<KeySet> {
    const failed = this.#failed;
    if (failed !== undefined && this.#clock.now() - failed.atMs < FETCH_RETRY_MS) return Promise.reject(failed.error);
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetch(): Promise<KeySet> {
    this.counters.fetches += 1;
    this.#triedMs = this.#clock.now();
    try {
      const keys = createLocalJWKSet(usable(await this.#read()));
      this.#held = { keys, atMs: this.#clock.now() };
      this.#failed = undefined;
      return keys;
    } catch (error) {
      this.counters.fetchFailures += 1;
      this.#failed = { error, atMs: this.#clock.now() };
      throw error;
    }
  }

  async #read(): Promise<unknown> {
    const { issuer, jwks, jwksFile, jwksUri } = this.#issuer;
    if (jwks !== undefined) return jwks;
    if (jwksFile !== undefined) return JSON.parse(await readFile(jwksFile, "utf8"));
    if (jwksUri !== undefined) return this.#get(jwksUri);
    const document = await this.#get(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
    const said = isRecord(document) ? document : {};
    if (said.issuer !== issuer) {
      throw new Error(`its discovery document is of the issuer "${String(said.issuer).slice(0, 200)}"`);
    }
    if (typeof said.jwks_uri !== "string" || !isSafeUrl(said.jwks_uri)) {
      throw new Error(`its discovery document names no https jwks_uri: "${String(said.jwks_uri).slice(0, 200)}"`);
    }
    return this.#get(said.jwks_uri);
  }

  async #get(url: string): Promise<unknown> {
    const { caFile, bearerTokenFile } = this.#issuer;
    return fetchJson({
      url,
      ca: caFile === undefined ? undefined : await readFile(caFile, "utf8"),
      bearer: bearerTokenFile === undefined ? undefined : (await readFile(bearerTokenFile, "utf8")).trim(),
      clock: this.#clock,
      timeoutMs: FETCH_TIMEOUT_MS,
      maxBytes: MAX_DOCUMENT_BYTES,
      signal: this.#stop.signal,
    });
  }
}

/** Public signing keys alone: a shared secret in a public document proves nothing, and would be the confusion of HS256. */
const usable = (document: unknown): JSONWebKeySet => {
  const listed = isRecord(document) && Array.isArray(document.keys) ? document.keys : undefined;
  if (listed === undefined) throw new Error("its key set is none");
  if (listed.length > MAX_KEYS) throw new Error(`its key set has ${listed.length} keys, more than ${MAX_KEYS}`);
  const keys = listed.filter(
    (key) => isRecord(key) && PUBLIC_KEYS.has(String(key.kty)) && (key.use ?? "sig") === "sig",
  );
  if (keys.length === 0) throw new Error("its key set has no public signing key");
  return { keys };
};

const PUBLIC_KEYS: ReadonlySet<string> = new Set(["RSA", "EC", "OKP"]);

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
