import { parseIpAddress } from "@tulle/policy";

/**
 * The address of the first caller, by the rule that Envoy has for trusted hops: with n proxies, the n-th entry of
 * `x-forwarded-for` from the right is what the outermost of them saw. Where the header holds fewer entries, or something that is
 * no address, it is the connection's own address, as without proxies.
 */
export const remoteAddressOf = (
  forwardedFor: string | undefined,
  connectionAddress: string | undefined,
  trustedProxies: number,
): string | undefined => {
  if (trustedProxies === 0 || forwardedFor === undefined) return connectionAddress;
  const entry = forwardedFor.split(",").at(-trustedProxies)?.trim();
  return entry === undefined || parseIpAddress(entry) === undefined ? connectionAddress : entry;
};
