import { X509Certificate } from "node:crypto";
import type { TrustBundle } from "@tulle/policy";
import type { BundleExport, FederatedDomain, FederationList } from "@tulle/protocol";
import type { AuditLog } from "../audit/audit-log.ts";
import type { Authority } from "../authority/authority.ts";
import type { Federation } from "../authority/federation.ts";
import { subjectOf } from "../authority/issuer.ts";
import { BundleRefused, writeJwks } from "../authority/trust-bundle-format.ts";
import { badRequest, notFound } from "./admin-failure.ts";
import { federationSchema, noQuery, read } from "./request-schemas.ts";
import type { AdminRequest, AdminRoute } from "./routes.ts";

/** What the routes of federation work on. */
export interface FederationContext {
  readonly authority: Pick<Authority, "bundle">;
  readonly federation: Federation;
  readonly audit: Pick<AuditLog, "record">;
}

/** The bundles of other meshes, and our own for them. */
export const federationRoutes = ({ authority, federation, audit }: FederationContext): readonly AdminRoute[] => {
  const add = async ({ body, actor }: AdminRequest): Promise<FederatedDomain> => {
    const { trustDomain, bundle } = read(federationSchema, body);
    try {
      const added = await federation.add(trustDomain, bundle);
      await audit.record({ event: "federation-added", actor, detail: { trustDomain, roots: added.roots.length } });
      return told(added);
    } catch (error) {
      if (error instanceof BundleRefused) throw badRequest(error.message);
      throw error;
    }
  };

  const remove = async ({ parts: [trustDomain = ""], actor }: AdminRequest): Promise<undefined> => {
    if (!(await federation.remove(trustDomain))) {
      throw notFound("unknown-trust-domain", `the trust domain "${trustDomain}" is not federated`);
    }
    await audit.record({ event: "federation-removed", actor, detail: { trustDomain } });
  };

  return [
    {
      method: "GET",
      path: "/v1/federation",
      handle: async ({ query }): Promise<FederationList> => {
        read(noQuery, query);
        return { federated: federation.bundles.current.map(told) };
      },
    },
    { method: "POST", path: "/v1/federation", scope: "root", handle: add },
    { method: "DELETE", path: "/v1/federation/*", scope: "root", handle: remove },
    {
      method: "GET",
      path: "/v1/bundle",
      handle: async ({ query }): Promise<BundleExport> => {
        read(noQuery, query);
        const { bundle } = authority;
        return {
          trustDomain: bundle.trustDomain,
          pem: [...bundle.roots, ...(bundle.intermediates ?? [])].join(""),
          jwks: writeJwks(bundle),
        };
      },
    },
  ];
};

const told = ({ trustDomain, roots }: TrustBundle): FederatedDomain => ({
  trustDomain,
  roots: roots.map((pem) => {
    const root = new X509Certificate(pem);
    return { subject: subjectOf(root), notAfterMs: root.validToDate.getTime(), fingerprint: root.fingerprint256 };
  }),
});
