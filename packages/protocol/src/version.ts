import { OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION } from "./limits.ts";
import { ProtocolError } from "./protocol-error.ts";

/** Versions of the protocol that a peer speaks, both included. */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** What this software speaks. */
export const supportedVersions: VersionRange = { min: OLDEST_PROTOCOL_VERSION, max: PROTOCOL_VERSION };

/**
 * The highest version that both speak.
 *
 * @throws ProtocolError `protocol-version` when there is none, saying which side is too old.
 */
export const negotiate = (member: VersionRange, server: VersionRange = supportedVersions): number => {
  const chosen = Math.min(member.max, server.max);
  if (chosen >= member.min && chosen >= server.min) return chosen;
  const old = member.max < server.min ? "member" : "config-server";
  throw new ProtocolError(
    "protocol-version",
    `the member speaks versions ${member.min} to ${member.max}, the config-server ${server.min} to ${server.max}: upgrade the ${old}`,
  );
};
