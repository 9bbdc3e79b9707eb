import { tryParseDuration } from "@tulle/policy";
import { z } from "zod";
import { compileSubjectRule } from "./subject-rule.ts";

/** The signatures that an issuer's tokens may carry. None that shares a secret, and not `none`: they cannot be asked for. */
export const oidcAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;

export type OidcAlgorithm = (typeof oidcAlgorithms)[number];

/** Which identity a token's subject has in this mesh. */
export interface OidcSubjectRule {
  /**
   * The `sub` claim, letter by letter but for named parts in braces: `system:serviceaccount:{namespace}:{name}`. A part is one
   * or more characters other than `:` and `/`, and ends at one of them or at the end of the subject.
   */
  readonly subject: string;
  /**
   * Claims that the token must have besides. A name may lead into objects: `kubernetes.io[namespace]`. A list of values means
   * one of them; a claim that is a list needs one member that fits. Booleans and numbers are compared as text. @default none
   */
  readonly claims?: Readonly<Record<string, string | readonly string[]>>;
  /** Of the identity; may use the subject's parts: `{namespace}`. */
  readonly namespace: string;
  /** Of the identity; may use the subject's parts: `{name}`. */
  readonly serviceAccount: string;
}

/**
 * Somebody outside the mesh whose tokens are believed: a Kubernetes cluster, a CI system, a cloud, SPIRE. At most one of
 * `jwksUri`, `jwksFile` and `jwks` says where the keys are; without one they are found by OpenID Connect discovery.
 */
export interface OidcIssuer {
  /** The `iss` claim, letter by letter; for discovery an https URL. */
  readonly issuer: string;
  /** A token must be meant for one of them. Choose a name that the issuer gives to nobody else, such as `tulle`. */
  readonly audiences: readonly string[];
  /** @default what `<issuer>/.well-known/openid-configuration` says */
  readonly jwksUri?: string;
  /** A file with the key set; read anew every five minutes and when an unknown key is named. */
  readonly jwksFile?: string;
  /** The key set itself. */
  readonly jwks?: { readonly keys: readonly Readonly<Record<string, unknown>>[] };
  /** PEM roots for TLS to the issuer, such as a Kubernetes cluster's CA. @default Node's */
  readonly caFile?: string;
  /** A token that the issuer wants to see before it shows its keys; read anew at each request. @default none */
  readonly bearerTokenFile?: string;
  /** @default all of {@link oidcAlgorithms} */
  readonly algorithms?: readonly OidcAlgorithm[];
  /** A token that was issued longer ago is refused, such as `"1h"`. From 1s to 24h. @default its own end counts alone */
  readonly maxTokenAge?: string;
  /** The first that fits decides; a subject that none fits is refused. @default {@link kubernetesSubjects} */
  readonly subjects?: readonly OidcSubjectRule[];
}

/** Kubernetes' service accounts keep their names. */
export const kubernetesSubjects: readonly OidcSubjectRule[] = [
  {
    subject: "system:serviceaccount:{namespace}:{name}",
    namespace: "{namespace}",
    serviceAccount: "{name}",
  },
];

const MAX_ISSUERS = 50;
const MIN_TOKEN_AGE_MS = 1_000;
const MAX_TOKEN_AGE_MS: number = 24 * 3_600_000;

const text = z.string().min(1).max(512);

const fetched = text.refine(isSafeUrl, "write an https URL; http is taken on this machine alone");

const rule: z.ZodType<OidcSubjectRule> = z
  .strictObject({
    subject: text,
    claims: z.record(text, z.union([text, z.array(text).min(1).max(100)])).optional(),
    namespace: text,
    serviceAccount: text,
  })
  .transform(withoutAbsent)
  .superRefine((given, context) => {
    try {
      compileSubjectRule(given);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    }
  });

const issuer: z.ZodType<OidcIssuer> = z
  .strictObject({
    issuer: text,
    audiences: z.array(text).min(1).max(20),
    jwksUri: fetched.optional(),
    jwksFile: text.optional(),
    jwks: z.object({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(100) }).optional(),
    caFile: text.optional(),
    bearerTokenFile: text.optional(),
    algorithms: z.array(z.enum(oidcAlgorithms)).min(1).optional(),
    maxTokenAge: text
      .refine((age) => {
        const ms = tryParseDuration(age);
        return ms !== undefined && ms >= MIN_TOKEN_AGE_MS && ms <= MAX_TOKEN_AGE_MS;
      }, 'write a duration from 1s to 24h, such as "1h"')
      .optional(),
    subjects: z.array(rule).min(1).max(1_000).optional(),
  })
  .transform(withoutAbsent)
  .superRefine((given, context) => {
    const sources = [given.jwksUri, given.jwksFile, given.jwks].filter((source) => source !== undefined);
    if (sources.length > 1) {
      context.addIssue({ code: "custom", message: "write at most one of jwksUri, jwksFile and jwks" });
    }
    if (sources.length === 0 && !isSafeUrl(given.issuer)) {
      context.addIssue({
        code: "custom",
        path: ["issuer"],
        message: "its keys can be discovered at an https URL only (http on this machine alone): write one, or jwksUri",
      });
    }
  });

const issuers: z.ZodType<readonly OidcIssuer[]> = z
  .array(issuer)
  .max(MAX_ISSUERS)
  .refine((all) => new Set(all.map((each) => each.issuer)).size === all.length, "an issuer may be named once");

/**
 * Checks what was given as the issuers that are believed.
 *
 * @throws RangeError with every problem and its place.
 */
export const checkIssuers = (given: unknown): readonly OidcIssuer[] => {
  const { success, data, error } = issuers.safeParse(given);
  if (success) return data;
  const problems = error.issues.map(({ path, message }) => [`oidc${path.map(at).join("")}`, message].join(": "));
  throw new RangeError(problems.join("; "));
};

const at = (part: PropertyKey): string => (typeof part === "number" ? `[${part}]` : `.${String(part)}`);

/** Whether keys may be fetched there: nobody on the way can exchange them. */
export function isSafeUrl(given: string): boolean {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || url.username !== "" || url.password !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.has(url.hostname));
}

const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "[::1]", "localhost"]);

type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** An option that is `undefined` is not the same as one that is absent. */
function withoutAbsent<T extends object>(options: T): Present<T> {
  // Only undefined values go, which is what the type says.
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Present<T>;
}
