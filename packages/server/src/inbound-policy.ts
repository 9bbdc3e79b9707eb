import {
  type AccessDecision,
  type CompiledAccess,
  compileAccess,
  DEFAULT_TRUSTED_PROXIES,
  type EffectiveAuthorizer,
  type EffectiveJwtRule,
  type EffectiveMtls,
  effectiveAuthorizer,
  effectiveJwtRule,
  effectiveMtls,
  fitsLabels,
  type InboundSnapshot,
  type PathNormalization,
  pathNormalizationOf,
  type ServicePolicy,
  trustDomainAliasesOf,
  trustDomainOf,
} from "@tulle/policy";
import type { Watched } from "@tulle/time";
import { readKeySet } from "./tokens/key-set.ts";

/** An inbound snapshot made ready for the gates. */
export interface InboundPolicy {
  readonly revision: string;
  readonly mtls: EffectiveMtls;
  /** What callers are told to speak. */
  readonly protocol: NonNullable<ServicePolicy["protocol"]>;
  readonly trustDomain: string;
  /** Further names of it. */
  readonly aliases: readonly string[];
  /** Which tokens of end users are believed: the rules of all policies together (Istio). */
  readonly jwt: readonly EffectiveJwtRule[];
  readonly decide: AccessDecision;
  /** Whether some rule is decided only when the framework has found the route. */
  readonly namesRoutes: boolean;
  /** Whom custom policies ask; absent without such policies. */
  readonly asks: CompiledAccess["asks"];
  /** What audit policies count; absent without such policies. */
  readonly audits: CompiledAccess["audits"];
  /** What policies in dry-run would change; absent without such policies. */
  readonly dryRun: CompiledAccess["dryRun"];
  /** Who may be asked, by name. */
  readonly authorizers: ReadonlyMap<string, EffectiveAuthorizer>;
  readonly normalization: PathNormalization;
  /** Proxies whose entries in `x-forwarded-for` are believed. */
  readonly trustedProxies: number;
  /** Whether deciding looks at any policy at all; without one the permit is always the same. */
  readonly hasAccess: boolean;
}

/**
 * Makes a snapshot ready for one workload: of the policies that may concern its service, those hold that select it.
 *
 * @param labels the workload's own.
 */
export const compileInbound = (
  { access, authentication, ...snapshot }: InboundSnapshot,
  labels: Readonly<Record<string, string>>,
): InboundPolicy =>
  compileSelected({
    ...snapshot,
    access: access.filter((policy) => fitsLabels(policy, labels)),
    authentication: authentication.filter((policy) => fitsLabels(policy, labels)),
  });

/** The policies of the snapshot are those that select the workload. */
export const compileSelected = (snapshot: InboundSnapshot): InboundPolicy => {
  const trustDomain = trustDomainOf(snapshot.mesh);
  const aliases = trustDomainAliasesOf(snapshot.mesh);
  const normalization = pathNormalizationOf(snapshot.mesh);
  return {
    revision: snapshot.revision,
    mtls: effectiveMtls(snapshot),
    protocol: snapshot.service.protocol ?? "http",
    trustDomain,
    aliases,
    jwt: compileJwt(snapshot.authentication),
    ...compileAccess(snapshot.access, { trustDomain, aliases, normalization }),
    hasAccess: snapshot.access.length > 0,
    authorizers: new Map(
      Object.entries(snapshot.mesh.authorizers ?? {}).map(([name, policy]) => [name, effectiveAuthorizer(policy)]),
    ),
    normalization,
    trustedProxies: snapshot.mesh.trustedProxies ?? DEFAULT_TRUSTED_PROXIES,
  };
};

/** @throws Error for keys in a policy that could never check a token. */
const compileJwt = (authentication: InboundSnapshot["authentication"]): readonly EffectiveJwtRule[] => {
  const rules = authentication.flatMap(({ jwt = [] }) => jwt.map(effectiveJwtRule));
  for (const { keys } of rules) if ("jwks" in keys) readKeySet(keys.jwks);
  return rules;
};

/** The compiled policy of the present moment; compiled when the snapshot changes, never per request. */
export class CurrentInbound {
  policy: InboundPolicy | undefined;
  /** Snapshots that could not be compiled; the last good one stayed. */
  rejected = 0;
  readonly #labels: Readonly<Record<string, string>>;
  readonly #onChange = new Set<() => void>();
  readonly #unsubscribe: () => void;

  constructor(inbound: Watched<InboundSnapshot | undefined>, labels: Readonly<Record<string, string>>) {
    this.#labels = labels;
    this.#take(inbound.current);
    this.#unsubscribe = inbound.subscribe((snapshot) => this.#take(snapshot));
  }

  /** Calls `listener` after each change of the compiled policy. Returns the way to stop. */
  onChange(listener: () => void): () => void {
    this.#onChange.add(listener);
    return () => {
      this.#onChange.delete(listener);
    };
  }

  close(): void {
    this.#unsubscribe();
    this.#onChange.clear();
  }

  #take(snapshot: InboundSnapshot | undefined): void {
    // A policy once known is never unlearnt: an empty snapshot would open or close the service for no reason.
    if (snapshot === undefined) return;
    try {
      this.policy = compileInbound(snapshot, this.#labels);
    } catch {
      this.rejected++;
      return;
    }
    for (const listener of [...this.#onChange]) listener();
  }
}
