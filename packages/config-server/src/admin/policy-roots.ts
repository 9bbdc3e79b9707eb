import { X509Certificate } from "node:crypto";
import { type Policy, type PolicyProblem, policyKey } from "@tulle/policy";

const pemBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Roots of policies that are no certificates. A TLS library passes over what it cannot read, so that each connection would
 * fail for a reason that nobody understands; whoever applies is told instead.
 */
export const unreadableRoots = (policies: readonly Policy[]): readonly PolicyProblem[] =>
  policies.flatMap((policy) => {
    if (policy.kind !== "Service" && policy.kind !== "ExternalService") return [];
    const blocks = policy.tls?.ca?.match(pemBlock) ?? [];
    return blocks.flatMap((block, at) => {
      const reason = reasonAgainst(block);
      if (reason === undefined) return [];
      const which = blocks.length === 1 ? "it" : `certificate ${at + 1} of ${blocks.length}`;
      return [
        {
          policy: policyKey(policy),
          path: "tls.ca",
          message: `${which} cannot be read: ${reason}`,
          ...(policy.origin === undefined ? {} : { origin: policy.origin }),
        },
      ];
    });
  });

const reasonAgainst = (pem: string): string | undefined => {
  try {
    new X509Certificate(pem);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};
