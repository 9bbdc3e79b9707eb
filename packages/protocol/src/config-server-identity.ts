import { workloadIdentity } from "@tulle/policy";

/** The SPIFFE ID that a config-server's certificate must say: `spiffe://<trust domain>/ns/tulle-system/sa/config-server`. */
export const configServerIdentity = (trustDomain: string): string =>
  workloadIdentity(trustDomain, "tulle-system", "config-server");
