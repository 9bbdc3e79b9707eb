import { type Duration, parseDuration } from "./duration.ts";
import { durationLimits, wrongHeaderName } from "./field-limits.ts";
import { wrongChangedHeader } from "./header-changes-policy.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";

/** A header in which a token stands. */
export interface JwtHeader {
  readonly name: string;
  /**
   * What stands before the token, compared with case, the space included: `"Bearer "`. A header without it holds no token.
   * @default none, the whole value is the token
   */
  readonly prefix?: string;
}

/** A claim that is copied into a header. */
export interface ClaimToHeader {
  /** Letters, digits, `-` and `_`. Whatever a caller sends by this name is taken out, also where there is no token. */
  readonly header: string;
  /** The claim's name; `a.b.c` names a claim within others. Only texts, numbers and booleans are copied. */
  readonly claim: string;
}

/**
 * Which tokens of end users (JWT) are believed. A request without a token passes and has no end user, unless `presence` says
 * otherwise; one with a token that is not good is refused. Known elsewhere as `jwtRules` of Istio's RequestAuthentication, by whose names its fields go.
 */
export interface JwtRule {
  /**
   * Must be the token's `iss`, exactly. Without it the keys may speak for whatever issuer a token names, those of other rules
   * included.
   * @default every issuer whose tokens the keys of `jwksUri` or `jwks` have signed (Istio)
   */
  readonly issuer?: string;
  /**
   * Of which the token's `aud` must name one. `http://`, `https://` and a slash at the end do not count, on either side (Envoy).
   * @default every audience
   */
  readonly audiences?: readonly string[];
  /**
   * Where the issuer publishes its keys: an `https://` or `http://` address, from which each member fetches them itself.
   * Redirects are not followed. At most one of `jwksUri` and `jwks` is set.
   * @default without `jwks`: what the issuer, which then is an address, tells by OpenID discovery (Istio)
   */
  readonly jwksUri?: string;
  /** The keys themselves, a JSON Web Key Set as JSON text; at most 65,536 characters. */
  readonly jwks?: string;
  /** Headers to look into. @default with neither `fromParams` nor `fromCookies`: `authorization` with the prefix `"Bearer "` */
  readonly fromHeaders?: readonly JwtHeader[];
  /** Parameters of the query to look into. @default with neither `fromHeaders` nor `fromCookies`: `access_token` */
  readonly fromParams?: readonly string[];
  /** Cookies to look into. @default none */
  readonly fromCookies?: readonly string[];
  /** Whether the handler sees the token too; else it is taken out where it was found. @default false */
  readonly forwardOriginalToken?: boolean;
  /** A header that carries the token's payload to the handler, in base64url as the token has it. @default none */
  readonly outputPayloadToHeader?: string;
  /** Claims that are copied into headers for the handler. @default none */
  readonly outputClaimToHeaders?: readonly ClaimToHeader[];
  /** Claims whose text is a list divided by spaces, besides `scope` and `permission`; `a.b` names a claim within others. @default none */
  readonly spaceDelimitedClaims?: readonly string[];
  /**
   * Whether a request must carry a token that this rule believes; where it is `required` and there is none, the request is
   * refused.
   * @default "optional" (Istio)
   */
  readonly presence?: "optional" | "required";
  /** How long fetching the keys may take. Range 1ms to 1m. @default "5s" (Istio) */
  readonly timeout?: Duration;
}

/** {@link JwtRule.timeout} in milliseconds. */
export const DEFAULT_JWKS_TIMEOUT_MS = 5_000;

/** Rules that one policy may hold: 64. */
export const MAX_JWT_RULES = 64;

/** Longest key set that a policy may hold, characters: a resource must hold it beside all else. */
export const MAX_INLINE_JWKS_CHARACTERS = 65_536;

/** Claims whose text is always a list divided by spaces (Istio). */
export const SPACE_DELIMITED_CLAIMS: readonly string[] = ["scope", "permission"];

/** Where tokens are looked for where a rule names no place (Istio). */
const DEFAULT_HEADERS: readonly JwtHeader[] = [{ name: "authorization", prefix: "Bearer " }];
const DEFAULT_PARAMS: readonly string[] = ["access_token"];

/** Where keys are fetched from. */
export interface RemoteJwks {
  readonly uri: string;
  /** Set where `uri` is no key set, but tells by OpenID discovery where this issuer has one. */
  readonly discovers: string | undefined;
  readonly timeoutMs: number;
}

