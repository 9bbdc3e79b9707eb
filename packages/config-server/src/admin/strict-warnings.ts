import {
  effectiveMtls,
  fitsLabels,
  inboundFor,
  type MtlsMode,
  meshPolicyOf,
  type Policy,
  type ServiceKey,
} from "@tulle/policy";
import type { MemberStatus } from "@tulle/protocol";
import type { MemberCallers } from "../push/members.ts";

/** Callers that came within this time are taken to come again. */
const RECENT_MS = 600_000;

/** Callers that a warning names; of more it tells the number. */
const MAX_NAMED = 5;

/**
 * Services that become strict while somebody still calls them without an identity: one warning each, with the callers that
 * will be refused.
 *
 * @param nowMs wall-clock milliseconds.
 */
export const strictWarnings = (
  before: readonly Policy[],
  after: readonly Policy[],
  reports: readonly MemberCallers[],
  members: readonly MemberStatus[],
  nowMs: number,
): readonly string[] => {
  const refused = new Map<ServiceKey, Set<string>>();
  for (const { member, service, callers } of reports) {
    const recent = callers.filter(({ lastSeenMs }) => nowMs - lastSeenMs <= RECENT_MS);
    if (recent.length === 0) continue;
    const labels = members.find(({ id, service: own }) => id === member && own === service)?.labels ?? {};
    if (modeOf(after, service, labels) !== "strict" || modeOf(before, service, labels) === "strict") continue;
    const named = refused.get(service) ?? new Set();
    refused.set(service, named);
    for (const { address, userAgent } of recent)
      named.add(userAgent === undefined ? address : `${address} (${userAgent})`);
  }
  return [...refused].map(([service, named]) => {
    const first = [...named].slice(0, MAX_NAMED).join(", ");
    const more = named.size > MAX_NAMED ? `, and ${named.size - MAX_NAMED} more` : "";
    return `${service} becomes strict and will refuse callers that came without an identity within 10 minutes: ${first}${more}; see tulle plaintext`;
  });
};

const modeOf = (
  policies: readonly Policy[],
  service: ServiceKey,
  labels: Readonly<Record<string, string>>,
): MtlsMode | undefined => {
  const inbound = inboundFor(policies, service);
  if (inbound === undefined) return undefined;
  const authentication = inbound.authentication.filter((policy) => fitsLabels(policy, labels));
  return effectiveMtls({ mesh: meshPolicyOf(policies), service: inbound.service, authentication }).mode;
};
