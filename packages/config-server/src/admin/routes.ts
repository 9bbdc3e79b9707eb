import { type Policy, type PolicyKey, policyKey, workloadIdentity } from "@tulle/policy";
import {
  type Acknowledgement,
  type AdminFileRotated,
  type AdminTokenIssued,
  type AdminTokenList,
  type ApplyResult,
  configServerIdentity,
  type EndpointList,
  type History,
  type MemberList,
  type PlaintextReport,
  type PolicyList,
  type Revision,
  type ServerStatus,
  type TokenIssued,
  type TokenList,
} from "@tulle/protocol";
import type { AuditLog } from "../audit/audit-log.ts";
import type { Federation } from "../authority/federation.ts";
import { type JoinTokens, TooManyTokens } from "../enrollment/join-token.ts";
import type { Members } from "../push/members.ts";
import type { PolicyStore } from "../store/policy-store.ts";
import { AdminFailure, badRequest, notFound } from "./admin-failure.ts";
import type { AdminScope, AdminTokens } from "./admin-tokens.ts";
import { type CertificateContext, certificateRoutes } from "./certificate-routes.ts";
import { federationRoutes } from "./federation-routes.ts";
import { plaintextReport } from "./plaintext-report.ts";
import type { PolicyAdmission } from "./policy-admission.ts";
import { withoutProofs } from "./policy-regex.ts";
import {
  acknowledgementQuery,
  adminTokenSchema,
  applySchema,
  deleteSchema,
  historyQuery,
  noQuery,
  plaintextQuery,
  policiesQuery,
  read,
  rollbackSchema,
  tokenSchema,
} from "./request-schemas.ts";

/** What the admin API works on. */
export interface AdminContext {
  readonly trustDomain: string;
  readonly policyStore: PolicyStore;
  readonly admission: PolicyAdmission;
  readonly members: Members;
  readonly tokens: JoinTokens;
  readonly adminTokens: AdminTokens;
  readonly audit: AuditLog;
  readonly certificates: Omit<CertificateContext, "members" | "audit">;
  /** Milliseconds since 1970. */
  wallNow(): number;
  readonly federation: Federation;
  endpoints(): EndpointList;
  status(): ServerStatus;
}

/** A request as a route sees it. */
export interface AdminRequest {
  /** The parts of the path that the route leaves open, in order. */
  readonly parts: readonly string[];
  readonly query: Readonly<Record<string, string>>;
  /** Parsed JSON; `undefined` for methods without a body. */
  readonly body: unknown;
  /** Who asks, for the history and the audit log: `admin`, or `admin:<name>` for a token with a name. */
  readonly actor: string;
}

/** One row of the table in protocol's admin-messages.ts. */
export interface AdminRoute {
  readonly method: "GET" | "POST" | "DELETE";
  /** `*` stands for one segment. */
  readonly path: string;
  /** What the caller's token must allow. @default "read" for GET, else "write" */
  readonly scope?: AdminScope;
  /** @returns what is answered as JSON with 200; `undefined` answers 204. */
  handle(request: AdminRequest): Promise<unknown>;
}

