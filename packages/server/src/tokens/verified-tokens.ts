import { hash } from "node:crypto";
import type { VerifiedToken } from "@tulle/policy";
import { LRUCache } from "lru-cache";
import type { ClaimHeader } from "./claim-headers.ts";
import type { KeySet } from "./key-set.ts";
import type { TokenClaims } from "./token-claims.ts";

/** Tokens that are remembered, and the length of their texts together, characters. Beyond it the least used is forgotten. */
export const MAX_REMEMBERED_TOKENS = 1_000;
const MAX_REMEMBERED_CHARACTERS = 4_194_304;

/** What was proven of a token by one rule. */
export interface ProvenToken extends Pick<TokenClaims, "expiresAt" | "notBefore"> {
  readonly token: VerifiedToken;
  /** What the rule tells the handler. */
  readonly headers: readonly ClaimHeader[];
  /** The keys that were asked: with other ones it is no proof. */
  readonly keys: KeySet;
}

interface Remembered {
  readonly issuer: string;
  readonly byRule: Map<number, ProvenToken>;
  readonly size: number;
}

/**
 * Tokens that were proven, found by the hash of their text, for each rule that believed them. Only good ones: a bad one costs
 * its sender as much as us each time. Whoever asks looks at times and keys again.
 */
export class VerifiedTokens {
  readonly #tokens = new LRUCache<string, Remembered>({
    max: MAX_REMEMBERED_TOKENS,
    maxSize: MAX_REMEMBERED_CHARACTERS,
    sizeCalculation: ({ size }) => size,
  });
  hits = 0;

  /** What is known of a token: its issuer and what the rule proved of it; `undefined` when it was never proven. */
  find(text: string, rule: number): { readonly issuer: string; readonly proven: ProvenToken | undefined } | undefined {
    const known = this.#tokens.get(keyOf(text));
    return known === undefined ? undefined : { issuer: known.issuer, proven: known.byRule.get(rule) };
  }

  remember(text: string, rule: number, proven: ProvenToken): void {
    const key = keyOf(text);
    const known = this.#tokens.get(key);
    if (known !== undefined) known.byRule.set(rule, proven);
    else {
      this.#tokens.set(key, {
        issuer: proven.token.issuer,
        byRule: new Map([[rule, proven]]),
        size: Math.max(1, text.length),
      });
    }
  }

  /** The rules are others now. */
  clear(): void {
    this.#tokens.clear();
  }

  get size(): number {
    return this.#tokens.size;
  }
}

/** Not the token itself: a dump of the memory should not hand out what opens doors. */
const keyOf = (text: string): string => hash("sha256", text, "base64url");
