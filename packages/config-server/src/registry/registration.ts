import { isIP } from "node:net";
import {
  type Endpoint,
  policyKey,
  type ServiceKey,
  serviceAccountsOf,
  serviceKey,
  splitServiceKey,
} from "@tulle/policy";
import { MAX_RESOURCE_BYTES, MAX_SLICE_ENTRIES, type RefusalCode, type Register } from "@tulle/protocol";
import type { PolicyRevision } from "../store/policy-store.ts";

/** Longest endpoint as JSON, in bytes: so that a full slice of them is a resource that can be sent. */
export const MAX_ENDPOINT_BYTES: number = Math.floor(MAX_RESOURCE_BYTES / MAX_SLICE_ENTRIES) - 16;

/** One instance as it is kept in the store. */
export interface Registration {
  readonly service: ServiceKey;
  readonly endpoint: Endpoint;
  /** The SPIFFE ID that registered it; no other may change or take it. */
  readonly owner: string;
  /** The member that registered it. */
  readonly member: string;
}

/** Whoever registers. */
export interface Registrant {
  readonly memberId: string;
  readonly spiffeId: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** A typed no to a registration, told to the member as `refused`. */
export class RegistrationRefused extends Error {
  override readonly name: string = "RegistrationRefused";
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Whether the `Service` policy names a service account; without such a policy there is no service to answer for. */
export const mayAnswerFor = ({ policies }: PolicyRevision, service: ServiceKey, serviceAccount: string): boolean => {
  const policy = policies.get(`Service/${service}`);
  return policy?.kind === "Service" && serviceAccountsOf(policy).includes(serviceAccount);
};

/**
 * The registration that a member asks for.
 *
 * @throws RegistrationRefused `not-allowed` when its identity may not answer for the service, `bad-message` when nobody could
 *   connect to the address, `too-large`.
 */
export const registrationOf = (
  { service, endpoint: asked }: Pick<Register, "service" | "endpoint">,
  registrant: Registrant,
  revision: PolicyRevision,
): Registration => {
  refuseStrangers(service, registrant, revision);
  refuseUnreachable(asked.address);
  const endpoint: Endpoint = { ...asked, health: "healthy", serviceAccount: registrant.serviceAccount };
  const bytes = Buffer.byteLength(JSON.stringify(endpoint));
  if (bytes > MAX_ENDPOINT_BYTES) {
    throw new RegistrationRefused(
      "too-large",
      `instance ${asked.id} of ${service} takes ${bytes} bytes: at most ${MAX_ENDPOINT_BYTES}, use fewer or shorter labels`,
    );
  }
  return { service, endpoint, owner: registrant.spiffeId, member: registrant.memberId };
};

const refuseStrangers = (service: ServiceKey, registrant: Registrant, revision: PolicyRevision): void => {
  const { namespace, name } = splitServiceKey(service);
  const who = `${registrant.spiffeId} may not register instances of ${service}`;
  if (namespace !== registrant.namespace) {
    throw new RegistrationRefused("not-allowed", `${who}: only identities of namespace ${namespace} may`);
  }
  if (mayAnswerFor(revision, service, registrant.serviceAccount)) return;
  const policy = revision.policies.get(policyKey({ kind: "Service", namespace, name }));
  throw new RegistrationRefused(
    "not-allowed",
    policy?.kind === "Service"
      ? `${who}: its Service policy names the service accounts ${serviceAccountsOf(policy).join(", ")}`
      : `${who}: there is no Service policy ${serviceKey(namespace, name)}`,
  );
};

const refuseUnreachable = (address: string): void => {
  const unreachable = address === "0.0.0.0" || (isIP(address) === 6 && /^[0:]+$/.test(address));
  const malformed = isIP(address) === 0 && !hostName.test(address);
  if (!unreachable && !malformed) return;
  throw new RegistrationRefused(
    "bad-message",
    `${JSON.stringify(address)} is no address that others can connect to: advertise an IP address or a host name`,
  );
};

const hostName = /^(?=.{1,253}$)(?!\d+(?:\.\d+)*$)[a-z0-9](?:[a-z0-9-]{0,62})(?:\.[a-z0-9](?:[a-z0-9-]{0,62}))*$/i;
