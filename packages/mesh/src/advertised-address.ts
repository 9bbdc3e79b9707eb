import { networkInterfaces } from "node:os";

const ANY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "::", ""]);

/** What {@link advertisedAddress} chooses from. */
export interface AddressChoice {
  /** What the user said. */
  readonly advertise: string | undefined;
  /** Where the listener is bound. */
  readonly host: string;
  readonly interfaces?: () => ReturnType<typeof networkInterfaces>;
}

/**
 * The address by which others reach a listener: what the user said, else the bound address, else, where it is bound to all
 * interfaces, the first one that is not internal (IPv4 before IPv6), else loopback.
 */
export const advertisedAddress = ({ advertise, host, interfaces = networkInterfaces }: AddressChoice): string => {
  if (advertise !== undefined) return advertise;
  if (!ANY_ADDRESS.has(host)) return host;
  const external = Object.values(interfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((address) => !address.internal && !address.address.startsWith("fe80:"));
  const chosen = external.find((address) => address.family === "IPv4") ?? external[0];
  return chosen?.address ?? "127.0.0.1";
};
