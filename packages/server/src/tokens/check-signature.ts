import type { CryptoKey } from "jose";
import type { CompactToken } from "./compact-token.ts";
import type { PublicJwk, TokenKey } from "./key-set.ts";

/** What is used of jose. */
type Jose = Pick<typeof import("jose"), "compactVerify" | "importJWK">;

type ImportedKey = CryptoKey | Uint8Array;

/** Checks signatures. Loads jose when it is first asked to, so that processes without rules about tokens never do. */
export class SignatureCheck {
  #loading: Promise<Jose> | undefined;
  /** Keys as the cryptography wants them, by algorithm; they live as long as their key set. */
  readonly #imported = new WeakMap<PublicJwk, Map<string, Promise<ImportedKey>>>();

  /** Loads what is needed. @throws as the import does. */
  load(): Promise<Jose> {
    this.#loading ??= import("jose");
    return this.#loading;
  }

  /** Whether one of some keys signed a token. A key that is broken signed nothing. */
  async isSignedByAny(token: CompactToken, keys: readonly TokenKey[]): Promise<boolean> {
    const jose = await this.load();
    const { alg } = token.header;
    for (const { jwk } of keys) {
      try {
        // The algorithm is pinned to the one that the key was chosen by.
        await jose.compactVerify(token.text, await this.#import(jose, jwk, alg), { algorithms: [alg] });
        return true;
      } catch {
        // The next key may be the one.
      }
    }
    return false;
  }

  #import({ importJWK }: Jose, jwk: PublicJwk, alg: string): Promise<ImportedKey> {
    let byAlgorithm = this.#imported.get(jwk);
    if (byAlgorithm === undefined) {
      byAlgorithm = new Map();
      this.#imported.set(jwk, byAlgorithm);
    }
    let key = byAlgorithm.get(alg);
    if (key === undefined) {
      key = importJWK({ ...jwk }, alg);
      byAlgorithm.set(alg, key);
    }
    return key;
  }
}