/** A rule with every default filled in. */
export interface EffectiveJwtRule {
  /** `undefined`: every issuer. */
  readonly issuer: string | undefined;
  /** As {@link sanitizeAudience} makes them; empty: every audience. */
  readonly audiences: readonly string[];
  readonly keys: RemoteJwks | { readonly jwks: string };
  /** Names in lower case. */
  readonly headers: readonly { readonly name: string; readonly prefix: string }[];
  readonly params: readonly string[];
  readonly cookies: readonly string[];
  readonly forwardOriginalToken: boolean;
  readonly isRequired: boolean;
  /** In lower case. */
  readonly payloadHeader: string | undefined;
  /** Headers in lower case, claims as the steps of their path. */
  readonly claimHeaders: readonly { readonly header: string; readonly claim: readonly string[] }[];
  /** As the steps of their paths. */
  readonly spaceDelimitedClaims: readonly (readonly string[])[];
}

/** Fills in the defaults of a rule. */
export const effectiveJwtRule = (rule: JwtRule): EffectiveJwtRule => {
  const named = [rule.fromHeaders, rule.fromParams, rule.fromCookies].some((each) => (each?.length ?? 0) > 0);
  const headers = rule.fromHeaders ?? (named ? [] : DEFAULT_HEADERS);
  return {
    issuer: rule.issuer,
    audiences: (rule.audiences ?? []).map(sanitizeAudience),
    keys: rule.jwks === undefined ? remoteJwks(rule) : { jwks: rule.jwks },
    headers: headers.map(({ name, prefix = "" }) => ({ name: name.toLowerCase(), prefix })),
    params: rule.fromParams ?? (named ? [] : DEFAULT_PARAMS),
    cookies: rule.fromCookies ?? [],
    forwardOriginalToken: rule.forwardOriginalToken ?? false,
    isRequired: rule.presence === "required",
    payloadHeader: rule.outputPayloadToHeader?.toLowerCase(),
    claimHeaders: (rule.outputClaimToHeaders ?? []).map(({ header, claim }) => ({
      header: header.toLowerCase(),
      claim: claim.split("."),
    })),
    spaceDelimitedClaims: [...SPACE_DELIMITED_CLAIMS, ...(rule.spaceDelimitedClaims ?? [])].map((claim) =>
      claim.split("."),
    ),
  };
};

const remoteJwks = ({ issuer = "", jwksUri, timeout }: JwtRule): RemoteJwks => ({
  uri: jwksUri ?? `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`,
  discovers: jwksUri === undefined ? issuer : undefined,
  timeoutMs: timeout === undefined ? DEFAULT_JWKS_TIMEOUT_MS : parseDuration(timeout),
});

/** An audience as it is compared: without `http://` or `https://` before it and without one slash behind it (Envoy). */
export const sanitizeAudience = (audience: string): string => audience.replace(/^https?:\/\//, "").replace(/\/$/, "");

/** What is wrong with an address of keys, if anything. */
export const wrongJwksUri = (text: string): string | undefined => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:\/\//i.test(text) || /[\s\\]/.test(text)) {
    return `"${text}" is not an address of keys: write it in full, such as "https://issuer.example.com/keys"`;
  }
  if (url.username !== "" || url.password !== "") return "a user in the address would be seen by all: leave it out";
  return url.hash === "" ? undefined : `"${text}" has a fragment, which is never sent: leave it out`;
};

/** What only private and symmetric keys hold (RFC 7518, 6.2.2, 6.3.2, 6.4.1). */
const secretMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] as const;

/** What is wrong with a key set that stands in a policy, if anything. Keys of kinds that nobody knows are left alone. */
export const wrongJwks = (text: string): string | undefined => {
  if (text.length > MAX_INLINE_JWKS_CHARACTERS) {
    return `the key set has more than ${MAX_INLINE_JWKS_CHARACTERS} characters: name its address in jwksUri`;
  }
  const keys = keysOf(text);
  if (keys === undefined) return 'not a JSON Web Key Set: write {"keys":[…]} as the issuer publishes it';
  if (!keys.some(isAsymmetric)) return "the key set holds no key of RSA, EC or OKP, so no token could be good";
  return keys.some((key) => secretMembers.some((member) => Object.hasOwn(key, member)))
    ? "the key set holds a private or a symmetric key: whoever reads the policy could sign tokens with it"
    : undefined;
};

const isAsymmetric = (key: object): boolean => "kty" in key && ["RSA", "EC", "OKP"].includes(String(key.kty));

const keysOf = (text: string): readonly object[] | undefined => {
  try {
    const parsed: unknown = JSON.parse(text);
    const keys: unknown = typeof parsed === "object" && parsed !== null && "keys" in parsed ? parsed.keys : undefined;
    return Array.isArray(keys) && keys.every((key) => typeof key === "object" && key !== null) ? keys : undefined;
  } catch {
    return undefined;
  }
};

/** What is wrong with an issuer, an audience, a parameter or a cookie, if anything. */
export const wrongNonEmpty = (text: string): string | undefined =>
  text === "" ? "an empty text fits nothing: write one, or leave the item out" : undefined;

