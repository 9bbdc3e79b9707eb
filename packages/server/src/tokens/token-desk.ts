import type { IncomingMessage } from "node:http";
import type { EffectiveJwtRule, RemoteJwks } from "@tulle/policy";
import { SignatureCheck } from "./check-signature.ts";
import { claimHeadersOf, namesOfClaimHeaders } from "./claim-headers.ts";
import { type CompactToken, isFlaw, readCompactToken } from "./compact-token.ts";
import { fixedKeys, type IssuerKeys } from "./issuer-keys.ts";
import { isKnownAlgorithm, type KeySet, keysFor } from "./key-set.ts";
import { KeyCounters, RemoteKeys, type RemoteKeysKit } from "./remote-keys.ts";
import { readClaims, type TokenClaims, verifiedTokenOf, wrongClaims, wrongTime } from "./token-claims.ts";
import { invalid, type TokenFlaw } from "./token-flaw.ts";
import { type FoundToken, findTokens, placesOf, type TokenPlace, type TokenPlaces } from "./token-places.ts";
import { type ProvenToken, VerifiedTokens } from "./verified-tokens.ts";

/** Texts of one request that may be looked at as tokens. */
export const MAX_TOKENS_PER_REQUEST = 8;

/** What a request's tokens say of its end user. */
export interface EndUser {
  readonly proven: ProvenToken;
  /** Where tokens stand that the handler is not to see. */
  readonly hidden: ReadonlySet<TokenPlace>;
}

/** The end user, `undefined` for a request without token, or why one of its tokens is not believed. */
export type Authenticated = EndUser | TokenFlaw | undefined;

/** What the desk needs. */
export type TokenDeskKit = Omit<RemoteKeysKit, "counters">;

/** A rule with its keys. */
interface ReadyRule {
  readonly at: number;
  readonly rule: EffectiveJwtRule;
  readonly keys: IssuerKeys;
  readonly places: readonly TokenPlace[];
}

/** A token taken apart once for all rules. */
type Opened = { readonly token: CompactToken; readonly claims: TokenClaims } | TokenFlaw;

/**
 * Says who the end user of a request is. Istio's way: a rule is content when every token in the places that it looks into is
 * good by it, and one content rule is enough. Beyond that no token may be left that no rule believes: Istio calls requests
 * with several tokens undefined, and a handler must never meet one that nobody checked. Nor may a rule that requires a token
 * be left without one.
 */
export class TokenDesk {
  readonly #kit: TokenDeskKit;
  readonly #signatures = new SignatureCheck();
  readonly #verified = new VerifiedTokens();
  readonly #counters = new KeyCounters();
  readonly #remote = new Map<string, RemoteKeys>();
  #written = "[]";
  #rules: readonly ReadyRule[] = [];
  /** Those of them without whose token no request passes. */
  #requires: readonly ReadyRule[] = [];
  #places: TokenPlaces = { all: [], ofRule: [] };
  #ownHeaders: ReadonlySet<string> = new Set();

  constructor(kit: TokenDeskKit) {
    this.#kit = kit;
  }

  /** Headers that only the rules may say. */
  get ownHeaders(): ReadonlySet<string> {
    return this.#ownHeaders;
  }