/** The admin API, one entry per route. */
export const adminRoutes = (context: AdminContext): readonly AdminRoute[] => {
  const { policyStore, admission, members, tokens, adminTokens, audit } = context;

  const apply = async ({ body, actor }: AdminRequest): Promise<ApplyResult> => {
    const { policies, dryRun, prune, message } = read(applySchema, body);
    return admission.apply({ policies, dryRun, prune, message, author: actor });
  };

  const remove = async ({ body, actor }: AdminRequest): Promise<ApplyResult> => {
    const { keys } = read(deleteSchema, body);
    const wanted = keys.map(({ kind, namespace, name }): PolicyKey => `${kind}/${namespace}/${name}`);
    const present = policyStore.head.current.policies;
    const missing = wanted.filter((key) => !present.has(key));
    if (missing.length > 0) throw notFound("unknown-policy", `there is no ${missing.join(", no ")}`);
    return admission.remove(wanted, actor);
  };

  const rollback = async ({ body, actor }: AdminRequest): Promise<ApplyResult> => {
    const { revision } = read(rollbackSchema, body);
    const earlier = await policyStore.at(revision);
    if (earlier === undefined) throw unknownRevision(revision);
    return admission.restore(earlier, actor);
  };

  const acknowledgement = async ({ parts: [revision = ""], query }: AdminRequest): Promise<Acknowledgement> => {
    const { timeout } = read(acknowledgementQuery, query);
    const known = await policyStore.at(revision);
    if (known === undefined) throw unknownRevision(revision);
    return members.acknowledgement(known.revision, timeout);
  };

  const createToken = async ({ body, actor }: AdminRequest): Promise<TokenIssued> => {
    const { namespace, serviceAccount, ttl, uses } = read(tokenSchema, body);
    const identity = workloadIdentity(context.trustDomain, namespace, serviceAccount);
    if (identity === configServerIdentity(context.trustDomain)) {
      throw badRequest(`${identity} is the config-server's own identity`);
    }
    try {
      const issued = await tokens.create({ namespace, serviceAccount, ttlMs: ttl, uses });
      await audit.record({ event: "token-created", actor, detail: { token: issued.id, identity, uses } });
      return issued;
    } catch (error) {
      if (error instanceof TooManyTokens) {
        throw new AdminFailure(409, { error: "too-many-tokens", message: error.message });
      }
      throw error;
    }
  };

  const revokeToken = async ({ parts: [id = ""], actor }: AdminRequest): Promise<undefined> => {
    if (!(await tokens.revoke(id))) throw notFound("unknown-token", `there is no join token "${id}"`);
    await audit.record({ event: "token-revoked", actor, detail: { token: id } });
  };

  const createAdminToken = async ({ body, actor }: AdminRequest): Promise<AdminTokenIssued> => {
    const { name, scope, ttl } = read(adminTokenSchema, body);
    const issued = await adminTokens.create({ name, scope, ttlMs: ttl });
    await audit.record({ event: "admin-token-created", actor, detail: { token: issued.id, name, scope } });
    return issued;
  };

  const revokeAdminToken = async ({ parts: [id = ""], actor }: AdminRequest): Promise<undefined> => {
    if (!(await adminTokens.revoke(id))) throw notFound("unknown-token", `there is no admin token "${id}"`);
    await audit.record({ event: "admin-token-revoked", actor, detail: { token: id } });
  };

  const rotateAdminToken = async ({ body, actor }: AdminRequest): Promise<AdminFileRotated> => {
    read(noQuery, body);
    await audit.record({ event: "admin-token-rotated", actor, detail: {} });
    await adminTokens.rotate();
    return { rotated: true };
  };

  const policies = async ({ query }: AdminRequest): Promise<PolicyList> => {
    const wanted = read(policiesQuery, query);
    const { revision, policies: all } = policyStore.head.current;
    const fits = (policy: Policy): boolean => {
      const [kind, namespace, name] = policyKey(policy).split("/");
      return (
        (wanted.kind ?? kind) === kind &&
        (wanted.namespace ?? namespace) === namespace &&
        (wanted.name ?? name) === name
      );
    };
    return { revision, policies: [...all.values()].filter(fits).map(withoutProofs) };
  };

  const withoutQuery =
    <T>(answer: () => T | Promise<T>) =>
    async ({ query }: AdminRequest): Promise<T> => {
      read(noQuery, query);
      return answer();
    };

  return [
    { method: "POST", path: "/v1/apply", handle: apply },
    { method: "GET", path: "/v1/policies", handle: policies },
    { method: "POST", path: "/v1/delete", handle: remove },
    {
      method: "GET",
      path: "/v1/history",
      handle: async ({ query }): Promise<History> => ({
        entries: await policyStore.history(read(historyQuery, query).limit),
      }),
    },
    { method: "POST", path: "/v1/rollback", handle: rollback },
    { method: "GET", path: "/v1/revisions/*/acknowledgement", handle: acknowledgement },
    {
      method: "GET",
      path: "/v1/members",
      handle: withoutQuery((): MemberList => ({ revision: headRevision(policyStore), members: members.list() })),
    },
    {
      method: "GET",
      path: "/v1/plaintext",
      handle: async ({ query }): Promise<PlaintextReport> => {
        const { service, since } = read(plaintextQuery, query);
        const question = { service, sinceMs: since, nowMs: context.wallNow() };
        return plaintextReport(members.plaintextCallers(), context.endpoints(), question);
      },
    },
    { method: "GET", path: "/v1/endpoints", handle: withoutQuery(() => context.endpoints()) },
    { method: "POST", path: "/v1/tokens", handle: createToken },
    {
      method: "GET",
      path: "/v1/tokens",
      handle: withoutQuery(async (): Promise<TokenList> => ({ tokens: await tokens.list() })),
    },
    { method: "DELETE", path: "/v1/tokens/*", handle: revokeToken },
    ...federationRoutes({ authority: context.certificates.authority, federation: context.federation, audit }),
    ...certificateRoutes({ ...context.certificates, members, audit }),
    { method: "POST", path: "/v1/admin-tokens", scope: "root", handle: createAdminToken },
    {
      method: "GET",
      path: "/v1/admin-tokens",
      scope: "root",
      handle: withoutQuery(async (): Promise<AdminTokenList> => ({ tokens: await adminTokens.list() })),
    },
    { method: "DELETE", path: "/v1/admin-tokens/*", scope: "root", handle: revokeAdminToken },
    { method: "POST", path: "/v1/admin-tokens/rotate", scope: "root", handle: rotateAdminToken },
    { method: "GET", path: "/v1/status", handle: withoutQuery(() => context.status()) },
  ];
};

const headRevision = (policyStore: PolicyStore): Revision => policyStore.head.current.revision;

const unknownRevision = (revision: string): AdminFailure =>
  notFound("unknown-revision", `there is no revision "${revision}": see \`tulle history\``);
