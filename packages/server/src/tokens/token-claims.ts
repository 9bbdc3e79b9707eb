import { type EffectiveJwtRule, sanitizeAudience, type VerifiedToken } from "@tulle/policy";
import { type CompactToken, readObject } from "./compact-token.ts";
import { invalid, type TokenFlaw } from "./token-flaw.ts";

/** How far the clocks of issuer and member may be apart, seconds (Envoy). */
export const CLOCK_SKEW_SECONDS = 60;

/** Objects and lists within one another in a token's claims. */
export const MAX_CLAIM_DEPTH = 32;

/** What a token claims, well-formed but not proven. */
export interface TokenClaims {
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  readonly presenter: string | undefined;
  /** Seconds since 1970; without one the token has no end (Envoy). */
  readonly expiresAt: number | undefined;
  /** Seconds since 1970. */
  readonly notBefore: number | undefined;
  readonly all: Readonly<Record<string, unknown>>;
}

/** Reads the claims, or says what is malformed. */
export const readClaims = (token: CompactToken): TokenClaims | TokenFlaw => {
  const all = readObject(token.payload);
  if (all === undefined) return invalid("the token's claims are not a JSON object");
  if (depthOf(all) > MAX_CLAIM_DEPTH) return invalid(`the token's claims are nested deeper than ${MAX_CLAIM_DEPTH}`);
  const { iss, sub, aud, azp, exp, nbf, iat } = all;
  if (iss !== undefined && typeof iss !== "string") return invalid('the token\'s "iss" is no text');
  if (sub !== undefined && typeof sub !== "string") return invalid('the token\'s "sub" is no text');
  const audiences = aud === undefined ? [] : typeof aud === "string" ? [aud] : aud;
  if (!isTexts(audiences)) return invalid('the token\'s "aud" is neither a text nor a list of texts');
  if (!isTime(exp)) return invalid('the token\'s "exp" is no time');
  if (!isTime(nbf)) return invalid('the token\'s "nbf" is no time');
  // When it was issued is not compared with now: only "nbf" says from when it holds (Envoy).
  if (!isTime(iat)) return invalid('the token\'s "iat" is no time');
  return {
    issuer: iss ?? "",
    subject: sub ?? "",
    audiences,
    presenter: typeof azp === "string" ? azp : undefined,
    expiresAt: exp,
    notBefore: nbf,
    all,
  };
};

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((each) => typeof each === "string");

const isTime = (value: unknown): value is number | undefined =>
  value === undefined || (typeof value === "number" && Number.isFinite(value) && value >= 0);

/** Counts without recursion: the depth is the sender's choice. */
const depthOf = (root: object): number => {
  let level: readonly unknown[] = [root];
  for (let depth = 0; ; depth++) {
    if (level.length === 0 || depth > MAX_CLAIM_DEPTH) return depth;
    level = level.flatMap((value) => Object.values(value as object)).filter((value) => isNested(value));
  }
};

const isNested = (value: unknown): value is object => typeof value === "object" && value !== null;

/** Why a token does not hold now, if so. */
export const wrongTime = (
  { expiresAt, notBefore }: Pick<TokenClaims, "expiresAt" | "notBefore">,
  wallNowMs: number,
): TokenFlaw | undefined => {
  const now = wallNowMs / 1_000;
  if (expiresAt !== undefined && now > expiresAt + CLOCK_SKEW_SECONDS) return invalid("the token is expired");
  return notBefore !== undefined && now < notBefore - CLOCK_SKEW_SECONDS
    ? invalid("the token is not yet valid")
    : undefined;
};

/** Why a token's claims do not fit a rule, if so; looked at before any signature is checked. */
export const wrongClaims = (claims: TokenClaims, rule: EffectiveJwtRule, wallNowMs: number): TokenFlaw | undefined => {
  if (rule.issuer !== undefined && claims.issuer !== rule.issuer) {
    return { ...invalid("no rule names the issuer of the token"), unknownIssuer: true };
  }
  const untimely = wrongTime(claims, wallNowMs);
  if (untimely !== undefined) return untimely;
  const { audiences } = rule;
  return audiences.length === 0 || claims.audiences.some((each) => audiences.includes(sanitizeAudience(each)))
    ? undefined
    : { code: "TOKEN_AUDIENCE_REFUSED", detail: "the token is for another audience" };
};

/** The claim at a path; `undefined` where there is none. */
export const claimAt = (claims: Readonly<Record<string, unknown>>, path: readonly string[]): unknown => {
  let value: unknown = claims;
  for (const step of path) {
    if (!isNested(value) || Array.isArray(value) || !Object.hasOwn(value, step)) return undefined;
    // An object of unknown shape is read by name.
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value;
};

/**
 * What policies and handlers are told of a token that was proven. Frozen all through: it is shared by all visits with the
 * same token, and a handler that changed it would change what others may do.
 */
export const verifiedTokenOf = (claims: TokenClaims, rule: EffectiveJwtRule): VerifiedToken => {
  const all = structuredClone(claims.all);
  for (const path of rule.spaceDelimitedClaims) divide(all, path);
  return Object.freeze({
    issuer: claims.issuer,
    subject: claims.subject,
    audiences: Object.freeze([...claims.audiences]),
    presenter: claims.presenter,
    claims: freezeAll(all),
  });
};

/** Makes a list of a claim that is a text divided by spaces. */
const divide = (claims: Readonly<Record<string, unknown>>, path: readonly string[]): void => {
  const holder = claimAt(claims, path.slice(0, -1));
  const name = path.at(-1) ?? "";
  const text = claimAt(claims, path);
  if (typeof text !== "string" || !isNested(holder)) return;
  Object.defineProperty(holder, name, {
    value: text.split(" ").filter((each) => each !== ""),
    enumerable: true,
    configurable: true,
    writable: true,
  });
};

const freezeAll = <T extends object>(root: T): T => {
  const left: object[] = [root];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    Object.freeze(next);
    left.push(...Object.values(next).filter(isNested));
  }
  return root;
};
