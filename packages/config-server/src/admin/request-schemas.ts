import { type PolicyKind, parseSpiffeId, policyKinds, type ServiceKey, tryParseDuration } from "@tulle/policy";
import { z } from "zod";
import { MAX_BUNDLE_LENGTH } from "../authority/trust-bundle-format.ts";
import { badRequest } from "./admin-failure.ts";

const MAX_POLICIES = 10_000;
const MIN_TOKEN_TTL_MS = 1000;
const MAX_TOKEN_TTL_MS: number = 576 * 3_600_000;
const MIN_ADMIN_TOKEN_TTL_MS = 60_000;
const MAX_ADMIN_TOKEN_TTL_MS: number = 8760 * 3_600_000;
const MAX_WAIT_MS = 300_000;
const MAX_REVOCATION_MS: number = 3650 * 24 * 3_600_000;
const MAX_SPREAD_MS: number = 24 * 3_600_000;

const label = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "write a-z, 0-9 and -, at most 63 characters");

const duration = (minMs: number, maxMs: number, range: string) =>
  z.string().transform((text, context) => {
    const ms = tryParseDuration(text);
    if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
    context.addIssue({ code: "custom", message: `write a duration from ${range}, such as "1h"` });
    return z.NEVER;
  });

/*
 * What the bodies and queries of the admin API are once they are read: defaults filled in, durations as milliseconds.
 */

export const applySchema: z.ZodType<{
  readonly policies: readonly unknown[];
  readonly dryRun: boolean;
  readonly prune: boolean;
  readonly message: string;
}> = z.strictObject({
  // What each policy says is the policy schema's matter.
  policies: z.array(z.unknown()).max(MAX_POLICIES),
  dryRun: z.boolean().default(false),
  prune: z.boolean().default(false),
  message: z.string().max(1000).default(""),
});

export const deleteSchema: z.ZodType<{
  readonly keys: readonly { readonly kind: PolicyKind; readonly namespace: string; readonly name: string }[];
}> = z.strictObject({
  keys: z
    .array(z.strictObject({ kind: z.enum(policyKinds), namespace: label.default("default"), name: label }))
    .min(1)
    .max(MAX_POLICIES),
});

export const rollbackSchema: z.ZodType<{ readonly revision: string }> = z.strictObject({
  revision: z.string().min(1).max(100),
});

export const tokenSchema: z.ZodType<{
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly ttl: number;
  readonly uses: "single" | "multi";
}> = z.strictObject({
  namespace: label.default("default"),
  serviceAccount: label,
  ttl: duration(MIN_TOKEN_TTL_MS, MAX_TOKEN_TTL_MS, "1s to 576h").prefault("1h"),
  uses: z.enum(["single", "multi"]).default("single"),
});

export const adminTokenSchema: z.ZodType<{
  readonly name: string;
  readonly scope: "read" | "write";
  readonly ttl: number;
}> = z.strictObject({
  name: label,
  scope: z.enum(["read", "write"]).default("write"),
  ttl: duration(MIN_ADMIN_TOKEN_TTL_MS, MAX_ADMIN_TOKEN_TTL_MS, "1m to 8760h").prefault("8h"),
});

export const renewSchema: z.ZodType<{ readonly member?: string | undefined; readonly within?: number | undefined }> =
  z.strictObject({
    member: z.string().min(1).max(256).optional(),
    within: duration(0, MAX_SPREAD_MS, "0s to 24h").optional(),
  });

export const rotationSchema: z.ZodType<{ readonly force: boolean; readonly within?: number | undefined }> = z
  .strictObject({
    force: z.boolean().default(false),
    within: duration(0, MAX_SPREAD_MS, "0s to 24h").optional(),
  })
  .prefault({});

export const revocationSchema: z.ZodType<{
  readonly serial?: string | undefined;
  readonly spiffeId?: string | undefined;
  readonly reason: string;
  readonly ttl?: number | undefined;
}> = z
  .strictObject({
    serial: z
      .string()
      .regex(/^[0-9A-Fa-f]{1,2}(?::?[0-9A-Fa-f]{2})*$/, "write it in hexadecimal")
      .max(128)
      .optional(),
    spiffeId: z
      .string()
      .refine((text) => parseSpiffeId(text) !== undefined, "write a SPIFFE ID")
      .optional(),
    reason: z.string().max(1000).default(""),
    ttl: duration(0, MAX_REVOCATION_MS, "0s to 10 years").optional(),
  })
  .refine(({ serial, spiffeId }) => (serial === undefined) !== (spiffeId === undefined), "give a serial or a spiffeId");

export const federationSchema: z.ZodType<{ readonly trustDomain: string; readonly bundle: string }> = z.strictObject({
  trustDomain: z.string().min(1).max(255),
  bundle: z.string().min(1).max(MAX_BUNDLE_LENGTH),
});

export const policiesQuery: z.ZodType<{
  readonly kind?: PolicyKind | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}> = z.strictObject({
  kind: z.enum(policyKinds).optional(),
  namespace: label.optional(),
  name: label.optional(),
});

export const plaintextQuery: z.ZodType<{ readonly service?: ServiceKey | undefined; readonly since: number }> =
  z.strictObject({
    // The expression is that of a service's key.
    service: z
      .string()
      .regex(/^[a-z0-9-]{1,63}\/[a-z0-9-]{1,63}$/, "write namespace/service")
      .transform((text) => text as ServiceKey)
      .optional(),
    since: duration(1_000, 3_600_000, "1s to 1h").prefault("1h"),
  });

export const historyQuery: z.ZodType<{ readonly limit: number }> = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(50),
});

export const acknowledgementQuery: z.ZodType<{ readonly timeout: number }> = z.strictObject({
  timeout: duration(0, MAX_WAIT_MS, "0s to 5m").prefault("30s"),
});

export const noQuery: z.ZodType<object> = z.strictObject({});

/**
 * Reads an input by its schema.
 *
 * @throws AdminFailure 400 `bad-request`, with every problem and its place.
 */
export const read = <T>(schema: z.ZodType<T>, input: unknown): T => {
  const { success, data, error } = schema.safeParse(input);
  if (success) return data;
  throw badRequest(error.issues.map(({ path, message }) => [...path, message].join(": ")).join("; "));
};
