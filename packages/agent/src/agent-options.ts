import type { PolicyFeature } from "@tulle/policy";
import type { Clock, Random } from "@tulle/time";
import type { AgentLogger } from "./logger.ts";
import type { ValidateSnapshot } from "./subscription.ts";

/** How a process is a member of a mesh. */
export interface AgentOptions {
  /** The config-server, such as `wss://mesh.example:7117`; several are separated by commas and tried in turn. */
  readonly server: string;
  /**
   * A join token, or an OIDC token of an issuer that the config-server believes. Shown only to a server that has proven
   * itself, by the join token's pin or by what `caFile` and `caPin` say, and only while there is no valid certificate.
   */
  readonly token?: string;
  /** A file with the token, read anew at each join. */
  readonly tokenFile?: string;
  /** PEM roots of the mesh, for a token that carries no pin; read anew at each join. @default none: such a token is shown to nobody */
  readonly caFile?: string;
  /** In place of `caFile`: SHA-256 of the root's SubjectPublicKeyInfo, base64url, as `tulle up` prints it. @default none */
  readonly caPin?: string;
  /** Of the config-server, for a token that does not name it. @default "cluster.local" */
  readonly trustDomain?: string;
  /** The service that this process is an instance of. */
  readonly service: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Stable across restarts where the platform gives one, such as a pod's name. @default kept in the state folder, else random */
  readonly instanceId?: string;
  /** Services that are called: `reviews`, `reviews.ns` or the long name. Others are learned at their first use. @default none */
  readonly dependencies?: readonly string[];
  /** How long a service that is called for the first time may take to become known. @default 2000 */
  readonly discoveryTimeoutMs?: number;
  /**
   * Where the last good state and the credentials survive a restart. Processes that share it take one slot each.
   * @default nowhere
   */
  readonly stateDir?: string;
  /** Makes the instance ids of a cluster's workers differ where there is no state folder. @default node:cluster's or PM2's number */
  readonly clusterWorker?: string;
  /** Says why a policy cannot be run; it is then refused (NACK) and the last good one kept. @default every policy can be run */
  readonly validate?: ValidateSnapshot;
  /** What policies may ask of this member beyond the rest, told to the config-server. @default none */
  readonly features?: readonly PolicyFeature[];
  readonly clock: Clock;
  readonly random: Random;
  /** @default silent */
  readonly logger?: AgentLogger;
}
