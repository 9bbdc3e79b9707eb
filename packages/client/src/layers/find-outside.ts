import type { Clock } from "@tulle/time";
import type { DnsCounters } from "../dns/dns-name.ts";
import { MAX_DNS_WAITERS, type OutsideEndpoints } from "../dns/outside-endpoints.ts";
import { failCall } from "../failure.ts";
import type { Call, Layer } from "../send.ts";
import { errorCodeOf } from "../transport/error-code.ts";

/** What finding a destination outside the mesh needs. */
export interface FindOutsideParts {
  readonly endpoints: OutsideEndpoints;
  /** The hosts of a service outside the mesh, lower case; none for one inside. */
  readonly hosts: readonly string[];
  /** What is sent as Host where the call names another host: the first one, with its port unless that is the scheme's. */
  readonly authority: string | undefined;
  /** Longest wait for DNS: that for a connection. */
  readonly connectTimeoutMs: number;
  readonly counters: DnsCounters;
  readonly clock: Clock;
}

/**
 * Lets a call on when its destination's addresses are known. Only the first calls wait, and those after a pause of use: names
 * in use are asked for again in the background. A call that a route led here from another host is sent under the
 * destination's own: outside the mesh nobody answers for ours. A host that a rule wrote is sent as it is.
 *
 * @throws MeshError DNS_FAILED, OVERFLOW_PENDING when too many calls wait.
 */
export const findOutside =
  (parts: FindOutsideParts): Layer =>
  (next) =>
  (call) => {
    const { endpoints, hosts, authority, clock } = parts;
    let host = hostnameOf(call.sentAuthority);
    if (authority !== undefined && !hosts.includes(host)) {
      host = hostnameOf(authority);
      if (call.sentAuthority === call.authority) call.sentAuthority = authority;
    }
    const state = endpoints.use(host, clock.now());
    if (state === "ready") return next(call);
    return state === "failed"
      ? Promise.reject(failed(call, parts, host))
      : wait(parts, call, host).then(() => next(call));
  };

const wait = (parts: FindOutsideParts, call: Call, host: string): Promise<void> => {
  const { endpoints, connectTimeoutMs, counters, clock } = parts;
  counters.dnsWaits++;
  return new Promise((resolve, reject) => {
    let stopListening = (): void => undefined;
    const settle = (error?: unknown): void => {
      timer.cancel();
      stopListening();
      stopWaiting?.();
      if (error === undefined) resolve();
      else reject(error);
    };
    const look = (): void => {
      const state = endpoints.use(host, clock.now());
      if (state === "ready") settle();
      else if (state === "failed") settle(failed(call, parts, host));
      else stopWaiting = endpoints.onChange(look);
    };
    let stopWaiting = endpoints.onChange(look);
    // What was known before is better than nothing.
    const timer = clock.after(connectTimeoutMs, () =>
      settle(endpoints.knows(host) ? undefined : failed(call, parts, host, connectTimeoutMs)),
    );
    stopListening = call.cancel.onCancel(settle);
    if (stopWaiting === undefined) {
      settle(failCall(call, "OVERFLOW_PENDING", `${MAX_DNS_WAITERS} calls to the service already wait for DNS`));
    }
  });
};

const failed = (call: Call, { endpoints }: FindOutsideParts, host: string, afterMs?: number): Error => {
  const cause = endpoints.failure(host);
  const names = endpoints.namesFor(host).join(", ");
  const why = afterMs === undefined ? (errorCodeOf(cause) ?? "no address") : `no answer within ${afterMs} ms`;
  return failCall(call, "DNS_FAILED", `no address of ${names} is known (${why})`, { cause });
};

/** The host of an authority, lower case, without its port. */
export const hostnameOf = (authority: string): string => {
  const colon = authority.lastIndexOf(":");
  return (colon < 0 || authority.endsWith("]") ? authority : authority.slice(0, colon)).toLowerCase();
};
