import { parseWorkloadIdentity, workloadIdentity } from "@tulle/policy";
import { configServerIdentity } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import type { AuditLog } from "../audit/audit-log.ts";
import type { Authority } from "../authority/authority.ts";
import { verifyCsr } from "./csr.ts";
import { type Enrollment, EnrollmentRefused, type Evidence, type MemberIdentity } from "./enrollment.ts";
import { createJoinLimiter } from "./join-limiter.ts";
import type { JoinTokens } from "./join-token.ts";

/** What an enrollment works with. */
export interface EnrollmentOptions {
  readonly authority: Authority;
  readonly tokens: JoinTokens;
  readonly audit: AuditLog;
  readonly clock: Clock;
}

/** Enrollment by X.509-SVID or join token. Every certificate and every refusal leaves a line in the audit log. */
export const createEnrollment = ({ authority, tokens, audit, clock }: EnrollmentOptions): Enrollment => {
  const limiter = createJoinLimiter(clock);
  // One object per connection: who got a certificate over it renews over it, without the token.
  const certified = new WeakSet<MemberIdentity>();

  const byCertificate = (spiffeId: string): MemberIdentity => {
    const workload = parseWorkloadIdentity(spiffeId);
    if (workload === undefined) {
      throw new EnrollmentRefused("unauthenticated", `the certificate's identity ${spiffeId} names no workload`);
    }
    if (spiffeId === configServerIdentity(authority.trustDomain)) {
      throw new EnrollmentRefused("not-allowed", "the config-server's own identity is no member");
    }
    return { spiffeId, ...workload, by: "certificate" };
  };

  const byToken = async (token: string): Promise<MemberIdentity> => {
    const { jti, trustDomain, namespace, serviceAccount } = await tokens.verify(token);
    const spiffeId = workloadIdentity(trustDomain, namespace, serviceAccount);
    if (trustDomain !== authority.trustDomain || spiffeId === configServerIdentity(trustDomain)) {
      throw new EnrollmentRefused("not-allowed", `${spiffeId} is no identity for a member of this mesh`);
    }
    return { spiffeId, trustDomain, namespace, serviceAccount, by: "token", tokenId: jti };
  };

  const decide = async ({ authorization, certificate }: Evidence): Promise<MemberIdentity> => {
    const verdict = certificate === undefined ? undefined : authority.verifySvid(certificate);
    if (verdict?.valid) return byCertificate(verdict.spiffeId);
    const token = /^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    if (token !== undefined) return byToken(token);
    throw new EnrollmentRefused("unauthenticated", whyNot(verdict?.reason, authorization));
  };

  return {
    authenticate: async (evidence) => {
      const address = evidence.address ?? "unknown";
      // A valid certificate is not held up by what others at its address do.
      const bears = evidence.certificate !== undefined && authority.verifySvid(evidence.certificate).valid;
      if (!bears && !limiter.mayTry(address)) {
        throw new EnrollmentRefused("too-many", `too many failed joins from ${address}: wait a few seconds`);
      }
      try {
        return await decide(evidence);
      } catch (error) {
        if (error instanceof EnrollmentRefused) {
          limiter.failed(address);
          await audit.record({
            event: "join-refused",
            actor: address,
            detail: { code: error.code, reason: error.message },
          });
        }
        throw error;
      }
    },
    issue: async (identity, csr) => {
      try {
        const { publicKey, keyHash } = await verifyCsr(csr, identity.spiffeId);
        if (identity.tokenId !== undefined && !certified.has(identity)) await tokens.claim(identity.tokenId, keyHash);
        const issued = await authority.issueSvid({ publicKey, spiffeId: identity.spiffeId });
        await audit.record({
          event: "certificate-issued",
          actor: identity.spiffeId,
          detail: {
            by: identity.by,
            ...(identity.tokenId === undefined ? {} : { token: identity.tokenId }),
            key: keyHash,
            notAfter: new Date(issued.notAfterMs).toISOString(),
          },
        });
        certified.add(identity);
        return issued;
      } catch (error) {
        if (error instanceof EnrollmentRefused) {
          await audit.record({
            event: "certificate-refused",
            actor: identity.spiffeId,
            detail: { code: error.code, reason: error.message },
          });
        }
        throw error;
      }
    },
  };
};

const whyNot = (certificateReason: string | undefined, authorization: string | undefined): string => {
  const certificate =
    certificateReason === undefined ? "no client certificate" : `a client certificate, but ${certificateReason}`;
  const token = authorization === undefined ? "no join token" : "an authorization header that is not `Bearer <token>`";
  return `the connection showed ${certificate}, and ${token}: join with a token from \`tulle token create\``;
};
