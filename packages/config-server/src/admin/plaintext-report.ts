import type { ServiceKey } from "@tulle/policy";
import type { EndpointList, PlaintextReport } from "@tulle/protocol";
import type { MemberCallers } from "../push/members.ts";

/** What is asked for. */
export interface PlaintextQuestion {
  /** @default all services */
  readonly service?: ServiceKey | undefined;
  /** Only callers that came within this time. */
  readonly sinceMs: number;
  /** Wall-clock milliseconds. */
  readonly nowMs: number;
}

type Caller = PlaintextReport["callers"][number];

/**
 * Who still calls without an identity, by service and caller: what all members of a service saw of a caller is one line. An
 * address is known by the instances that are registered there.
 */
export const plaintextReport = (
  reports: Iterable<MemberCallers>,
  { services }: EndpointList,
  { service: wanted, sinceMs, nowMs }: PlaintextQuestion,
): PlaintextReport => {
  const servicesAt = new Map<string, Set<ServiceKey>>();
  for (const { service, endpoints } of services) {
    for (const { address } of endpoints) {
      const known = servicesAt.get(address);
      if (known === undefined) servicesAt.set(address, new Set([service]));
      else known.add(service);
    }
  }
  const found = new Map<string, Caller>();
  for (const { member, service, callers } of reports) {
    if (wanted !== undefined && service !== wanted) continue;
    for (const { address, userAgent, transport, requests, lastSeenMs } of callers) {
      if (nowMs - lastSeenMs > sinceMs) continue;
      const key = `${service} ${transport} ${address} ${userAgent ?? ""}`;
      const before = found.get(key);
      found.set(key, {
        service,
        address,
        ...(userAgent === undefined ? {} : { userAgent }),
        transport,
        from: [...(servicesAt.get(address) ?? [])].sort(),
        requests: requests + (before?.requests ?? 0),
        lastSeenMs: Math.max(lastSeenMs, before?.lastSeenMs ?? 0),
        members: [...(before?.members ?? []), member],
      });
    }
  }
  return {
    callers: [...found.values()].sort((a, b) =>
      a.service === b.service ? b.lastSeenMs - a.lastSeenMs : a.service < b.service ? -1 : 1,
    ),
  };
};
