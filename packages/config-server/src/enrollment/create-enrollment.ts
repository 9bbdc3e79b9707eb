import { X509Certificate } from "node:crypto";
import { parseWorkloadIdentity, workloadIdentity } from "@tulle/policy";
import { configServerIdentity } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import type { AuditEvent, AuditLog } from "../audit/audit-log.ts";
import type { Authority, SvidVerdict } from "../authority/authority.ts";
import type { RevocationList } from "../authority/revocations.ts";
import { SigningFailed } from "../authority/signer.ts";
import type { OidcTokens } from "../oidc/oidc-tokens.ts";
import { verifyCsr } from "./csr.ts";
import {
  type Enrollment,
  EnrollmentRefused,
  type Evidence,
  type IssuedCertificate,
  type MemberIdentity,
} from "./enrollment.ts";
import { DEFAULT_ISSUE_LIMIT, type IssueLimit, IssueLimiter } from "./issue-limiter.ts";
import { createJoinLimiter } from "./join-limiter.ts";
import type { JoinTokens } from "./join-token.ts";
import { WorkGate } from "./work-gate.ts";

/** What an enrollment works with. */
export interface EnrollmentOptions {
  readonly authority: Authority;
  /** @default nothing is revoked */
  readonly revocations?: Pick<RevocationList, "refuses">;
  readonly tokens: JoinTokens;
  /** Tokens of other issuers that are believed. @default none */
  readonly oidc?: OidcTokens;
  readonly audit: AuditLog;
  readonly clock: Clock;
  /** Certificates per identity. @default 2,000 at once, then 20 a second */
  readonly issueLimit?: IssueLimit;
}

/** Join tokens that are checked, and certificates that are signed, at a time; with what may wait behind them. */
const CHECKS = { maxRunning: 64, maxWaiting: 4_096 } as const;
const SIGNATURES = { maxRunning: 32, maxWaiting: 4_096 } as const;