/** What is wrong with an audience, if anything. */
export const wrongAudience = (text: string): string | undefined =>
  sanitizeAudience(text) === "" ? `"${text}" is empty as audiences are compared: write a name` : undefined;

/** What is wrong with the name of a cookie, if anything. */
export const wrongCookieName = (text: string): string | undefined =>
  wrongHeaderName(text) === undefined ? undefined : `"${text}" is not the name of a cookie`;

/** What is wrong with a header that is to carry claims, if anything. */
export const wrongClaimHeader = (text: string): string | undefined => {
  if (!/^[-_A-Za-z0-9]+$/.test(text)) {
    return `"${text}" is not a header for claims: write letters, digits, "-" and "_"`;
  }
  return handlersOwn.has(text.toLowerCase())
    ? `"${text}" has a meaning of its own for handlers: take another name, such as "x-jwt-${text.toLowerCase()}"`
    : wrongChangedHeader(text);
};

/** A claim in one of these would change what the request is, not only who sent it. */
const handlersOwn: ReadonlySet<string> = new Set(["cookie", "content-type", "content-encoding", "expect", "origin"]);

/** What is wrong with the path of a claim, if anything. */
export const wrongClaim = (text: string): string | undefined =>
  text.split(".").every((step) => step !== "")
    ? undefined
    : `"${text}" is not a claim: write "sub", or "a.b" for b in a`;

/** What is wrong with the prefix of a token, if anything. */
export const wrongTokenPrefix = (text: string): string | undefined =>
  /^[\x20-\x7e]*$/.test(text) ? undefined : `"${text}" has a character that no header holds before a token`;

/** Reports what makes no sense in the rules of a policy. */
export const checkJwt = (path: PolicyPath, rules: readonly JwtRule[] | undefined, check: Check): void => {
  if (rules !== undefined && rules.length > MAX_JWT_RULES) {
    check.report(path, `${rules.length} rules, more than ${MAX_JWT_RULES}: split the policy`);
  }
  check.list(path, rules, (at, rule) => checkRule(at, rule, check));
};

const checkRule = (path: PolicyPath, rule: JwtRule, check: Check): void => {
  check.text([...path, "issuer"], rule.issuer, wrongNonEmpty);
  check.texts([...path, "audiences"], rule.audiences, wrongAudience);
  const wrong = wrongKeySource(rule);
  if (wrong !== undefined) check.report(path, wrong);
  check.text([...path, "jwksUri"], rule.jwksUri, wrongJwksUri);
  check.text([...path, "jwks"], rule.jwks, wrongJwks);
  check.list([...path, "fromHeaders"], rule.fromHeaders, (at, { name, prefix }) => {
    check.text([...at, "name"], name, wrongHeaderName);
    check.text([...at, "prefix"], prefix, wrongTokenPrefix);
  });
  check.texts([...path, "fromParams"], rule.fromParams, wrongNonEmpty);
  check.texts([...path, "fromCookies"], rule.fromCookies, wrongCookieName);
  check.text([...path, "outputPayloadToHeader"], rule.outputPayloadToHeader, wrongClaimHeader);
  check.list([...path, "outputClaimToHeaders"], rule.outputClaimToHeaders, (at, { header, claim }) => {
    check.text([...at, "header"], header, wrongClaimHeader);
    check.text([...at, "claim"], claim, wrongClaim);
  });
  const twice = twiceWithoutCase([
    ...(rule.outputPayloadToHeader === undefined ? [] : [rule.outputPayloadToHeader]),
    ...(rule.outputClaimToHeaders ?? []).map(({ header }) => header),
  ]);
  if (twice !== undefined) check.report(path, `"${twice}" is written twice: a header carries one claim`);
  check.texts([...path, "spaceDelimitedClaims"], rule.spaceDelimitedClaims, wrongClaim);
  check.duration([...path, "timeout"], rule.timeout, durationLimits.jwksTimeout);
  if (rule.timeout !== undefined && rule.jwks !== undefined) {
    check.report([...path, "timeout"], "means nothing with jwks: nothing is fetched");
  }
};

const wrongKeySource = ({ issuer, jwksUri, jwks }: JwtRule): string | undefined => {
  if (jwksUri === undefined && jwks === undefined) {
    if (issuer === undefined)
      return "no keys to check tokens with: set jwksUri or jwks, or the issuer that tells of them";
    return wrongJwksUri(issuer) === undefined
      ? undefined
      : "no keys to check tokens with: set jwksUri or jwks, for the issuer is no address that could tell of them";
  }
  return jwksUri !== undefined && jwks !== undefined ? "jwksUri and jwks are both set: keep one" : undefined;
};

const twiceWithoutCase = (names: readonly string[]): string | undefined =>
  names.find((name, at) => names.findIndex((each) => each.toLowerCase() === name.toLowerCase()) < at);
