import type { Balanced } from "./picker.ts";

/** What is hashed of an endpoint: its address and port, as Envoy does. */
export const endpointKey = ({ endpoint: { address, port } }: Balanced): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