  /** Takes over the rules of a new policy. Keys of addresses that were known stay; all else is forgotten where a rule changed. */
  take(rules: readonly EffectiveJwtRule[]): void {
    const written = JSON.stringify(rules);
    if (written === this.#written) return;
    this.#written = written;
    this.#verified.clear();
    this.#places = placesOf(rules);
    this.#ownHeaders = namesOfClaimHeaders(rules);
    const wanted = new Map<string, RemoteJwks>();
    for (const { keys } of rules) {
      if (!("uri" in keys)) continue;
      const longest = Math.max(keys.timeoutMs, wanted.get(sourceOf(keys))?.timeoutMs ?? 0);
      wanted.set(sourceOf(keys), { ...keys, timeoutMs: longest });
    }
    for (const [source, keys] of this.#remote) {
      if (wanted.has(source)) continue;
      keys.close();
      this.#remote.delete(source);
    }
    for (const [source, where] of wanted) {
      const known = this.#remote.get(source);
      if (known !== undefined) known.timeoutMs = where.timeoutMs;
      else this.#remote.set(source, new RemoteKeys(where, { ...this.#kit, counters: this.#counters }));
    }
    this.#rules = rules.map((rule, at) => ({
      at,
      rule,
      keys: this.#keysOf(rule),
      places: this.#places.ofRule[at] ?? [],
    }));
    this.#requires = this.#rules.filter(({ rule }) => rule.isRequired);
    // What cannot be loaded is met again by the first token, which is then refused.
    if (rules.length > 0) this.#signatures.load().catch(() => undefined);
  }

  #keysOf({ keys }: EffectiveJwtRule): IssuerKeys {
    if ("jwks" in keys) return fixedKeys(keys.jwks);
    const remote = this.#remote.get(sourceOf(keys));
    if (remote === undefined) throw new Error(`no keys are fetched from ${keys.uri}`);
    return remote;
  }

  /** Who the end user is. At once where all tokens are known; never rejects but for a broken installation. */
  authenticate(request: IncomingMessage): Authenticated | Promise<Authenticated> {
    const found = findTokens(request, this.#places.all);
    if (found.length === 0) return this.#requires.length === 0 ? undefined : missing;
    if (found.length > MAX_TOKENS_PER_REQUEST) {
      return invalid(`the request carries more than ${MAX_TOKENS_PER_REQUEST} tokens`);
    }
    const questions = questionsOf(this.#rules, found);
    const answers: Answer[] = [];
    for (const { rule, text } of questions) {
      const known = this.#known(rule, text);
      if (known === undefined) return this.#authenticateLater(questions, found);
      answers.push({ rule, text, verdict: known });
    }
    this.#verified.hits++;
    return conclude(answers, found, this.#requires);
  }

  async #authenticateLater(questions: readonly Question[], found: readonly FoundToken[]): Promise<Authenticated> {
    const requires = this.#requires;
    const opened = new Map<string, Opened>();
    const answers: Answer[] = [];
    for (const { rule, text } of questions) {
      const known = opened.get(text) ?? open(text);
      opened.set(text, known);
      const verdict = isFlaw(known) ? known : await this.#prove(rule, known);
      answers.push({ rule, text, verdict });
    }
    return conclude(answers, found, requires);
  }

  /** What an earlier request proved, where that still holds. */
  #known({ at, rule, keys }: ReadyRule, text: string): ProvenToken | TokenFlaw | undefined {
    const known = this.#verified.find(text, at);
    if (known === undefined) return undefined;
    if (rule.issuer !== undefined && known.issuer !== rule.issuer) return unknownIssuer;
    const { proven } = known;
    if (proven === undefined || keys.current() !== proven.keys) return undefined;
    return wrongTime(proven, this.#kit.clock.wallNow()) ?? proven;
  }

  async #prove(
    { at, rule, keys }: ReadyRule,
    { token, claims }: Exclude<Opened, TokenFlaw>,
  ): Promise<ProvenToken | TokenFlaw> {
    const wrong = wrongClaims(claims, rule, this.#kit.clock.wallNow());
    if (wrong !== undefined) return wrong;
    const used = await this.#keysThatSigned(token, keys);
    if (isFlaw(used)) return used;
    const proven: ProvenToken = {
      token: verifiedTokenOf(claims, rule),
      headers: claimHeadersOf(rule, claims.all, token.payloadSegment),
      expiresAt: claims.expiresAt,
      notBefore: claims.notBefore,
      keys: used,
    };
    // The rules may be others by now, and the places of the old ones mean nothing there.
    if (this.#rules[at]?.rule === rule) this.#verified.remember(token.text, at, proven);
    return proven;
  }

  async #keysThatSigned(token: CompactToken, source: IssuerKeys): Promise<KeySet | TokenFlaw> {
    if (!isKnownAlgorithm(token.header.alg)) return invalid("the token's algorithm is not accepted");
    const keys = source.current() ?? (await source.arrival());
    if (keys === undefined) return keysUnavailable;
    if (await this.#signatures.isSignedByAny(token, keysFor(keys, token.header))) return keys;
    const { kid } = token.header;
    if (kid !== undefined && keys.keys.some((key) => key.kid === kid)) return notSigned;
    // The issuer may sign with a key that is newer than what we have.
    const newer = await source.renewed();
    if (newer === undefined || newer === keys) return notSigned;
    return (await this.#signatures.isSignedByAny(token, keysFor(newer, token.header))) ? newer : notSigned;
  }

  /** Plain counters by name. */
  counters(): Record<string, number> {
    const { fetches, failures, limited, turnedAway, staleUses, storageFailures } = this.#counters;
    return {
      tokenCacheHits: this.#verified.hits,
      tokensRemembered: this.#verified.size,
      keyFetches: fetches,
      keyFetchFailures: failures,
      keyFetchesLimited: limited,
      keyWaitsRefused: turnedAway,
      staleKeyUses: staleUses,
      keyStorageFailures: storageFailures,
    };
  }

  close(): void {
    for (const keys of this.#remote.values()) keys.close();
    this.#remote.clear();
    this.#verified.clear();
  }
}

/** Rules with the same source share its keys. */
const sourceOf = ({ uri, discovers }: RemoteJwks): string => JSON.stringify([uri, discovers]);

const unknownIssuer: TokenFlaw = { ...invalid("no rule names the issuer of the token"), unknownIssuer: true };
const notSigned: TokenFlaw = invalid("no key of the issuer signed the token");
const missing: TokenFlaw = { code: "TOKEN_MISSING", detail: "a token is required that the request does not carry" };
const keysUnavailable: TokenFlaw = {
  code: "TOKEN_KEYS_UNAVAILABLE",
  detail: "the keys of the token's issuer cannot be had",
};

const open = (text: string): Opened => {
  const token = readCompactToken(text);
  if (isFlaw(token)) return token;
  const claims = readClaims(token);
  return isFlaw(claims) ? claims : { token, claims };
};

interface Question {
  readonly rule: ReadyRule;
  readonly text: string;
}

interface Answer extends Question {
  readonly verdict: ProvenToken | TokenFlaw;
}

/** Each rule is asked about each text in its places once. */
const questionsOf = (rules: readonly ReadyRule[], found: readonly FoundToken[]): readonly Question[] =>
  rules.flatMap((rule) => {
    const texts = new Set(found.filter(({ place }) => rule.places.includes(place)).map(({ text }) => text));
    return [...texts].map((text) => ({ rule, text }));
  });

const conclude = (
  answers: readonly Answer[],
  found: readonly FoundToken[],
  requires: readonly ReadyRule[],
): EndUser | TokenFlaw => {
  const content = [...new Set(answers.map(({ rule }) => rule))].filter((rule) =>
    answers.every((answer) => answer.rule !== rule || !isFlaw(answer.verdict)),
  );
  const flaws = answers.map(({ verdict }) => verdict).filter(isFlaw);
  const flaw = flaws.find((each) => each.unknownIssuer !== true) ?? flaws[0];
  const [first] = content;
  if (first === undefined) return flaw ?? unknownIssuer;
  const hidden = new Set<TokenPlace>();
  for (const { place, text } of found) {
    const believer = answers.find(
      ({ rule, text: asked, verdict }) => asked === text && rule.places.includes(place) && !isFlaw(verdict),
    );
    if (believer === undefined) return flaw ?? unknownIssuer;
    if (!believer.rule.rule.forwardOriginalToken) hidden.add(place);
  }
  if (requires.some((rule) => !content.includes(rule))) return missing;
  const proven = answers.find(({ rule }) => rule === first)?.verdict;
  return proven === undefined || isFlaw(proven) ? (flaw ?? unknownIssuer) : { proven, hidden };
};