/** Enrollment by X.509-SVID or join token. Every certificate and every refusal leaves a line in the audit log. */
export const createEnrollment = (options: EnrollmentOptions): Enrollment => {
  const { authority, tokens, oidc, audit, clock } = options;
  const limiter = createJoinLimiter(clock);
  const issueLimiter = new IssueLimiter(options.issueLimit ?? DEFAULT_ISSUE_LIMIT, clock);
  const checks = new WorkGate(CHECKS);
  const signatures = new WorkGate(SIGNATURES);
  const counters = {
    joinsRefused: 0,
    joinsLimited: 0,
    certificatesIssued: 0,
    certificatesRefused: 0,
    issuesLimited: 0,
  };
  // One object per connection: who got a certificate over it renews over it, without the token, until that one ends.
  const certified = new WeakMap<MemberIdentity, { readonly untilMs: number; readonly serial: string }>();

  const byCertificate = ({ spiffeId, serial, notAfterMs, root }: ValidSvid): MemberIdentity => {
    const workload = parseWorkloadIdentity(spiffeId);
    if (workload === undefined) {
      throw new EnrollmentRefused("unauthenticated", `the certificate's identity ${spiffeId} names no workload`);
    }
    if (spiffeId === configServerIdentity(authority.trustDomain)) {
      throw new EnrollmentRefused("not-allowed", "the config-server's own identity is no member");
    }
    demandUnrevoked(spiffeId, serial);
    return { spiffeId, ...workload, by: "certificate", certificate: { serial, notAfterMs, root } };
  };

  const demandUnrevoked = (spiffeId: string, serial?: string): void => {
    if (options.revocations?.refuses({ serial, spiffeId }) !== true) return;
    const what = options.revocations.refuses({ spiffeId }) ? `the identity ${spiffeId}` : `the certificate ${serial}`;
    throw new EnrollmentRefused("revoked", `${what} was revoked: see \`tulle certificates revocations\``);
  };

  const memberIdentity = (trustDomain: string, namespace: string, serviceAccount: string) => {
    const spiffeId = workloadIdentity(trustDomain, namespace, serviceAccount);
    if (trustDomain !== authority.trustDomain || spiffeId === configServerIdentity(trustDomain)) {
      throw new EnrollmentRefused("not-allowed", `${spiffeId} is no identity for a member of this mesh`);
    }
    demandUnrevoked(spiffeId);
    return { spiffeId, trustDomain, namespace, serviceAccount };
  };

  const byToken = async (token: string): Promise<MemberIdentity> => {
    // A join token names no issuer: it is ours or nobody's.
    if (oidc?.issuerOf(token) !== undefined) {
      const { namespace, serviceAccount, issuer, subject, tokenId } = await oidc.verify(token);
      const identity = memberIdentity(authority.trustDomain, namespace, serviceAccount);
      return { ...identity, by: "oidc", proof: { issuer, subject, tokenId } };
    }
    const { jti, trustDomain, namespace, serviceAccount } = await checks.run(() => tokens.verify(token));
    return { ...memberIdentity(trustDomain, namespace, serviceAccount), by: "token", tokenId: jti };
  };

  const decide = async ({ authorization, certificate }: Evidence): Promise<MemberIdentity> => {
    const verdict = certificate === undefined ? undefined : authority.verifySvid(certificate);
    if (verdict?.valid) return byCertificate(verdict);
    const token = /^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    if (token !== undefined) return byToken(token);
    throw new EnrollmentRefused("unauthenticated", whyNot(verdict?.reason, authorization));
  };

  const issue = async (identity: MemberIdentity, csr: string): Promise<IssuedCertificate> => {
    if (!issueLimiter.take(identity.spiffeId)) {
      counters.issuesLimited += 1;
      throw new EnrollmentRefused("too-many", `too many certificates for ${identity.spiffeId}: wait a few seconds`);
    }
    const untilMs = certified.get(identity)?.untilMs ?? identity.certificate?.notAfterMs ?? Number.POSITIVE_INFINITY;
    if (untilMs <= clock.wallNow()) {
      // A connection that is kept open proves no longer what its certificate did.
      const end = new Date(untilMs).toISOString();
      throw new EnrollmentRefused(
        "unauthenticated",
        `the certificate of this connection expired at ${end}: join again`,
      );
    }
    // Both what the connection showed and what it was given: a revoked one leads to no next one.
    demandUnrevoked(identity.spiffeId, identity.certificate?.serial);
    demandUnrevoked(identity.spiffeId, certified.get(identity)?.serial);
    return signatures.run(async () => {
      const { publicKey, keyHash } = await verifyCsr(csr, identity.spiffeId);
      if (identity.tokenId !== undefined && !certified.has(identity)) await tokens.claim(identity.tokenId, keyHash);
      const issued = await authority.issueSvid({ publicKey, spiffeId: identity.spiffeId });
      // Before it is given out: what no line tells of was never issued.
      await audit.record({
        event: "certificate-issued",
        actor: identity.spiffeId,
        detail: { by: identity.by, ...proofOf(identity), key: keyHash, ...traitsOf(issued) },
      });
      certified.set(identity, {
        untilMs: issued.notAfterMs,
        serial: new X509Certificate(issued.chain).serialNumber,
      });
      counters.certificatesIssued += 1;
      return issued;
    });
  };

  return {
    authenticate: async (evidence) => {
      const address = evidence.address ?? "unknown";
      // A valid certificate is not held up by what others at its address do.
      const bears = evidence.certificate !== undefined && authority.verifySvid(evidence.certificate).valid;
      if (!bears && !limiter.mayTry(address)) {
        counters.joinsLimited += 1;
        throw new EnrollmentRefused("too-many", `too many failed joins from ${address}: wait a few seconds`);
      }
      try {
        return await decide(evidence);
      } catch (error) {
        if (error instanceof EnrollmentRefused) {
          counters.joinsRefused += 1;
          // What is our own or an issuer's trouble is not held against who comes.
          if (!OURS.has(error.code)) limiter.failed(address);
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
        return await issue(identity, csr);
      } catch (error) {
        const code =
          error instanceof EnrollmentRefused ? error.code : error instanceof SigningFailed ? "internal" : undefined;
        if (code !== undefined && error instanceof Error) {
          counters.certificatesRefused += 1;
          await audit.record({
            event: "certificate-refused",
            actor: identity.spiffeId,
            detail: { code, reason: error.message, by: identity.by, ...proofOf(identity) },
          });
        }
        throw error;
      }
    },
    counters: () => ({
      ...counters,
      checkOverflows: checks.overflows,
      signatureOverflows: signatures.overflows,
      ...oidc?.counters(),
    }),
  };
};

const OURS: ReadonlySet<string> = new Set(["issuer-unavailable", "too-many"]);

/** By what an identity was proven, so that a leaked token leads to the certificates that were made with it. */
const proofOf = ({ tokenId, proof }: MemberIdentity): AuditEvent["detail"] => ({
  ...(tokenId === undefined ? {} : { token: tokenId }),
  ...(proof === undefined ? {} : { issuer: proof.issuer, subject: proof.subject }),
  ...(proof?.tokenId === undefined ? {} : { token: proof.tokenId }),
});

/** By what a certificate is found, and revoked. */
const traitsOf = ({ chain, notAfterMs }: IssuedCertificate): AuditEvent["detail"] => {
  const leaf = new X509Certificate(chain);
  return {
    serial: leaf.serialNumber.toLowerCase(),
    thumbprint: leaf.fingerprint256.replaceAll(":", "").toLowerCase(),
    notAfter: new Date(notAfterMs).toISOString(),
  };
};

type ValidSvid = Extract<SvidVerdict, { readonly valid: true }>;

const whyNot = (certificateReason: string | undefined, authorization: string | undefined): string => {
  const certificate =
    certificateReason === undefined ? "no client certificate" : `a client certificate, but ${certificateReason}`;
  const token = authorization === undefined ? "no join token" : "an authorization header that is not `Bearer <token>`";
  return `the connection showed ${certificate}, and ${token}: join with a token from \`tulle token create\``;
};
