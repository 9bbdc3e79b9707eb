import type { EndpointLocality } from "@tulle/policy";
import { checkOption } from "./check-option.ts";
import { type MeshMode, meshModes } from "./mesh-options.ts";

/** The variables that a member reads; docs/environment.md has the table. */
export interface MemberEnvironment {
  readonly server: string | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly caFile: string | undefined;
  readonly caPin: string | undefined;
  readonly trustDomain: string | undefined;
  readonly stateDir: string | undefined;
  readonly service: string | undefined;
  readonly namespace: string | undefined;
  readonly instanceId: string | undefined;
  readonly advertise: string | undefined;
  readonly mode: MeshMode | undefined;
  /** Checked together with the option. */
  readonly maxIdleConnections: string | undefined;
  /** `undefined` when none of its variables is set. */
  readonly locality: EndpointLocality | undefined;
}

/**
 * Reads the `TULLE_*` variables of a member. An empty variable counts as unset, as in most platforms' templates.
 *
 * @throws MeshError INVALID_CALL when TULLE_MODE is none of the modes.
 */
export const readEnvironment = (env: Readonly<Record<string, string | undefined>>): MemberEnvironment => {
  const read = (name: string): string | undefined => (env[name] === "" ? undefined : env[name]);
  return {
    server: read("TULLE_SERVER"),
    token: read("TULLE_TOKEN"),
    tokenFile: read("TULLE_TOKEN_FILE"),
    caFile: read("TULLE_CA_FILE"),
    caPin: read("TULLE_CA_PIN"),
    trustDomain: read("TULLE_TRUST_DOMAIN"),
    stateDir: read("TULLE_STATE_DIR"),
    service: read("TULLE_SERVICE"),
    namespace: read("TULLE_NAMESPACE"),
    instanceId: read("TULLE_INSTANCE_ID"),
    advertise: read("TULLE_ADVERTISE"),
    maxIdleConnections: read("TULLE_MAX_IDLE_CONNECTIONS"),
    mode: modeNamed(read("TULLE_MODE")),
    locality: localityOf(read("TULLE_REGION"), read("TULLE_ZONE"), read("TULLE_SUBZONE")),
  };
};

const localityOf = (
  region: string | undefined,
  zone: string | undefined,
  subzone: string | undefined,
): EndpointLocality | undefined => {
  const parts = Object.entries({ region, zone, subzone }).filter(([, part]) => part !== undefined);
  return parts.length === 0 ? undefined : Object.fromEntries(parts);
};

const modeNamed = (text: string | undefined): MeshMode | undefined => {
  // What is none of the modes is refused here.
  return text === undefined ? undefined : checkOption("TULLE_MODE", text as MeshMode, meshModes);
};
