import { parseDuration } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import { decodeJwt, errors, type JWTPayload, jwtVerify } from "jose";
import { EnrollmentRefused } from "../enrollment/enrollment.ts";
import { WorkGate } from "../enrollment/work-gate.ts";
import { IssuerKeys, KeysUnavailable } from "./issuer-keys.ts";
import { kubernetesSubjects, type OidcIssuer, oidcAlgorithms } from "./oidc-issuer.ts";
import { type CompiledSubjectRule, compileSubjectRule, isIdentity, type MappedSubject } from "./subject-rule.ts";

/** Whom a token of another issuer makes a process in this mesh. */
export interface OidcIdentity extends MappedSubject {
  readonly issuer: string;
  readonly subject: string;
  /** The `jti` claim, where the issuer gives one. */
  readonly tokenId: string | undefined;
}

/** Checks tokens that others have issued. */
export interface OidcTokens {
  /** Who says to have issued the token, whether believed or not; `undefined` for what is no such token. */
  issuerOf(token: string): string | undefined;
  /**
   * Checks signature, issuer, audience and times, and maps the subject.
   *
   * @throws EnrollmentRefused `token-malformed`, `token-signature`, `token-expired`, `token-audience`, `not-allowed` for a
   * subject that no rule fits, `issuer-unavailable`, or `too-many`.
   */
  verify(token: string): Promise<OidcIdentity>;
  counters(): Readonly<Record<string, number>>;
  close(): void;
}

/** How far clocks may be apart, seconds. */
export const CLOCK_SKEW_SECONDS = 60;

/** The longest token that is looked at. */
export const MAX_OIDC_TOKEN_LENGTH = 8_192;

/** Checks under way for one issuer: a slow one holds up nobody who joins by another. */
const CHECKS = { maxRunning: 64, maxWaiting: 1_024 } as const;

interface KnownIssuer {
  readonly options: OidcIssuer;
  readonly keys: IssuerKeys;
  readonly rules: readonly CompiledSubjectRule[];
  readonly gate: WorkGate;
}

/** @param issuers checked by `checkIssuers`. */
export const openOidcTokens = (issuers: readonly OidcIssuer[], clock: Clock): OidcTokens => {
  const known = new Map<string, KnownIssuer>(
    issuers.map((options) => [
      options.issuer,
      {
        options,
        keys: new IssuerKeys(options, clock),
        rules: (options.subjects ?? kubernetesSubjects).map(compileSubjectRule),
        gate: new WorkGate(CHECKS),
      },
    ]),
  );

  const verify = async (token: string, { options, keys, rules }: KnownIssuer): Promise<OidcIdentity> => {
    const payload = await verifiedClaims(token, options, keys, clock);
    const { sub: subject = "", jti } = payload;
    const mapped = firstOf(rules, (rule) => rule(subject, payload));
    if (mapped === undefined) {
      throw new EnrollmentRefused("not-allowed", `no rule of ${options.issuer} fits the subject "${shown(subject)}"`);
    }
    if (!isIdentity(mapped)) {
      throw new EnrollmentRefused(
        "not-allowed",
        `the subject "${shown(subject)}" makes no identity: "${shown(mapped.namespace)}" and "${shown(mapped.serviceAccount)}" are to be a namespace and a service account`,
      );
    }
    return {
      ...mapped,
      issuer: options.issuer,
      subject,
      tokenId: typeof jti === "string" ? jti.slice(0, MAX_SHOWN) : undefined,
    };
  };

  return {
    issuerOf: (token) => {
      if (token.length > MAX_OIDC_TOKEN_LENGTH) return undefined;
      try {
        const { iss } = decodeJwt(token);
        return typeof iss === "string" ? iss : undefined;
      } catch {
        return undefined;
      }
    },
    verify: async (token) => {
      if (token.length > MAX_OIDC_TOKEN_LENGTH) throw malformed("it is too long");
      const said = issuerNamedBy(token);
      const issuer = known.get(said);
      if (issuer === undefined) {
        throw new EnrollmentRefused(
          "token-signature",
          `the token's issuer "${shown(said)}" is not one that is believed`,
        );
      }
      return issuer.gate.run(() => verify(token, issuer));
    },
    counters: () => {
      const sums = { fetches: 0, fetchFailures: 0, staleUses: 0, unknownKeys: 0, overflows: 0 };
      for (const { keys, gate } of known.values()) {
        for (const name of ["fetches", "fetchFailures", "staleUses", "unknownKeys"] as const) {
          sums[name] += keys.counters[name];
        }
        sums.overflows += gate.overflows;
      }
      return Object.fromEntries(Object.entries(sums).map(([name, count]) => [`oidc.${name}`, count]));
    },
    close: () => {
      for (const { keys } of known.values()) keys.close();
    },
  };
};

const verifiedClaims = async (
  token: string,
  { issuer, audiences, algorithms = oidcAlgorithms, maxTokenAge }: OidcIssuer,
  keys: IssuerKeys,
  clock: Clock,
): Promise<JWTPayload> => {
  const now = new Date(clock.wallNow());
  try {
    const { payload } = await jwtVerify(token, (header) => keys.find(header), {
      issuer,
      audience: [...audiences],
      algorithms: [...algorithms],
      clockTolerance: CLOCK_SKEW_SECONDS,
      currentDate: now,
      requiredClaims: ["exp", "sub", ...(maxTokenAge === undefined ? [] : ["iat"])],
      ...(maxTokenAge === undefined ? {} : { maxTokenAge: parseDuration(maxTokenAge) / 1_000 }),
    });
    if (typeof payload.iat === "number" && payload.iat * 1_000 > now.getTime() + CLOCK_SKEW_SECONDS * 1_000) {
      throw notInTime("it was issued in the future: compare the clocks");
    }
    return payload;
  } catch (error) {
    throw asRefusal(error, issuer);
  }
};

const asRefusal = (error: unknown, issuer: string): EnrollmentRefused => {
  if (error instanceof EnrollmentRefused) return error;
  if (error instanceof KeysUnavailable) return new EnrollmentRefused("issuer-unavailable", error.message);
  if (error instanceof errors.JWTExpired) return notInTime(error.message);
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === "aud") {
      return new EnrollmentRefused(
        "token-audience",
        `the token of ${issuer} is not meant for this mesh: ${error.message}`,
      );
    }
    if (error.reason === "check_failed" && (error.claim === "nbf" || error.claim === "iat")) {
      return notInTime(error.message);
    }
    return malformed(error.message);
  }
  const forged =
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys;
  if (forged) return new EnrollmentRefused("token-signature", `the token is not signed by ${issuer}: ${error.message}`);
  return malformed(error instanceof Error ? error.message : "unknown form");
};

const issuerNamedBy = (token: string): string => {
  try {
    const { iss } = decodeJwt(token);
    if (typeof iss === "string") return iss;
  } catch (error) {
    throw malformed(error instanceof Error ? error.message : "unknown form");
  }
  throw malformed("it names no issuer");
};

const notInTime = (reason: string): EnrollmentRefused =>
  new EnrollmentRefused("token-expired", `the token is not valid now: ${reason}`);

const malformed = (reason: string): EnrollmentRefused =>
  new EnrollmentRefused("token-malformed", `this is no token to join with: ${reason}`);

const MAX_SHOWN = 200;
const shown = (text: string): string => text.slice(0, MAX_SHOWN);

const firstOf = <T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined => {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
};
